import type { EventEmitter } from 'node:events';
import process from 'node:process';

/** An object that must do some last, synchronous work before the process ends. */
export interface ExitParticipant {
  /** The process, or the worker thread, ends. Called again at the end of the `'exit'` event. */
  flushAtExit(): void;
  /** An exception was not caught: the process ends, perhaps without `'exit'`, or continues. Does not throw. */
  flushAtException?(): void;
}

const participants = new Set<ExitParticipant>();

/**
 * Notices the end of the process while any log is open: `process.emit` is wrapped.
 *
 * `'exit'` is emitted at the end of the event loop, at `process.exit()` and at an uncaught exception, and the log's threads
 * still run during it. A listener alone would not do: another listener that comes earlier, or that is prepended later, ends the
 * event if it throws or calls `process.exit()` again, and `removeAllListeners` removes every listener. The wrapper runs before all
 * of them. It also notices `'uncaughtExceptionMonitor'`, which comes before the handlers of `'uncaughtException'`: if one of those
 * throws, the process ends without `'exit'`.
 *
 * The listener remains for the case that other code puts an older `process.emit` back, over the wrapper.
 */
let base: typeof process.emit | undefined;
let isExiting = false;

/** An event that no other code uses: only the wrapper answers it, which shows that it is still in the chain of wrappers. */
const PROBE = Symbol('ringwal: is the exit hook in place?');

function emit(event: string | symbol, ...args: unknown[]): boolean {
  if (event === PROBE) return true;
  if (event === 'uncaughtExceptionMonitor') for (const each of participants) each.flushAtException?.();
  return event === 'exit' ? emitExit(args) : passOn(event, args);
}

function emitExit(args: readonly unknown[]): boolean {
  isExiting = true;
  const errors = flushAll();
  let isHeard: boolean;
  try {
    isHeard = passOn('exit', args);
  } finally {
    // The listeners may have written the beginning of a line to a log stream.
    errors.push(...flushAll());
    isExiting = false;
  }
  if (errors.length > 0) throw errors[0];
  return isHeard;
}

function passOn(event: string | symbol, args: readonly unknown[]): boolean {
  // Looked up at the call: modules such as `domain` replace the prototype's.
  const next: unknown = base ?? Object.getPrototypeOf(process).emit;
  return Reflect.apply(next as (...all: unknown[]) => boolean, process, [event, ...args]);
}

function onExit(): void {
  if (isExiting) return;
  const errors = flushAll();
  if (errors.length > 0) throw errors[0];
}

/** Flushes every log, even if one of them or its callback throws. Returns all errors. */
function flushAll(): unknown[] {
  const errors: unknown[] = [];
  for (const participant of participants) {
    try {
      participant.flushAtExit();
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}

export function addExitParticipant(participant: ExitParticipant): void {
  if (participants.size === 0) {
    process.prependListener('exit', onExit);
    wrapEmit();
  }
  participants.add(participant);
}

export function removeExitParticipant(participant: ExitParticipant): void {
  if (!participants.delete(participant) || participants.size > 0) return;
  process.off('exit', onExit);
  unwrapEmit();
}

function wrapEmit(): void {
  if ((process as EventEmitter).emit(PROBE)) return;
  base = Object.hasOwn(process, 'emit') ? process.emit : undefined;
  // Returns false if the environment forbids it: then only the listener remains.
  Reflect.defineProperty(process, 'emit', { value: emit, configurable: true, writable: true });
}

/** If other code has wrapped the wrapper, it stays: without participants it only passes events on. */
function unwrapEmit(): void {
  if ((process.emit as unknown) !== emit) return;
  if (base === undefined) Reflect.deleteProperty(process, 'emit');
  else process.emit = base;
}
