import type { Disk } from '../../files/disk.js';
import type { ChangeResult, CheckpointChange } from '../../protocol/checkpoint-changes.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogCommand } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf, LogFailure, mayPass, PassingError } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import { changePlaces } from '../upkeep/kept-places.js';
import type { LogTail } from '../write/log-tail.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';
import { LogCuts } from './log-cuts.js';

/**
 * Runs `checkpoint`, `truncateBefore`, `truncateAfter`, `reset` and `rotate`, and changes of named checkpoints. A command runs to its end on the writer thread: the writer takes in
 * nothing meanwhile, so no other change can come in between.
 */
export class LogCommands {
  readonly #options: WriterOptions;
  readonly #status: LogStatus;
  readonly #cuts: LogCuts;
  readonly #catalog: SegmentCatalog;
  readonly #tail: LogTail;
  readonly #committer: Committer;
  readonly #sealLive: () => void;

  constructor(parts: {
    readonly disk: Disk;
    readonly options: WriterOptions;
    readonly status: LogStatus;
    readonly logId: bigint;
    readonly place: LogDirectory;
    readonly catalog: SegmentCatalog;
    readonly opener: AckChannel;
    readonly tail: LogTail;
    readonly committer: Committer;
    /** Seals the live segment and begins the next one. */
    readonly sealLive: () => void;
  }) {
    this.#options = parts.options;
    this.#status = parts.status;
    this.#catalog = parts.catalog;
    this.#cuts = new LogCuts(parts);
    this.#tail = parts.tail;
    this.#committer = parts.committer;
    this.#sealLive = parts.sealLive;
  }

  /**
   * Makes everything durable that was accepted before the command. Returns why that failed; the log is then unchanged.
   *
   * @throws an error that ends the log
   */
  prepare(command: LogCommand): Failure | undefined {
    return this.#attempt(command, () => {
      this.#committer.syncAll();
      return undefined;
    });
  }

  /**
   * Carries the command out, after [prepare]. Returns why it could not be carried out; the log is then unchanged.
   *
   * @throws what the log must end for
   */
  run(command: LogCommand): Failure | undefined {
    const committer = this.#committer;
    const { housekeeper } = committer;
    return this.#attempt(command, ({ name, lsn, splitBatch = false }) => {
      this.#tail.checkPlace();
      this.#checkRange(name, lsn);
      switch (name) {
        case 'rotate':
          // A segment without an entry is none that could be sealed.
          if (this.#tail.progress.bytes > 0) this.#sealLive();
          break;
        case 'checkpoint':
          committer.withRoom(() => housekeeper.keep({ checkpoint: lsn }, committer.watermark));
          break;
        case 'truncateBefore':
          if (lsn > this.#status.get('firstLsn'))
            committer.withRoom(() => housekeeper.raiseFloor(lsn, committer.watermark));
          return housekeeper.removeBelow(lsn);
        case 'truncateAfter':
          if (lsn < this.#tail.wholeLsn) this.#cuts.truncateAfter(lsn, splitBatch);
          break;
        case 'reset':
          this.#cuts.reset(lsn);
      }
      return undefined;
    });
  }

  /**
   * Makes changes of named checkpoints, and of the archive's progress, durable in one step. Only the entries that they name must be
   * durable before. A failure refuses all of them, and the log is then unchanged.
   *
   * @throws what the log must end for
   */
  change(changes: readonly CheckpointChange[]): { readonly results: ChangeResult[] } | Failure {
    const committer = this.#committer;
    const { housekeeper } = committer;
    const { directory } = this.#options;
    try {
      const highest = Math.max(0, ...changes.map((change) => (change.kind === 'set' ? change.lsn : 0)));
      committer.syncUpTo(Math.min(highest, this.#tail.wholeLsn));
      this.#tail.checkPlace();
      const { places, results } = changePlaces(housekeeper.places, changes, {
        directory,
        firstLsn: this.#status.get('firstLsn'),
        lastLsn: this.#tail.wholeLsn,
        live: this.#catalog.last?.number ?? 0,
        cuts: this.#cuts.made,
      });
      if (places !== undefined) committer.withRoom(() => housekeeper.keep(places, committer.watermark));
      return { results };
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      return failureOf(causeOf(error), `record checkpoints of "${directory}"`, directory);
    }
  }

  #attempt(command: LogCommand, act: (command: LogCommand) => Failure | undefined): Failure | undefined {
    try {
      return act(command);
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      const { directory } = this.#options;
      return failureOf(causeOf(error), `${describeCommand(command)} on "${directory}"`, directory);
    }
  }

  /** A command that was refused, or found no room before it changed anything, leaves the log unchanged. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !mayPass(error);
  }

  #checkRange(name: LogCommand['name'], lsn: number): void {
    if (name === 'rotate' || name === 'reset') return;
    const firstLsn = this.#status.get('firstLsn');
    const lastLsn = this.#tail.wholeLsn;
    // One before the first entry is the place where the log ends once it is emptied.
    const isLow = name === 'truncateAfter' && lsn < firstLsn - 1;
    // One past the end is the place of the next entry: everything before it may be removed.
    const isHigh = lsn > (name === 'truncateBefore' ? lastLsn + 1 : lastLsn);
    if (!isLow && !isHigh) return;
    const { directory } = this.#options;
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot ${name}(${lsn}) on "${directory}": the log ${describeExtent(firstLsn, lastLsn)}.`,
      { path: directory, lsn },
    );
  }
}

function describeCommand({ name, lsn }: LogCommand): string {
  return name === 'rotate' ? 'rotate()' : `${name}(${lsn})`;
}

function describeExtent(firstLsn: number, lastLsn: number): string {
  if (lastLsn === 0) return 'is empty';
  return firstLsn > lastLsn
    ? `is empty and goes on with entry ${firstLsn}`
    : `holds entries ${firstLsn} to ${lastLsn}`;
}

function causeOf(error: unknown): unknown {
  return error instanceof PassingError ? error.cause : error;
}
