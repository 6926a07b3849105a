import type { Disk } from '../../files/disk.js';
import { isRefusal } from '../../files/disk.js';
import { endingWith, type LogState, type PendingCut } from '../../format/state-file.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { createEmptySegment, removeEmptySegment, setAllAside } from '../directory/log-emptying.js';
import { listLog, newBranch } from '../directory/log-listing.js';
import { copyTailAside, discard } from '../directory/side-files.js';
import { type CutPlace, cutLog, setSnapshotsAside, snapshotsToCut } from '../directory/tail-cut.js';
import { LogFailure, systemCause } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import { removeShortened, useShortened, writeShortened } from '../rewrite/shortened-segment.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import { describeSegments, type SegmentCatalog } from '../write/segment-catalog.js';
import { type EntryEnd, findBatchStart, findEntryEnd, type LogOnDisk } from './entry-end.js';
import type { SnapshotCommands } from './snapshot-commands.js';

export interface LogCutsParts {
  readonly disk: Disk;
  readonly options: WriterOptions;
  readonly status: LogStatus;
  readonly logId: bigint;
  readonly place: LogDirectory;
  readonly catalog: SegmentCatalog;
  readonly opener: AckChannel;
  readonly tail: LogTail;
  readonly committer: Committer;
  readonly snapshots: SnapshotCommands;
}

/** One cut. */
interface Cut {
  /** For messages. */
  readonly doing: string;
  /** The state file holds this until the cut is finished. */
  readonly intent: PendingCut;
  /** The last entry that a reader may have seen and that stays. */
  readonly keptLsn: number;
  /** Makes the files that the cut needs, calls `recordIntent`, and may remove files after that. */
  readonly begin: (recordIntent: () => void) => void;
  readonly changeCatalog: () => void;
  readonly finish?: () => void;
  /** Removes the files that `begin`, or the caller before it, has made: there was no room to record the intent. */
  readonly undo?: () => void;
  /** Number of the segment whose file becomes another one. */
  readonly replaced?: number;
}

/**
 * Cuts entries off an open log in which everything accepted is durable: after an entry, inside a batch, or all entries. Each cut
 * begins a branch, since LSNs are given out again: the state file records the branch with the intent, before any byte goes.
 *
 * If there is no room before the intent is recorded, nothing has changed. From there on the cut succeeds, or the log ends and the
 * next open finishes it.
 */
export class LogCuts {
  readonly #parts: LogCutsParts;
  readonly #log: LogOnDisk;
  #made = 0;

  constructor(parts: LogCutsParts) {
    this.#parts = parts;
    const { disk, options, catalog, logId } = parts;
    this.#log = { disk, directory: options.directory, catalog, logId };
  }

  /** Cuts since the log was opened. */
  get made(): number {
    return this.#made;
  }

  /**
   * Makes `wantedLsn` the last entry, or the one before it if `wantedLsn` was skipped: the next LSN depends on it. `dryRun`: only
   * refuses what would be refused.
   */
  truncateAfter(wantedLsn: number, splitBatch: boolean, dryRun: boolean): void {
    const { status, tail } = this.#parts;
    const end = wantedLsn < status.get('firstLsn') ? undefined : findEntryEnd(this.#log, wantedLsn);
    if (end === undefined) {
      if (!dryRun) this.#empty(wantedLsn + 1, `truncateAfter(${wantedLsn})`);
      return;
    }
    if (end.lsn === tail.wholeLsn) return;
    if (end.batchRemaining > 0 && !splitBatch) throw this.#insideBatch(end);
    if (dryRun) return;
    // The bytes after the frames are not worth a side file.
    tail.trim();
    if (end.batchRemaining > 0 || end.blockOffset !== undefined) this.#cutByRewriting(end);
    else this.#cutAfter(end);
  }

  /** Empties the log; `nextLsn` comes next. */
  reset(nextLsn: number): void {
    const { tail, status } = this.#parts;
    const isThere = tail.nextLsn === nextLsn && status.get('firstLsn') > status.get('lastLsn');
    // A log that never had an entry, and would begin at `nextLsn` anyway, has nothing to lose either.
    if (isThere || (nextLsn === 1 && tail.nextLsn === 1)) return;
    this.#empty(nextLsn, `reset(${nextLsn})`);
  }

  #cutAfter({ segment, offset, lsn }: EntryEnd): void {
    const { disk, catalog } = this.#parts;
    const segments = catalog.toArray().map(({ number }) => number);
    const extent = { ...this.#naming(lsn + 1), segments, place: { segment, offset }, keepsTail: true };
    this.#carryOut(this.#stateEndingWith(lsn, segment), {
      doing: `truncateAfter(${lsn})`,
      intent: { segment, offset, lsn },
      keptLsn: lsn,
      begin: (recordIntent) => {
        cutLog(disk, extent, recordIntent);
      },
      changeCatalog: () => catalog.cutAfter(segment, offset),
    });
  }

  /** Inside a batch or inside a block: see shortened-segment.ts. */
  #cutByRewriting(end: EntryEnd): void {
    const { disk, options, catalog, logId, committer } = this.#parts;
    const { directory, fileMode } = options;
    const { lsn } = end;
    const batchEnd = this.#endOfBatch(end);
    const { start, segments } = this.#rewrittenFrom(end);
    const all = catalog.toArray().map(({ number }) => number);
    const naming = this.#naming(lsn + 1);
    const copies: string[] = [];
    const shortened = { directory, fileMode, logId, start, segments, lsn };
    const offset = committer.withRoom(() => writeShortened(disk, shortened));
    const place = { segment: start.segment, offset };
    this.#carryOut(this.#stateEndingWith(lsn, start.segment), {
      doing: `truncateAfter(${lsn})`,
      intent: { ...place, lsn },
      keptLsn: lsn,
      begin: (recordIntent) => {
        copies.push(...copyTailAside(disk, naming, start.segment, start.offset));
        // The copy that was just made holds the bytes after the batch, if they are in the same segment.
        const keepsTail = batchEnd.segment !== start.segment;
        cutLog(disk, { ...naming, segments: all, place: batchEnd, keepsTail }, recordIntent);
      },
      changeCatalog: () => catalog.cutAfter(place.segment, place.offset),
      finish: () => {
        naming.checkPlace();
        useShortened(disk, directory, start.segment);
        const rest = all.filter((number) => number <= batchEnd.segment);
        cutLog(disk, { ...naming, segments: rest, place, keepsTail: false }, () => {});
      },
      undo: () => {
        discard(disk, copies);
        removeShortened(disk, directory);
      },
      replaced: start.segment,
    });
  }

  /** See log-emptying.ts. */
  #empty(nextLsn: number, doing: string): void {
    const { disk, options, catalog, tail, committer, status } = this.#parts;
    const { directory, fileMode } = options;
    // Gives back a file that may hold stale frames: their LSNs may be given out again.
    committer.makeRoom();
    tail.trim();
    const number = catalog.last === undefined ? 1 : catalog.last.number + 1;
    const lsn = nextLsn - 1;
    const firstLsn = Math.max(1, status.get('firstLsn'));
    committer.withRoom(() => createEmptySegment(disk, directory, number, fileMode));
    const isEmptied = nextLsn > 1;
    const state = { ...this.#stateEndingWith(lsn, number), floor: isEmptied ? nextLsn : 0, isEmptied };
    this.#carryOut(state, {
      doing,
      intent: { segment: number, offset: 0, lsn },
      keptLsn: Math.min(lsn, firstLsn - 1),
      begin: (recordIntent) => {
        const snapshots = snapshotsToCut(disk, this.#naming(nextLsn));
        recordIntent();
        setSnapshotsAside(disk, this.#naming(nextLsn), snapshots);
      },
      changeCatalog: () =>
        catalog.restart({ number, createdMs: disk.now(), firstLsn: 0, bytes: 0, latestMs: 0 }),
      finish: () => {
        // Includes segments that retention gave up and could not remove yet.
        const segments = listLog(disk, directory).segments.map((segment) => segment.number);
        setAllAside(disk, { ...this.#naming(firstLsn), segments, keep: number });
      },
      undo: () => removeEmptySegment(disk, directory, number),
      // An earlier cut may have removed a segment with the same number.
      replaced: number,
    });
  }

  /** The frame of every cut. `state`: of the log after it. */
  #carryOut(state: LogState, cut: Cut): void {
    const { committer, tail, options } = this.#parts;
    const { housekeeper } = committer;
    const { intent } = cut;
    let isBegun = false;
    try {
      cut.begin(() => {
        committer.withRoom(() => housekeeper.writeState({ ...state, pendingCut: intent }));
        isBegun = true;
        this.#announce(state, cut);
      });
      cut.finish?.();
      committer.withRoom(() => housekeeper.writeState(state));
      tail.reopenAt(intent.lsn, state.branch);
      committer.lowerWatermark(intent.lsn);
    } catch (error) {
      if (!isBegun) {
        // After any other error the next open may find the intent all the same.
        if (isRefusal(error)) cut.undo?.();
        throw error;
      }
      if (error instanceof LogFailure) throw error;
      const { directory } = options;
      throw new LogFailure(
        'ERR_WAL_IO',
        `Cannot finish ${cut.doing} on "${directory}": ${systemCause(error).message}.`,
        { path: directory, lsn: intent.lsn, cause: error },
      );
    }
  }

  /**
   * Called before any file is removed, so that a reader learns of the cut and not of a missing file. The last LSN is lowered before
   * the message, or raised after it if a reset goes to a higher one: a reader that finds no entry sees the LSN or the message.
   */
  #announce(state: LogState, cut: Cut): void {
    const { catalog, committer, status, opener, options } = this.#parts;
    const { lsn, offset } = cut.intent;
    this.#made += 1;
    cut.changeCatalog();
    status.add('cuts', 1);
    committer.lowerWatermark(cut.keptLsn);
    status.set('lastLsn', cut.keptLsn);
    status.set('liveBytes', offset);
    const segments = describeSegments(catalog, options.directory, lsn);
    const { branch } = state;
    opener.post({
      kind: 'truncated',
      lsn: cut.keptLsn,
      endLsn: lsn,
      segments,
      replaced: cut.replaced,
      branch,
    });
    committer.housekeeper.noteCut(state);
    this.#parts.snapshots.noteCut(cut.keptLsn, lsn);
  }

  /** The content of the state file once the log ends with entry `lsn`. */
  #stateEndingWith(lsn: number, segment: number): LogState {
    const { committer, disk } = this.#parts;
    return { ...endingWith(committer.housekeeper.state(lsn), lsn, segment), branch: newBranch(disk) };
  }

  #naming(lsn: number) {
    const { options, place, logId } = this.#parts;
    const { directory, fileMode } = options;
    // Checks the directory only: the live segment may be among those that are removed.
    return { directory, lsn, fileMode, logId, checkPlace: () => place.check() };
  }

  /** What is written anew: the frames of the batch, or the block alone. */
  #rewrittenFrom(end: EntryEnd): { readonly start: CutPlace; readonly segments: readonly number[] } {
    const { segment, blockOffset, batchRemaining } = end;
    if (batchRemaining > 0) return findBatchStart(this.#log, end);
    return { start: { segment, offset: blockOffset as number }, segments: [segment] };
  }

  #endOfBatch({ segment, offset, lsn, batchRemaining }: EntryEnd): CutPlace {
    if (batchRemaining === 0) return { segment, offset };
    const last = lsn + batchRemaining;
    const end = findEntryEnd(this.#log, last);
    if (end?.lsn === last && end.batchRemaining === 0) return { segment: end.segment, offset: end.offset };
    const { directory } = this.#parts.options;
    throw new LogFailure(
      'ERR_WAL_CORRUPT',
      `Cannot cut after entry ${lsn} of "${directory}": its batch does not end with entry ${last}. Wal.verify says what is wrong there.`,
      { path: directory, lsn: last },
    );
  }

  #insideBatch({ lsn, batchRemaining }: EntryEnd): LogFailure {
    const { directory } = this.#parts.options;
    return new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot cut "${directory}" after entry ${lsn}: ${batchRemaining} more of its batch follow, and a batch is all or nothing. ` +
        'Cut before the batch or after it, or use the option splitBatch.',
      { path: directory, lsn },
    );
  }
}
