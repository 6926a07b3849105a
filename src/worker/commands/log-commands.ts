import type { Disk } from '../../files/disk.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogCommand } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { type CutPlace, cutLog } from '../directory/tail-cut.js';
import { failureOf, LogFailure, mayPass, PassingError, systemCause } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import { describeSegments, type SegmentCatalog } from '../write/segment-catalog.js';
import { findEntryEnd } from './entry-end.js';

/**
 * Runs `checkpoint`, `truncateBefore` and `truncateAfter`. A command runs to its end on the writer thread: the writer takes in
 * nothing meanwhile, so no other change can come in between.
 */
export class LogCommands {
  readonly #disk: Disk;
  readonly #options: WriterOptions;
  readonly #logId: bigint;
  readonly #place: LogDirectory;
  readonly #catalog: SegmentCatalog;
  readonly #status: LogStatus;
  readonly #opener: AckChannel;
  readonly #tail: LogTail;
  readonly #committer: Committer;

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
  }) {
    this.#disk = parts.disk;
    this.#options = parts.options;
    this.#logId = parts.logId;
    this.#place = parts.place;
    this.#catalog = parts.catalog;
    this.#status = parts.status;
    this.#opener = parts.opener;
    this.#tail = parts.tail;
    this.#committer = parts.committer;
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
    return this.#attempt(command, ({ name, lsn }) => {
      this.#tail.checkPlace();
      this.#checkRange(name, lsn);
      if (name === 'truncateBefore') return housekeeper.removeBelow(lsn);
      if (name === 'checkpoint')
        committer.withRoom(() => housekeeper.setCheckpoint(lsn, committer.watermark));
      else if (lsn < this.#tail.wholeLsn) this.#truncateAfter(lsn);
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
      return failureOf(cause, `${command.name}(${command.lsn}) on "${directory}"`, directory);
    }
  }

  /** A command that was refused, or found no room before it changed anything, leaves the log unchanged. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !mayPass(error);
  }

  #checkRange(name: LogCommand['name'], lsn: number): void {
    const { firstLsn } = this.#catalog;
    const lastLsn = this.#tail.wholeLsn;
    const isLow = name === 'truncateAfter' && lsn < firstLsn;
    // One past the end is the place of the next entry: everything before it may be removed.
    const isHigh = lsn > (name === 'truncateBefore' ? lastLsn + 1 : lastLsn);
    if (!isLow && !isHigh) return;
    const { directory } = this.#options;
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot ${name}(${lsn}) on "${directory}": the log ${lastLsn === 0 ? 'is empty' : `holds entries ${firstLsn} to ${lastLsn}`}.`,
      { path: directory, lsn },
    );
  }

  /**
   * Makes `wantedLsn` the last entry, or the one before it if `wantedLsn` was skipped: the next LSN depends on it. The state file
   * first records the intent and the lowered watermark. From then on a crash leaves a cut that the next open finishes.
   */
  #truncateAfter(wantedLsn: number): void {
    const { directory, fileMode } = this.#options;
    const committer = this.#committer;
    const { housekeeper } = committer;
    const end = findEntryEnd(this.#disk, directory, this.#catalog, this.#logId, wantedLsn);
    const { lsn, ...place } = end;
    if (lsn === this.#tail.wholeLsn) return;
    // The bytes after the frames are not worth a side file.
    this.#tail.trim();
    const segments = this.#catalog.toArray().map(({ number }) => number);
    const checkpoint = Math.min(housekeeper.checkpoint, lsn);
    const state = { ...housekeeper.state(lsn), checkpoint };
    let isBegun = false;
    try {
      // Checks the directory only: the live segment may be among those that are removed.
      const checkPlace = () => this.#place.check();
      const cut = { directory, segments, place, lsn: lsn + 1, fileMode, keepsTail: true, checkPlace };
      cutLog(this.#disk, cut, () => {
        committer.withRoom(() => housekeeper.writeState({ ...state, pendingCut: { ...place, lsn } }));
        isBegun = true;
        this.#announceCut(place, lsn, checkpoint);
      });
      committer.withRoom(() => housekeeper.writeState(state));
      this.#tail.reopenAt(lsn);
    } catch (error) {
      if (!isBegun || error instanceof LogFailure) throw error;
      throw new LogFailure(
        'ERR_WAL_IO',
        `Cannot finish truncateAfter(${lsn}) on "${directory}": ${systemCause(error).message}.`,
        { path: directory, lsn, cause: error },
      );
    }
  }

  /** Before any file is removed: a reader learns of the cut, not of a missing file. From here on the cut succeeds or the log ends. */
  #announceCut(place: CutPlace, lsn: number, checkpoint: number): void {
    this.#catalog.cutAfter(place.segment, place.offset);
    this.#status.add('cuts', 1);
    this.#committer.lowerWatermark(lsn);
    this.#committer.housekeeper.noteCheckpoint(checkpoint);
    this.#status.set('lastLsn', lsn);
    this.#status.set('liveBytes', place.offset);
    const segments = describeSegments(this.#catalog, this.#options.directory, lsn);
    this.#opener.post({ kind: 'truncated', lsn, segments });
  }
}
