import { tmpdir } from 'node:os';
import type { OperationKind } from '../files/simulation/simulated-disk.js';
import { Random, SimulatedDisk } from '../files/simulation/simulated-disk.js';
import { Wal, WalError, type WalOptions } from '../index.js';
import { Boot } from './boot.js';
import { type FilePath, pathOf } from './file-operations.js';
import { SimulatedFs } from './simulated-fs.js';
import { SimulatedThreads } from './simulated-threads.js';
import { Timeline } from './timeline.js';

/** What a {@link SimulatedMachine} is like. */
export interface SimulatedMachineOptions {
  /** Decides everything that chance decides: an integer. The same seed and the same calls give the same events. */
  readonly seed: number;
  /** Size of the disk in bytes; files take whole sectors of 512. Default: no limit. */
  readonly diskBytes?: number | undefined;
  /**
   * What a failed fsync leaves of the data that it should have made durable, as one of these file systems does. On all three the next
   * fsync succeeds and the data may be lost.
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
   * How often a write or read is short, or interrupted (`EINTR`, `EAGAIN`), for no reason: 0 to 1.
   *
   * @defaultValue `0`
   */
  readonly nuisance?: number | undefined;
}

/** A call of the system that can be made to fail: {@link SimulatedMachine.failNext}. `sync` is the fsync of a file. */
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

/** Which operations {@link SimulatedMachine.failNext} means. */
export interface FaultScope {
  /** Only those on this path, or on a path that ends with this after a separator. */
  readonly path?: string | undefined;
  /** So many of them succeed before. Default: 0. */
  readonly after?: number | undefined;
  /** So many of them fail. Default: 1. */
  readonly times?: number | undefined;
}

/** How a machine stops: the power goes, or the process is killed (what was written and not synced is kept then). */
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

/** Keeps the numbers that decide how long things take apart from those that decide what the disk does. */
const TIMES_SEED = 0x71e;

/** What a full disk has room for: what it holds already. */
const NOTHING_MORE = 0;

/**
 * A computer in memory, with a disk that loses what was not synced, and a clock that nobody waits for: logs and files on it are crash-tested
 * in milliseconds.
 *
 * - {@link SimulatedMachine.open} opens a {@link Wal} on its disk: the same class, whose writer and syncs take turns with your
 *   code in this thread. How long each takes, and so what comes before what, the seed decides.
 * - {@link SimulatedMachine.fs} has your own files on the same disk.
 * - {@link SimulatedMachine.powerCut}, {@link SimulatedMachine.kill} and {@link SimulatedMachine.crashAfter} stop it. What is
 *   pending then stays pending for ever, as the code that waits for it is gone; a new call on a log of an earlier boot fails with
 *   `ERR_WAL_CLOSED`, or with the failure that had ended the log before. Open the log again to continue.
 *
 * Code that waits for something else (a timer of Node, a real file) works, but then not only the seed decides the order.
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
  /** The option. */
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
   * Opens the log in `directory` of the simulated disk, as {@link Wal.open} does on the real one; pass it to your code in the place of
   * that. What does not fit is refused (`readOnly`) or has no effect (`busyPoll`, `workerUrl`), and `attachment()` is refused,
   * each with `ERR_WAL_OPTION`. `flushSync` has no time-out. What no promise tells is in the trace where there is no `onError`.
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
    // The code that wanted it is gone.
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

  /** Resolves when so much time has passed by the machine's clock. Stays pending if the machine stops before. */
  sleep(ms: number): Promise<void> {
    const boot = this.#boot;
    return new Promise((resolve) => {
      boot.plan(Math.max(0, ms), () => resolve());
    });
  }

  /** It has stopped in the middle of an operation, and is on again in the next turn of the event loop. */
  get hasStopped(): boolean {
    return this.#disk.hasStopped;
  }

  /** Nothing is going to happen on the machine by itself: whoever still waits for it waits in vain. */
  get isIdle(): boolean {
    return this.#timeline.isEmpty && !this.hasStopped;
  }

  /**
   * The power goes. Of everything that was not synced any part is lost, in sectors of 512 bytes, names of files as well; everything that
   * has the log or a file open is gone. The machine is on again when this returns.
   */
  powerCut(): void {
    this.#stop('power-cut');
  }

  /** The process is killed. What was written is kept, locks and open files are gone. */
  kill(): void {
    this.#stop('kill');
  }

  /**
   * The machine will stop in the middle of a disk operation: after `operations` more of them. Resolves once it has, and is on
   * again, to how. {@link SimulatedMachine.powerCut} and {@link SimulatedMachine.kill} before that count as well.
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

  /** Resolves when the machine has stopped the next time, and is on again, to how. */
  untilCrash(): Promise<CrashKind> {
    return new Promise((resolve) => {
      this.#onStop.push(resolve);
    });
  }

  /** Disk operations so far. */
  get operations(): number {
    return this.#disk.counts.operations;
  }

  /** Times that the machine was started, this one included. */
  get boots(): number {
    return this.#disk.counts.boots;
  }

  /**
   * The next operation of a kind fails with a code of the system (`'EIO'`, `'ENOSPC'`, `'EMFILE'`, …). A sync that fails has also lost
   * what it should have made durable: {@link SimulatedMachineOptions.failedSync}. A crash ends it.
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

  /** Nothing that {@link SimulatedMachine.failNext} has planned happens. */
  clearFaults(): void {
    this.#disk.clearFaults();
    this.#watch();
  }

  /** The disk has no room any more but what files have already: what needs more fails with `ENOSPC`. */
  fillDisk(): void {
    this.#disk.capacityBytes = NOTHING_MORE;
  }

  /** The disk has room again: the option `diskBytes`. */
  freeDisk(): void {
    this.#disk.capacityBytes = this.#diskBytes;
  }

  /**
   * Flips bits at rest, as a disk does that goes bad: in a byte that was synced. Default: one bit of any byte of any file, as the
   * seed decides. Readers see it, unless newer bytes of that sector are still to be written.
   *
   * @returns what it has changed; `undefined`: nothing is on the disk
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
        `Cannot damage byte ${at} of "${picked.path}": ${picked.bytes} bytes of it are on the disk.`,
        { path: picked.path },
      );
    }
    this.#disk.rot(picked.path, at, mask);
    return { path: picked.path, offset: at, mask };
  }

  /** The last operations of the disk, one in a line: number, kind, path, place, bytes, outcome. */
  get trace(): string {
    return this.#disk.trace;
  }

  #watch(): void {
    this.#disk.onOperation(({ index }) => {
      if (index < this.#stopAt) return undefined;
      this.#stopAt = Number.POSITIVE_INFINITY;
      // What was posted until now has been said: a promise that it keeps is one that counts.
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
