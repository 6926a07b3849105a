import { tmpdir } from 'node:os';
import type { OperationKind } from '../files/simulation/simulated-disk.js';
import { Random, SimulatedDisk } from '../files/simulation/simulated-disk.js';
import { Wal, WalError, type WalOptions } from '../index.js';
import { Boot } from './boot.js';
import { type FilePath, pathOf } from './file-operations.js';
import { SimulatedFs } from './simulated-fs.js';
import { SimulatedThreads } from './simulated-threads.js';
import { Timeline } from './timeline.js';

/** Options of a {@link SimulatedMachine}. */
export interface SimulatedMachineOptions {
  /** Decides every random choice: an integer. The same seed and the same calls give the same events. */
  readonly seed: number;
  /** Size of the disk in bytes; files take whole sectors of 512. Default: no limit. */
  readonly diskBytes?: number | undefined;
  /**
   * The effect of a failed fsync on the data that it should have made durable, modelled on one of these file systems. On all three
   * the next fsync succeeds, and the data may be lost.
   *
   * @defaultValue `'ext4'`
   */
  readonly failedSync?: 'ext4' | 'xfs' | 'btrfs' | undefined;
  /**
   * Whether a power cut may break off a write inside a sector. Otherwise a sector is written whole or not at all.
   *
   * @defaultValue `false`
   */
  readonly tearsSectors?: boolean | undefined;
  /**
   * How often a write or read is short, or interrupted (`EINTR`, `EAGAIN`), at random: 0 to 1.
   *
   * @defaultValue `0`
   */
  readonly nuisance?: number | undefined;
}

/** A system call that can be made to fail: {@link SimulatedMachine.failNext}. `sync` is the fsync of a file. */
export type DiskOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'sync-directory'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'readdir'
  | 'stat'
  | 'close';

/** The operations that {@link SimulatedMachine.failNext} applies to. */
export interface FaultScope {
  /** Only operations on this path, or on a path that ends with this after a separator. */
  readonly path?: string | undefined;
  /** This many of them succeed first. Default: 0. */
  readonly after?: number | undefined;
  /** This many of them fail. Default: 1. */
  readonly times?: number | undefined;
}

/** How a machine stops: the power goes, or the process is killed (written data is then kept even if it was not synced). */
export type CrashKind = 'power-cut' | 'kill';

/** A byte that {@link SimulatedMachine.damage} has changed. */
export interface SimulatedDamage {
  /** The file, absolute. */
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** The bits that were flipped. */
  readonly mask: number;
}

const KINDS: Readonly<Record<DiskOperation, readonly OperationKind[]>> = {
  open: ['open'],
  read: ['read'],
  write: ['write'],
  truncate: ['truncate'],
  sync: ['sync', 'datasync'],
  'sync-directory': ['syncDirectory'],
  rename: ['rename'],
  unlink: ['unlink'],
  mkdir: ['mkdir'],
  readdir: ['list'],
  stat: ['stat'],
  close: ['close'],
};

/** Separates the random numbers for durations from those for the disk's behaviour. */
const TIMES_SEED = 0x71e;

/**
 * A computer in memory, with a disk that loses what was not synced, and a clock that takes no real time: logs and files on it are
 * crash-tested in milliseconds.
 *
 * - {@link SimulatedMachine.open} opens a {@link Wal} on its disk: the same class, whose writer and syncs take turns with your
 *   code on this thread. The seed decides how long each takes, and so in which order they happen.
 * - {@link SimulatedMachine.fs} gives access to your own files on the same disk.
 * - {@link SimulatedMachine.powerCut}, {@link SimulatedMachine.kill} and {@link SimulatedMachine.crashAfter} stop the machine.
 *   Pending promises then stay pending for ever, since the code that waits for them is gone. A new call on a log of an earlier
 *   boot fails with `ERR_WAL_CLOSED`, or with the failure that ended the log before. Open the log again to continue.
 *
 * Code that waits for something else (a timer of Node, a real file) works, but then the order no longer depends on the seed
 * alone.
 *
 * @example
 * ```js
 * const machine = new SimulatedMachine({ seed: 1 });
 * const wal = await machine.open('./data');
 * await wal.append('kept', { durable: true });
 * machine.powerCut();
 * const again = await machine.open('./data');
 * console.log(again.lastLsn);
 * ```
 */
export class SimulatedMachine {
  /** The seed that was passed. */
  readonly seed: number;
  readonly #disk: SimulatedDisk;
  readonly #timeline: Timeline;
  readonly #times: Random;
  readonly #logs = new Map<SimulatedThreads, () => void>();
  #boot: Boot;
  #fs: SimulatedFs;
  #stopAt = Number.POSITIVE_INFINITY;
  #stopKind: CrashKind = 'power-cut';
  #onStop: ((kind: CrashKind) => void)[] = [];
  readonly #diskBytes: number;

  /** @throws ERR_WAL_OPTION: an option is missing or out of its range */
  constructor(options: SimulatedMachineOptions) {
    const { seed, diskBytes, failedSync, tearsSectors, nuisance } = options ?? {};
    if (!Number.isSafeInteger(seed)) {
      throw new WalError('ERR_WAL_OPTION', `seed must be an integer, not ${String(seed)}.`);
    }
    this.seed = seed;
    this.#diskBytes = diskBytes ?? Number.POSITIVE_INFINITY;
    this.#disk = new SimulatedDisk({
      seed,
      capacityBytes: this.#diskBytes,
      failedSync: failedSync ?? 'ext4',
      tearsSectors: tearsSectors ?? false,
      nuisance: nuisance ?? 0,
      pid: process.pid,
    });
    this.#disk.plantDirectory(process.cwd());
    this.#disk.plantDirectory(tmpdir());
    this.#times = new Random(seed + TIMES_SEED);
    this.#timeline = new Timeline(this.#disk, () => this.#afterTurn());
    this.#boot = new Boot(this.#disk, this.#timeline, this.#times);
    this.#fs = new SimulatedFs(this.#boot);
    this.#watch();
  }

  /**
   * Opens the log in `directory` of the simulated disk, as {@link Wal.open} does on the real one; pass it to your code instead of
   * `Wal.open`. The option `readOnly` and the method `attachment()` are refused with `ERR_WAL_OPTION`. The options `busyPoll` and
   * `workerUrl` have no effect. `flushSync` has no time-out. Without `onError`, failures that no promise reports go to the trace.
   *
   * @throws as {@link Wal.open}
   */
  readonly open = async (directory: string | URL, options: WalOptions = {}): Promise<Wal> => {
    const boot = this.#boot;
    const threads = new SimulatedThreads(boot, process.pid);
    this.#logs.set(threads, () => threads.abandonOpening());
    try {
      const { wal, connection } = await Wal.openOn(threads, directory, {
        onError: (error) => this.#disk.note(`---- ${error.message}`),
        ...options,
      });
      if (!boot.isOver) {
        this.#logs.set(threads, () => connection.abandon());
        return wal;
      }
      connection.abandon();
    } catch (error) {
      this.#logs.delete(threads);
      if (!boot.isOver) throw error;
    }
    // The code that waits for this is gone.
    return new Promise(() => {});
  };

  /** The files on the disk, for the code of this boot. */
  get fs(): SimulatedFs {
    return this.#fs;
  }

  /** Milliseconds since the machine was made, by its own clock. */
  get nowMs(): number {
    return this.#timeline.nowMs;
  }

  /** Resolves when this much time has passed by the machine's clock. Stays pending if the machine stops before. */
  sleep(ms: number): Promise<void> {
    const boot = this.#boot;
    return new Promise((resolve) => {
      boot.plan(Math.max(0, ms), () => resolve());
    });
  }

  /** The machine has stopped in the middle of an operation. It is on again in the next turn of the event loop. */
  get hasStopped(): boolean {
    return this.#disk.hasStopped;
  }

  /** No event is planned on the machine: code that waits for an event waits for ever. */
  get isIdle(): boolean {
    return this.#timeline.isEmpty && !this.hasStopped;
  }

  /**
   * The power goes. Any part of everything that was not synced is lost, in sectors of 512 bytes, and also names of files. All
   * open logs and files are gone. The machine is on again when this returns.
   */
  powerCut(): void {
    this.#stop('power-cut');
  }

  /** The process is killed. Written data is kept; locks and open files are gone. */
  kill(): void {
    this.#stop('kill');
  }

  /**
   * Stops the machine in the middle of a disk operation, after `operations` more of them. Resolves to the kind of crash once the
   * machine has stopped and is on again. An earlier {@link SimulatedMachine.powerCut} or {@link SimulatedMachine.kill} counts as
   * well.
   *
   * @param operations from 0
   */
  crashAfter(operations: number, kind: CrashKind = 'power-cut'): Promise<CrashKind> {
    if (!Number.isSafeInteger(operations) || operations < 0) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `operations must be an integer from 0, not ${String(operations)}.`,
      );
    }
    this.#stopAt = this.#disk.counts.operations + operations;
    this.#stopKind = kind;
    return this.untilCrash();
  }

  /** Resolves to the kind of crash when the machine has stopped the next time and is on again. */
  untilCrash(): Promise<CrashKind> {
    return new Promise((resolve) => {
      this.#onStop.push(resolve);
    });
  }

  /** Disk operations so far. */
  get operations(): number {
    return this.#disk.counts.operations;
  }

  /** How often the machine was started, this time included. */
  get boots(): number {
    return this.#disk.counts.boots;
  }

  /**
   * Makes the next operation of a kind fail with a system error code (`'EIO'`, `'ENOSPC'`, `'EMFILE'`, …). A sync that fails also
   * loses the data that it should have made durable: {@link SimulatedMachineOptions.failedSync}. A crash clears the planned
   * faults.
   *
   * @throws ERR_WAL_OPTION: there is no such operation
   */
  failNext(operation: DiskOperation, code: string, scope: FaultScope = {}): void {
    const kinds = KINDS[operation];
    if (kinds === undefined) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `operation must be one of ${Object.keys(KINDS).join(', ')}, not ${JSON.stringify(operation)}.`,
      );
    }
    const { path, after, times } = scope;
    this.#disk.failNext(
      kinds,
      { code },
      {
        ...(path !== undefined && { path }),
        ...(after !== undefined && { after }),
        ...(times !== undefined && { times }),
      },
    );
  }

  /** Clears everything that {@link SimulatedMachine.failNext} has planned. */
  clearFaults(): void {
    this.#disk.clearFaults();
    this.#watch();
  }

  /**
   * Fills the disk: files keep the space they have, and everything that needs more fails with `ENOSPC`. Space that a removed or
   * shortened file gives back can be used again.
   */
  fillDisk(): void {
    this.#disk.capacityBytes = this.#disk.usedBytes;
  }

  /** Gives the disk room again: as much as the option `diskBytes`. */
  freeDisk(): void {
    this.#disk.capacityBytes = this.#diskBytes;
  }

  /**
   * Flips bits of a synced byte at rest, as a failing disk does. Default: one bit of any byte of any file, chosen by the seed.
   * Readers see the change, unless newer bytes of that sector are still to be written.
   *
   * @returns the changed byte; `undefined`: the disk is empty
   * @throws ERR_WAL_OPTION: that byte is not on the disk
   */
  damage(place: { path?: FilePath; offset?: number; mask?: number } = {}): SimulatedDamage | undefined {
    const { path, offset, mask = 1 << this.#times.below(8) } = place;
    const sizes = (path === undefined ? this.#disk.paths() : [pathOf(path)])
      .map((each) => ({ path: each, bytes: this.#disk.durableContents(each).length }))
      .filter(({ bytes }) => bytes > 0);
    if (sizes.length === 0) return undefined;
    const picked = this.#times.pick(sizes);
    const at = offset ?? this.#times.below(picked.bytes);
    if (!Number.isSafeInteger(at) || at < 0 || at >= picked.bytes) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `Cannot damage byte ${at} of "${picked.path}": the disk holds ${picked.bytes} bytes of it.`,
        { path: picked.path },
      );
    }
    this.#disk.rot(picked.path, at, mask);
    return { path: picked.path, offset: at, mask };
  }

  /** The last operations of the disk, one per line: number, kind, path, place, bytes, outcome. */
  get trace(): string {
    return this.#disk.trace;
  }

  #watch(): void {
    this.#disk.onOperation(({ index }) => {
      if (index < this.#stopAt) return undefined;
      this.#stopAt = Number.POSITIVE_INFINITY;
      // Delivers everything posted until now: a promise that this resolves counts as resolved before the crash.
      for (const threads of this.#logs.keys()) threads.deliver();
      this.#timeline.interrupt();
      return { crash: true };
    });
  }

  #afterTurn(): void {
    if (this.hasStopped) this.#stop(this.#stopKind);
    for (const threads of this.#logs.keys()) if (threads.isOver) this.#logs.delete(threads);
  }

  #stop(kind: CrashKind): void {
    const logs = [...this.#logs];
    this.#logs.clear();
    this.#boot.isOver = true;
    this.#timeline.clear();
    for (const [threads, abandon] of logs) if (!threads.isOver) abandon();
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.clearFaults();
    if (kind === 'power-cut') this.#disk.powerCut();
    else this.#disk.killProcess();
    this.#boot = new Boot(this.#disk, this.#timeline, this.#times);
    this.#fs = new SimulatedFs(this.#boot);
    const listeners = this.#onStop;
    this.#onStop = [];
    for (const listener of listeners) listener(kind);
  }
}
