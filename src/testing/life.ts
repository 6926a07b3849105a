import { inspect } from 'node:util';
import { type Apply, History, type IssuedOperation } from './history.js';
import type { Step } from './script.js';
import { type CrashKind, SimulatedMachine, type SimulatedMachineOptions } from './simulated-machine.js';

/** The functions of the store under test. */
export interface StoreUnderTest<Store, State, Operation> {
  readonly machine: Omit<SimulatedMachineOptions, 'seed'>;
  readonly boot: (machine: SimulatedMachine) => Promise<Store>;
  readonly close: ((store: Store) => Promise<unknown>) | undefined;
  readonly empty: State;
  readonly act: (store: Store, operation: Operation) => Promise<unknown>;
  readonly apply: Apply<State, Operation>;
  readonly observe: (store: Store) => State | Promise<State>;
  readonly dirtyReads: boolean;
  readonly concurrency: number;
}

/** Counts of the events in a life. */
export interface LifeCounts {
  operations: number;
  acknowledged: number;
  rejected: number;
  crashes: number;
}

/** The store broke a promise. */
export class BrokenPromise extends Error {
  readonly history: readonly string[];

  constructor(complaint: string, history: readonly string[], cause?: unknown) {
    super(complaint, { cause });
    this.history = history;
  }
}

/** How long a life waits for a store that waits for something other than its machine. Real milliseconds. */
const PATIENCE_MS = 1000;

/** Ends a step: the machine has stopped. */
const CRASHED = Symbol('crashed');

/**
 * One life of a store on a simulated machine, by a script: the same script and seed give the same life.
 *
 * After each crash the store is opened again and must show content that the history allows. A rejection ends the current opening:
 * the disk gets room again, and the store is closed and opened.
 */
export class Life<Store, State, Operation> {
  readonly counts: LifeCounts = { operations: 0, acknowledged: 0, rejected: 0, crashes: 0 };
  readonly #parts: StoreUnderTest<Store, State, Operation>;
  readonly #machine: SimulatedMachine;
  readonly #history: History<State, Operation>;
  readonly #lines: string[] = [];
  readonly #inFlight = new Set<IssuedOperation<Operation>>();
  #store: Store | undefined;
  /** Disk operations after which the machine stops again while the store is being opened. */
  #whileOpening: readonly number[] = [];
  #powerCutAfterOpening: number | undefined;
  #crashKind: CrashKind = 'power-cut';
  #boots = 1;
  #hasRejected = false;
  #number = 0;

  constructor(parts: StoreUnderTest<Store, State, Operation>, seed: number) {
    this.#parts = parts;
    this.#machine = new SimulatedMachine({ ...parts.machine, seed });
    this.#history = new History(parts.empty, parts.apply);
  }

  /** @throws BrokenPromise */
  async run(steps: readonly Step<Operation>[]): Promise<void> {
    try {
      await this.#open();
      for (const step of steps) {
        await this.#take(step);
        if (this.#hasCrashed) await this.#open();
        else if (this.#hasRejected) await this.#reopen();
      }
      if (this.#machine.boots === this.#boots) this.#crash('power-cut');
      await this.#open();
    } finally {
      // Releases the logs and files that are still open.
      this.#machine.kill();
    }
  }

  async #take(step: Step<Operation>): Promise<void> {
    switch (step.kind) {
      case 'operation':
        this.#issue(step.operation);
        await this.#until(() => this.#inFlight.size < this.#parts.concurrency, 'the operations under way');
        break;
      case 'pause':
        await this.#settled(this.#machine.sleep(step.ms), 'the clock');
        break;
      case 'await-all':
        await this.#until(() => this.#inFlight.size === 0, 'the operations under way');
        break;
      case 'observe':
        await this.#observe(this.#parts.dirtyReads ? 'not-kept' : 'kept');
        break;
      case 'reopen':
        await this.#reopen();
        break;
      case 'fail-sync':
        this.#note(`an fsync will fail, after ${step.after} more`);
        this.#machine.failNext('sync', 'EIO', { after: step.after });
        break;
      case 'fill-disk':
        this.#note('the disk is full');
        this.#machine.fillDisk();
        break;
      case 'crash':
        this.#arm(step);
    }
  }

  #issue(operation: Operation): void {
    this.#number += 1;
    this.counts.operations += 1;
    const number = this.#number;
    const store = this.#store as Store;
    const issued = this.#history.issue(operation);
    const boots = this.#boots;
    this.#inFlight.add(issued);
    this.#note(`operation ${number}: ${show(operation)}`);
    const recordOutcome = (status: 'acknowledged' | 'rejected', line: string) => {
      // An outcome from an earlier boot does not count; outcomes that came in time were recorded.
      if (!this.#inFlight.has(issued) || boots !== this.#boots) return;
      // A machine that has stopped delivers no rejection.
      if (status === 'rejected' && (this.#machine.hasStopped || this.#machine.boots !== boots)) return;
      this.#inFlight.delete(issued);
      issued.status = status;
      this.counts[status] += 1;
      this.#hasRejected ||= status === 'rejected';
      this.#note(line);
    };
    const promise = (async () => this.#parts.act(store, operation))();
    promise.then(
      () => recordOutcome('acknowledged', `operation ${number} is acknowledged`),
      (error: unknown) => recordOutcome('rejected', `operation ${number} is rejected: ${messageOf(error)}`),
    );
  }

  #arm({
    crash,
    after,
    whileOpening,
    powerCutAfterOpening,
  }: Extract<Step<Operation>, { kind: 'crash' }>): void {
    this.#whileOpening = whileOpening;
    this.#powerCutAfterOpening = powerCutAfterOpening;
    this.#stopAfter(after, crash);
  }

  #stopAfter(operations: number, kind: CrashKind): void {
    this.#crashKind = kind;
    void this.#machine.crashAfter(operations, kind);
  }

  #crash(kind: CrashKind): void {
    this.#crashKind = kind;
    if (kind === 'power-cut') this.#machine.powerCut();
    else this.#machine.kill();
  }

  get #hasCrashed(): boolean {
    return this.#machine.boots !== this.#boots;
  }

  /** Opens the store, again and again if the machine stops meanwhile, and checks the content. */
  async #open(): Promise<void> {
    for (;;) {
      if (this.#hasCrashed) this.#noteCrash();
      this.#machine.freeDisk();
      this.#machine.clearFaults();
      const [next, ...rest] = this.#whileOpening;
      this.#whileOpening = rest;
      if (next !== undefined) this.#stopAfter(next, this.#crashKind);
      const opened = await this.#settled(
        (async () => this.#parts.boot(this.#machine))(),
        'the store to be opened',
      ).catch((error: unknown) => {
        throw this.#broken(`the store does not open: ${messageOf(error)}`, error);
      });
      if (opened === CRASHED) continue;
      this.#store = opened;
      this.#note('the store is open');
      if (await this.#observe('restart')) break;
    }
    const after = this.#powerCutAfterOpening;
    this.#powerCutAfterOpening = undefined;
    if (after !== undefined) this.#stopAfter(after, 'power-cut');
  }

  async #reopen(): Promise<void> {
    this.#hasRejected = false;
    await this.#until(() => this.#inFlight.size === 0, 'the operations under way');
    if (this.#hasCrashed) return this.#open();
    this.#machine.freeDisk();
    const { close } = this.#parts;
    if (close === undefined) {
      this.#crash('kill');
    } else {
      const closing = (async () => close(this.#store as Store))();
      // A log that has ended reports that again when it is closed.
      const ended = await this.#settled(
        closing.catch((error: unknown) => this.#note(`closing says: ${messageOf(error)}`)),
        'the store to be closed',
      );
      if (ended !== CRASHED) this.#note('the store is closed');
    }
    return this.#open();
  }

  /** Reads the store and checks the content. False: the machine stopped before the read returned. */
  async #observe(how: 'restart' | 'kept' | 'not-kept'): Promise<boolean> {
    const { observe } = this.#parts;
    const { due } = this.#history;
    const store = this.#store as Store;
    const state = await this.#settled((async () => observe(store))(), 'the store to be read').catch(
      (error: unknown) => {
        throw this.#broken(`the store cannot be read: ${messageOf(error)}`, error);
      },
    );
    if (state === CRASHED) return false;
    this.#note(`the store holds ${show(state)}`);
    if (!this.#history.show(state as State, due, how === 'kept')) {
      const { least, most } = this.#history.bounds(due);
      throw this.#broken(
        'the store holds what no prefix of the operations explains that contains the acknowledged ones.\n' +
          `  It holds      ${show(state)}\n  the least is  ${show(least)}\n  the most is   ${show(most)}`,
      );
    }
    if (how === 'restart') this.#history.restart(state as State);
    return true;
  }

  #noteCrash(): void {
    this.#boots = this.#machine.boots;
    this.#inFlight.clear();
    this.#hasRejected = false;
    this.#store = undefined;
    this.counts.crashes += 1;
    this.#note(this.#crashKind === 'kill' ? 'the process is killed' : 'the power goes');
  }

  /** The value of `promise`, or CRASHED. @throws the error with which it rejects */
  async #settled<T>(promise: Promise<T>, what: string): Promise<T | typeof CRASHED> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    await this.#until(() => outcome !== undefined, what);
    if (this.#hasCrashed || outcome === undefined) return CRASHED;
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Runs turns of the event loop until the condition holds, or until the machine has stopped. */
  async #until(holds: () => boolean, what: string): Promise<void> {
    let idleSinceMs: number | undefined;
    for (;;) {
      await turn();
      if (this.#machine.hasStopped) continue;
      if (holds() || this.#hasCrashed) return;
      if (!this.#machine.isIdle) idleSinceMs = undefined;
      else if (idleSinceMs === undefined) idleSinceMs = performance.now();
      else if (performance.now() - idleSinceMs > PATIENCE_MS)
        throw this.#broken(`nothing happens any more, and ${what} would still have to come`);
    }
  }

  #note(line: string): void {
    this.#lines.push(line);
  }

  #broken(complaint: string, cause?: unknown): BrokenPromise {
    const trace = this.#machine.trace.split('\n').slice(-TRACE_LINES);
    return new BrokenPromise(complaint, [...this.#lines, '', 'the last disk operations:', ...trace], cause);
  }
}

const TRACE_LINES = 40;

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function show(value: unknown): string {
  return inspect(value, {
    depth: 6,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 20,
    maxStringLength: 80,
  });
}
