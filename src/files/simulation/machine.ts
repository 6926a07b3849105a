import { DiskError, systemCode } from '../disk.js';
import { type Fault, Faults, type Operation, SimulatedCrash } from './faults.js';
import { Random } from './random.js';
import { Trace } from './trace.js';

export interface MachineOptions {
  readonly seed: number;
  readonly nuisance: number;
  readonly syncMs: number;
  readonly startMs: number;
  readonly traceMax: number;
}

/** The state of one call while it runs. */
export interface Running {
  /** Its position in the disk's history. */
  readonly at: number;
  /** Empty: nothing goes wrong. */
  readonly fault: Fault;
}

const NO_FAULT: Fault = {};

/** The machine around a simulated disk: its clock, its random numbers, its history, and the faults of its calls. */
export class Machine {
  readonly random: Random;
  readonly faults = new Faults();
  readonly trace: Trace;
  readonly counts = {
    operations: 0,
    writes: 0,
    writtenBytes: 0,
    fileSyncs: 0,
    directorySyncs: 0,
    syncMs: 0,
    boots: 1,
  };
  nowMs: number;
  crashAt: number | undefined;
  readonly #nuisance: number;
  readonly #syncMs: number;
  #hasStopped = false;

  constructor(options: MachineOptions) {
    this.random = new Random(options.seed);
    this.trace = new Trace(options.traceMax);
    this.nowMs = options.startMs;
    this.#nuisance = options.nuisance;
    this.#syncMs = options.syncMs;
  }

  /**
   * Runs one call of the seam: counts it, times it, traces it, and makes it fail if a fault is planned. A write or a sync receives
   * its fault, since it may fail halfway.
   */
  operate<T>(call: Omit<Operation, 'index'>, run: (running: Running) => T): T {
    const operation: Operation = { index: this.counts.operations, ...call };
    if (this.#hasStopped)
      throw new SimulatedCrash(`the simulated machine stopped before ${operation.kind} ${operation.path}`);
    this.counts.operations += 1;
    const fault = this.#faultOf(operation);
    this.nowMs += fault.delayMs ?? 0;
    try {
      if (!failsHalfway(operation)) this.fail(fault, operation.kind, operation.path);
      const result = run({ at: operation.index, fault });
      this.trace.add(operation, typeof result === 'number' ? result : undefined);
      return result;
    } catch (error) {
      this.trace.add(operation, systemCode(error) || String(error));
      throw error;
    }
  }

  /** Ends a call as its fault says. */
  fail(fault: Fault, syscall: string, path: string): void {
    if (fault.crash === true) {
      this.#hasStopped = true;
      throw new SimulatedCrash(`the simulated machine stopped at ${syscall} ${path}`);
    }
    if (fault.code !== undefined) throw new DiskError(fault.code, syscall, path, 'simulated fault');
  }

  passSyncTime(): void {
    this.nowMs += this.#syncMs;
    this.counts.syncMs += this.#syncMs;
  }

  boot(reason: string): void {
    this.trace.note(`---- ${reason}`);
    this.counts.boots += 1;
    this.crashAt = undefined;
    this.#hasStopped = false;
  }

  /** True after an operation that [fail] stopped: no call works until the next [boot]. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  #faultOf(operation: Operation): Fault {
    if (operation.index === this.crashAt) return { crash: true };
    return this.faults.next(operation) ?? this.#nuisanceOf(operation) ?? NO_FAULT;
  }

  #nuisanceOf({ kind, bytes = 0 }: Operation): Fault | undefined {
    if (this.#nuisance === 0 || (kind !== 'write' && kind !== 'read') || bytes === 0) return undefined;
    if (!this.random.chance(this.#nuisance)) return undefined;
    return this.random.pick([{ code: 'EINTR' }, { code: 'EAGAIN' }, { bytes: 1 + this.random.below(bytes) }]);
  }
}

function failsHalfway({ kind }: Operation): boolean {
  return kind === 'write' || kind === 'datasync' || kind === 'sync' || kind === 'syncDirectory';
}
