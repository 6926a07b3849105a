import type { EventEmitter } from 'node:events';
import process from 'node:process';

/** Something that must get a last, synchronous word before the process ends. */
export interface ExitParticipant {
  /** The process, or the worker thread, ends. Called again at the end of the `'exit'` event. */
  flushAtExit(): void;
  /** An exception was not caught: the process ends, perhaps without `'exit'`, or goes on. Does not throw. */
  flushAtException?(): void;
}

const participants = new Set<ExitParticipant>();

/**
 * How the process is heard to end, while any log is open: `process.emit` is wrapped.
 *
 * `'exit'` is emitted at the end of the event loop, at `process.exit()` and at an uncaught exception, and the log's threads
 * still run during it. A listener alone would not do: another one that comes earlier, or that is prepended later, ends the event when
 * it throws or calls `process.exit()` again, and `removeAllListeners` removes every listener. The wrapper runs before all of them. It also hears
 * `'uncaughtExceptionMonitor'`, which comes before the handlers of `'uncaughtException'`: if one of those throws, the process ends
 * without `'exit'`.
 *
 * The listener remains for the case that other code puts an older `process.emit` back, over the wrapper.
 */
let base: typeof process.emit | undefined;
let isExiting = false;

/** No event of anybody's: only the wrapper answers it, which shows that it is still in the chain of wrappers. */
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
    // What the listeners left unfinished: the beginning of a line in a log stream.
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

/** One log's trouble, or its callback's, is not the others': all of it is answered. */
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
  // False where that is forbidden: then the listener has to do.
  Reflect.defineProperty(process, 'emit', { value: emit, configurable: true, writable: true });
}

/** If other code has wrapped the wrapper, it stays: without participants it only passes on. */
function unwrapEmit(): void {
  if ((process.emit as unknown) !== emit) return;
  if (base === undefined) Reflect.deleteProperty(process, 'emit');
  else process.emit = base;
}
