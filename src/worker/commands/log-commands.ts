import type { Disk } from '../../files/disk.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogCommand } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf, LogFailure, mayPass, PassingError } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';
import { LogCuts } from './log-cuts.js';

/**
 * Runs `checkpoint`, `truncateBefore`, `truncateAfter`, `reset` and `rotate`. A command runs to its end on the writer thread: the writer takes in
 * nothing meanwhile, so no other change can come in between.
 */
export class LogCommands {
  readonly #options: WriterOptions;
  readonly #status: LogStatus;
  readonly #cuts: LogCuts;
  readonly #tail: LogTail;
  readonly #committer: Committer;
  readonly #rotate: () => void;

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
    readonly rotate: () => void;
  }) {
    this.#options = parts.options;
    this.#status = parts.status;
    this.#cuts = new LogCuts(parts);
    this.#tail = parts.tail;
    this.#committer = parts.committer;
    this.#rotate = parts.rotate;
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
          this.#sealLive();
          break;
        case 'checkpoint':
          committer.withRoom(() => housekeeper.setCheckpoint(lsn, committer.watermark));
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

  #attempt(command: LogCommand, act: (command: LogCommand) => Failure | undefined): Failure | undefined {
    try {
      return act(command);
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      const { directory } = this.#options;
      const cause = error instanceof PassingError ? error.cause : error;
      return failureOf(cause, `${describeCommand(command)} on "${directory}"`, directory);
    }
  }

  /** A command that was refused, or found no room before it changed anything, leaves the log unchanged. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !mayPass(error);
  }

  /**
   * When it returns, the sealed segment is durable and holds frames only. What a crash leaves is what one at any rotation leaves: the
   * next segment is there, without an entry, or it is not.
   */
  #sealLive(): void {
    if (this.#tail.progress.bytes === 0) return;
    this.#rotate();
    this.#committer.syncSealed();
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
