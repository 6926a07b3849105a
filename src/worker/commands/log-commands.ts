import type { Disk } from '../../files/disk.js';
import type { Failure } from '../../protocol/errors.js';
import type { LogCommand } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogPlace } from '../directory/log-place.js';
import { type CutPlace, cutLog } from '../directory/tail-cut.js';
import { failureOf, LogFailure, mayPass, PassingError, systemCause } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import { describeSegments, type SegmentCatalog } from '../write/segment-catalog.js';
import { findEntryEnd } from './entry-end.js';

/**
 * `checkpoint`, `truncateBefore`, `truncateAfter`. A command runs to its end on the writer thread: nothing is taken in
 * meanwhile, so that it needs to reckon with no other change.
 */
export class LogCommands {
  readonly #disk: Disk;
  readonly #options: WriterOptions;
  readonly #logId: bigint;
  readonly #place: LogPlace;
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
    readonly place: LogPlace;
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
   * Makes everything durable that was accepted before the command. Answers what kept it from that; the log is as it was.
   *
   * @throws what the log must end for
   */
  prepare(command: LogCommand): Failure | undefined {
    return this.#attempt(command, () => {
      this.#committer.syncAll();
      return undefined;
    });
  }

  /**
   * Carries the command out, after [prepare]. Answers what kept it from being carried out, which left the log as it was.
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

  /** A command that asked for too much, or found no room before it changed anything, leaves the log as it was. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !mayPass(error);
  }

  #checkRange(name: LogCommand['name'], lsn: number): void {
    const { firstLsn } = this.#catalog;
    const lastLsn = this.#tail.wholeLsn;
    const isLow = name === 'truncateAfter' && lsn < firstLsn;
    // One past the end is where the next entry will be: everything before it may go.
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
   * Makes `wantedLsn` the last entry, or, if it was skipped, the one before it: the next LSN follows from that. The
   * state file records the intent, and the lowered watermark, before anything goes: from then on a crash leaves a cut
   * that the next open finishes.
   */
  #truncateAfter(wantedLsn: number): void {
    const { directory, fileMode } = this.#options;
    const committer = this.#committer;
    const { housekeeper } = committer;
    const end = findEntryEnd(this.#disk, directory, this.#catalog, this.#logId, wantedLsn);
    const { lsn, ...place } = end;
    if (lsn === this.#tail.wholeLsn) return;
    // What stands behind the frames is nothing that a side file should keep.
    this.#tail.trim();
    const segments = this.#catalog.toArray().map(({ number }) => number);
    const checkpoint = Math.min(housekeeper.checkpoint, lsn);
    const state = { ...housekeeper.state(lsn), checkpoint };
    let isBegun = false;
    try {
      // Not that the live segment is there: it may be among those that go.
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
        `Cannot finish truncateAfter(${lsn}): ${systemCause(error).message}.`,
        { path: directory, lsn, cause: error },
      );
    }
  }

  /** Before anything goes: a reader is told of the cut, not that a file is missing. From here on it is made, or the log ends. */
  #announceCut(place: CutPlace, lsn: number, checkpoint: number): void {
    this.#catalog.cutBehind(place.segment, place.offset);
    this.#committer.lowerWatermark(lsn);
    this.#committer.housekeeper.noteCheckpoint(checkpoint);
    this.#status.set('lastLsn', lsn);
    this.#status.set('liveBytes', place.offset);
    const segments = describeSegments(this.#catalog, this.#options.directory, lsn);
    this.#opener.post({ kind: 'truncated', lsn, segments });
  }
}
