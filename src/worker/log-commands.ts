import type { Disk } from '../files/disk.js';
import type { Board } from '../ring/board.js';
import { findEntryEnd } from './entry-end.js';
import { failureOf, LogFailure, systemCause } from './failure.js';
import type { GroupWriter } from './group-writer.js';
import type { Housekeeper } from './housekeeper.js';
import type { Failure, LogCommand, ToLane, WriterOptions } from './messages.js';
import { describeSegments, type SegmentCatalog } from './segment-catalog.js';
import { type CutPlace, cutLog } from './tail-cut.js';

/** What commands need of the writer. */
export interface CommandHost {
  readonly groups: GroupWriter;
  readonly watermark: number;
  /** When it returns recovery is done, and everything that was accepted before the command is durable. */
  syncAll(): void;
  /** The log ends at entry `lsn` from here on; what it says to others follows. */
  lowerWatermark(lsn: number): void;
  /** The cut is made: the next entry is written behind `lsn`. */
  resumeAt(lsn: number): void;
  /** A state of the system that passes, and in which nothing was harmed. */
  mayPass(error: unknown): boolean;
}

/**
 * `checkpoint`, `truncateBefore`, `truncateAfter`. A command runs to its end on the writer thread: nothing is taken in
 * meanwhile, so that it needs to reckon with no other change.
 */
export class LogCommands {
  readonly #disk: Disk;
  readonly #options: WriterOptions;
  readonly #logId: bigint;
  readonly #catalog: SegmentCatalog;
  readonly #board: Board;
  readonly #housekeeper: Housekeeper;
  readonly #tell: (message: ToLane) => void;
  readonly #host: CommandHost;

  constructor(
    { disk, options, board }: { readonly disk: Disk; readonly options: WriterOptions; readonly board: Board },
    { logId, catalog }: { readonly logId: bigint; readonly catalog: SegmentCatalog },
    housekeeper: Housekeeper,
    tell: (message: ToLane) => void,
    host: CommandHost,
  ) {
    this.#disk = disk;
    this.#options = options;
    this.#logId = logId;
    this.#catalog = catalog;
    this.#board = board;
    this.#housekeeper = housekeeper;
    this.#tell = tell;
    this.#host = host;
  }

  /**
   * Everything before it on its lane is written. Answers what kept it from being carried out, which left the log as it was.
   *
   * @throws what the log must end for
   */
  run({ name, lsn }: LogCommand): Failure | undefined {
    const host = this.#host;
    try {
      host.syncAll();
      host.groups.segments.checkPlace();
      this.#checkRange(name, lsn);
      if (name === 'truncateBefore') return this.#housekeeper.removeBelow(lsn);
      if (name === 'checkpoint') this.#housekeeper.setCheckpoint(lsn, host.watermark);
      else if (lsn < host.groups.wholeLsn) this.#truncateAfter(lsn);
      return undefined;
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      const { directory } = this.#options;
      return failureOf(error, `${name}(${lsn}) on "${directory}"`, directory);
    }
  }

  /** A command that asked for too much, or found no room before it changed anything, leaves the log as it was. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !this.#host.mayPass(error);
  }

  #checkRange(name: LogCommand['name'], lsn: number): void {
    const { firstLsn } = this.#catalog;
    const lastLsn = this.#host.groups.wholeLsn;
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
    const { groups } = this.#host;
    const housekeeper = this.#housekeeper;
    const end = findEntryEnd(this.#disk, directory, this.#catalog, this.#logId, wantedLsn);
    const { lsn, ...place } = end;
    if (lsn === groups.wholeLsn) return;
    // What stands behind the frames is nothing that a side file should keep.
    groups.segments.trim();
    const segments = this.#catalog.records.map(({ number }) => number);
    const checkpoint = Math.min(housekeeper.checkpoint, lsn);
    const state = { ...housekeeper.state(lsn), checkpoint };
    let isBegun = false;
    try {
      cutLog(this.#disk, { directory, segments, place, lsn: lsn + 1, fileMode, keepsTail: true }, () => {
        housekeeper.writeState({ ...state, pendingCut: { ...place, lsn } });
        isBegun = true;
        this.#announceCut(place, lsn, checkpoint);
      });
      housekeeper.writeState(state);
      groups.segments.close();
      this.#host.resumeAt(lsn);
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
    this.#host.lowerWatermark(lsn);
    this.#housekeeper.noteCheckpoint(checkpoint);
    this.#board.set('durableLsn', lsn);
    this.#board.set('lastLsn', lsn);
    this.#board.set('liveBytes', place.offset);
    const segments = describeSegments(this.#catalog, this.#options.directory, lsn);
    this.#tell({ kind: 'truncated', lsn, segments });
  }
}
