import { join } from 'node:path';
import {
  type Disk,
  type DiskFile,
  isDenied,
  isFullDisk,
  readExactly,
  systemCode,
  writeFully,
} from '../../files/disk.js';
import type { SegmentPlace } from '../../format/place.js';
import { segmentName } from '../../format/segment-name.js';
import { emptyState, endingWith, type LogState } from '../../format/state-file.js';
import { type SegmentTime, segmentTimes } from '../../format/time-walk.js';
import { describeReason, describeTrouble, type Judgement, judgeLog, wayOutOf } from '../../format/verdict.js';
import type { LogOrigin, PlaceIdentity } from '../../protocol/lane-messages.js';
import type { RecoveryCut, RecoveryReport, RepairReport } from '../../protocol/reports.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import { LogDirectory } from '../directory/log-directory.js';
import { layOut } from '../directory/log-layout.js';
import { listLog, newBranch, newLogId } from '../directory/log-listing.js';
import { syncDirectory, syncFile } from '../directory/side-files.js';
import { listSnapshots, removeSnapshotAsides } from '../directory/snapshot-listing.js';
import { readState, writeState } from '../directory/state-store.js';
import { cutLog, truncateSegment } from '../directory/tail-cut.js';
import { LogFailure } from '../errors/failure.js';
import { removeStats } from '../upkeep/stats-publisher.js';
import { removeLeftovers } from '../write/preallocation.js';
import { SegmentCatalog, type SegmentRecord } from '../write/segment-catalog.js';
import { finishCut } from './interrupted-cut.js';
import { type RepairMode, repairLog } from './repair.js';

const REWRITE_BYTES = 1024 * 1024;

/** Where the log stands when the writer takes over from recovery. */
export interface LogStart {
  readonly logId: bigint;
  readonly place: LogDirectory;
  /** See `LogOrigin`. */
  readonly unnamed: LogOrigin['unnamed'];
  readonly catalog: SegmentCatalog;
  /** The times in the first frames of the segments. */
  readonly times: ReadonlyMap<number, SegmentTime>;
  readonly lastLsn: number;
  readonly watermark: number;
  /** The content of the state file once recovery is finished, except for the watermark. */
  readonly state: LogState;
  /** The log's own snapshots whose two ends are intact, newest first. */
  readonly snapshots: readonly SnapshotRecord[];
  /**
   * Does the steps of recovery that had no room yet. Throws the system's error as long as there is none; once it returns, the
   * state file is written and everything that was recovered is durable. `undefined`: recovery is done.
   */
  readonly finishRecovery: (() => void) | undefined;
}

export interface Recovered {
  readonly start: LogStart;
  readonly report: RecoveryReport;
}

/**
 * Opens a log for its next writer: judges the files in the directory, refuses those that it must not touch, and turns the rest
 * into a log that may be appended to.
 *
 *   0. finish   a cut whose intent the state file records, or a salvage that was begun
 *   1. judge    src/format/verdict.ts; rows 1 to 4 refuse, nothing is changed
 *      corrupt  refused too, unless the option `recovery` says how to repair it: src/worker/recover/repair.ts
 *   2. cut      all bytes after the last kept frame go, after a copy of them was synced
 *   3. rewrite  every kept byte above the watermark is rewritten, identically, and synced: the process before may
 *               have seen its sync fail, and then the page cache alone holds it
 *   4. state    the state file says that all of it is durable
 *
 * Power may go at any point: 2 leaves the log ending after the same entry, 3 changes no byte, 4 is atomic; the next
 * open begins at 1 and comes to the same result. If 2, 3 or 4 find no room, they are put off ([LogStart.finishRecovery]): the
 * log can be read, its watermark stays, and appends reject until there is room.
 *
 * @throws LogFailure ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED, ERR_WAL_SYNC_FAILED; the system's errors
 */
export function recoverLog(disk: Disk, options: WriterOptions): Recovered {
  const startedMs = disk.now();
  const { directory } = options;
  const place = new LogDirectory(disk, directory);
  let found = judgeDirectory(disk, options, place);
  let repair: RepairReport | undefined;
  const mode = repairModeFor(found, options);
  if (mode !== undefined) {
    repair = repairLog(disk, directory, mode, false, options.fileMode);
    found = judgeDirectory(disk, options, place);
  }
  const { state, segments, foreignFiles, judgement, snapshots } = found;
  refuse(judgement, directory);
  place.check();
  // A file that cannot be removed is not reported here: the first publication reports it.
  removeStats(disk, directory);

  const logId = judgement.logId ?? newLogId(disk);
  const known = state !== undefined && 'logId' in state && state.logId === logId ? state : undefined;
  const { lastLsn, watermark } = judgement;
  const next = continuesAt(judgement);
  const kept = known ?? emptyState(logId);
  const recovered: LogState = {
    ...endingWith(kept, lastLsn),
    // A segment to which entries may still be appended is not archived, whatever an older state file says.
    archived: Math.min(kept.archived, next.segment),
    // Never the branch of the newest frames: a state file that is lost may have recorded a cut after them, and a cut gives out LSNs
    // again.
    branch: known?.branch || newBranch(disk),
    watermark: lastLsn,
  };
  const tail = new TailRepair(
    disk,
    options,
    place,
    judgement,
    next,
    segments.map((segment) => segment.number),
  );
  const finishRecovery = () => {
    place.check();
    // This comes first: on a full disk it makes the room for the rest.
    removeLeftovers(disk, directory);
    removeSnapshotAsides(disk, directory);
    tail.run();
    if (known?.watermark !== lastLsn || known.branch !== recovered.branch || known.pendingCut !== undefined) {
      writeState(disk, directory, recovered, options.fileMode);
    }
  };
  const postponed = attempt(finishRecovery);
  return {
    start: {
      logId,
      place,
      unnamed: unnamedSegments(disk, directory, judgement),
      catalog: new SegmentCatalog(keptRecords(judgement, next, startedMs)),
      times: segmentTimes(judgement.segments),
      lastLsn,
      watermark: postponed === undefined ? lastLsn : Math.min(watermark, lastLsn),
      state: recovered,
      snapshots: snapshots.filter((snapshot) => snapshot.logId === logId),
      finishRecovery: postponed === undefined ? undefined : finishRecovery,
    },
    report: {
      row: judgement.row,
      verdict: judgement.verdict,
      watermark,
      firstLsn: judgement.firstLsn,
      lastLsn,
      segments: judgement.segments.length,
      cut: tail.cut,
      repair,
      rewrittenBytes: tail.rewrittenBytes,
      foreignFiles,
      postponed,
      durationMs: Math.max(0, disk.now() - startedMs),
    },
  };
}

/** Throws what [recoverLog] would refuse as the log is now; changes nothing. */
export function refuseUntouched(disk: Disk, options: WriterOptions): void {
  const { directory, fileMode } = options;
  const { state, files, isBeingSalvaged, snapshots } = layOut(disk, directory);
  const judgement = judgeLog({ segments: files, state, snapshots });
  const mode = repairModeFor({ judgement, isBeingSalvaged }, options);
  if (mode === undefined) refuse(judgement, directory);
  else repairLog(disk, directory, mode, true, fileMode);
}

/** How to repair the log before it opens; `undefined`: it is not corrupt, or it is refused. */
function repairModeFor(
  { judgement, isBeingSalvaged }: { readonly judgement: Judgement; readonly isBeingSalvaged: boolean },
  { recovery }: WriterOptions,
): RepairMode | undefined {
  // A salvage that was begun is finished, whatever the option says now.
  if (isBeingSalvaged) return 'salvage';
  if (judgement.verdict !== 'corrupt' || recovery === 'strict') return undefined;
  return recovery === 'point-in-time' ? 'truncate' : 'salvage';
}

function judgeDirectory(disk: Disk, { directory, fileMode }: WriterOptions, place: LogDirectory) {
  const state = readState(disk, directory);
  finishCut(disk, place, fileMode, state);
  const listing = listLog(disk, directory);
  const snapshots = listSnapshots(disk, directory);
  return {
    state,
    ...listing,
    snapshots,
    judgement: judgeLog({ segments: listing.segments, state, snapshots }),
  };
}

/** Steps 2 and 3. If interrupted, it continues when it is run again. */
class TailRepair {
  readonly #disk: Disk;
  readonly #options: WriterOptions;
  readonly #place: LogDirectory;
  readonly #judgement: Judgement;
  readonly #next: SegmentPlace;
  readonly #numbers: readonly number[];
  #isCut = false;
  #isRewritten = false;
  cut: RecoveryCut | undefined;
  rewrittenBytes = 0;

  constructor(
    disk: Disk,
    options: WriterOptions,
    place: LogDirectory,
    judgement: Judgement,
    next: SegmentPlace,
    numbers: readonly number[],
  ) {
    this.#disk = disk;
    this.#options = options;
    this.#place = place;
    this.#judgement = judgement;
    this.#next = next;
    this.#numbers = numbers;
  }

  run(): void {
    if (!this.#isCut) this.#cutTail();
    this.#isCut = true;
    if (!this.#isRewritten) this.#rewriteUnsynced();
    this.#isRewritten = true;
  }

  #cutTail(): void {
    const { directory, fileMode } = this.#options;
    const { end, lastLsn, segments, trouble } = this.#judgement;
    const checkPlace = () => this.#place.check();
    // After a clean end there are only preallocated zeros, or stale bytes of a recycled file.
    const keepsTail = trouble !== undefined;
    const tail = { segments: this.#numbers, place: this.#next, lsn: lastLsn + 1, keepsTail };
    // A snapshot of an entry that was never whole is not this log's, whatever its header says.
    const cut = { directory, fileMode, checkPlace, logId: undefined, ...tail };
    // The watermark stays as it is, so that an interrupted cut looks like the same torn tail to the next open.
    const sideFiles = cutLog(this.#disk, cut, () => {});
    // The segment before stays sealed: its cut to its frames may be in memory only.
    if (this.#next.segment !== end.segment)
      truncateSegment(this.#disk, join(directory, segmentName(end.segment)), end.offset);
    if (trouble === undefined) return;
    const { segment, offset } = this.#next;
    const behind = segments.filter(({ number }) => number >= segment);
    this.cut = {
      path: join(directory, segmentName(segment)),
      offset,
      bytes: behind.reduce((sum, each) => sum + each.size, -offset),
      lsn: lastLsn + 1,
      reason: describeReason(trouble.reason),
      sideFiles,
      removedSegments: this.#numbers
        .filter((number) => number > segment)
        .map((number) => join(directory, segmentName(number))),
    };
  }

  /** Without watermarks (wal-go's files) nothing shows what was synced: the last segment is rewritten, the others are synced. */
  #rewriteUnsynced(): void {
    const { directory } = this.#options;
    const { firstUnsynced, hasWatermarks, end, segments } = this.#judgement;
    if (firstUnsynced === undefined) return;
    // A segment is cut to its frames when it is sealed. That cut alone may not have been synced yet.
    const holder = segments.findIndex(({ number }) => number === firstUnsynced.segment);
    const first = holder - (firstUnsynced.offset === 0 ? 1 : 0);
    for (const segment of segments.slice(Math.max(0, first))) {
      if (segment.number > end.segment) break;
      this.#place.check();
      const file = this.#disk.open(join(directory, segmentName(segment.number)), 'r+');
      try {
        const isLast = segment.number === end.segment;
        const isSynced = segment.number < firstUnsynced.segment;
        const from = segment.number === firstUnsynced.segment ? firstUnsynced.offset : 0;
        const to = isLast ? end.offset : segment.size;
        if (!isSynced && (hasWatermarks || isLast)) this.#rewrite(file, from, to);
        // Repeats the cut to the frames, since the process before may have seen its sync fail. For the last segment, an earlier
        // step has repeated it.
        if (!isLast) file.truncate(segment.size);
        syncFile(file);
      } finally {
        file.close();
      }
    }
    syncDirectory(this.#disk, directory);
  }

  #rewrite(file: DiskFile, from: number, to: number): void {
    const window = new Uint8Array(Math.min(REWRITE_BYTES, to - from));
    for (let at = from; at < to; ) {
      const piece = window.subarray(0, to - at);
      readExactly(file, piece, at);
      writeFully(file, piece, 0, piece.length, at);
      at += piece.length;
    }
    this.rewrittenBytes += to - from;
  }
}

/** Runs the step; the system's code if there is no room for it now, or no permission to write. */
function attempt(step: () => void): string | undefined {
  try {
    step();
    return undefined;
  } catch (error) {
    if (isFullDisk(error) || isDenied(error)) return systemCode(error);
    throw error;
  }
}

/**
 * The segments whose first frames may be wal-go's, which name no log: only its identity (device and inode) distinguishes such a
 * segment from a file that gets its name later.
 */
function unnamedSegments(
  disk: Disk,
  directory: string,
  { segments, end }: Judgement,
): ReadonlyMap<number, PlaceIdentity> {
  const unnamed = new Map<number, PlaceIdentity>();
  for (const { number, firstLsn, scanned, stamp } of segments) {
    // If the segment was scanned, `stamp` may be that of a later frame.
    if (number > end.segment || firstLsn === 0 || (stamp !== undefined && !scanned)) continue;
    const found = disk.stat(join(directory, segmentName(number)));
    if (found !== undefined) unnamed.set(number, { dev: found.dev, ino: found.ino });
  }
  return unnamed;
}

/**
 * Where the next frame goes: after the last frame, unless the segment of that frame is sealed, which means that it was cut to its
 * frames and the next segment exists, though no entry of that is kept. A sealed segment stays, since the archive may have it.
 */
function continuesAt({ segments, end }: Judgement): SegmentPlace {
  const last = segments.find(({ number }) => number === end.segment);
  const isCutToFrames = last !== undefined && end.offset > 0 && last.size === end.offset;
  const isSealed = isCutToFrames && segments.some(({ number }) => number === end.segment + 1);
  return isSealed ? { segment: end.segment + 1, offset: 0 } : end;
}

/** A segment of wal-go has no stamp and no known age; a segment of which no entry is kept counts as new. */
function keptRecords(judgement: Judgement, next: SegmentPlace, nowMs: number): SegmentRecord[] {
  return judgement.segments
    .filter((segment) => segment.number <= next.segment)
    .map(({ number, firstLsn, skipped, size, stamp, latestMs }) => ({
      number,
      firstLsn,
      skipped,
      latestMs,
      bytes: number === next.segment ? next.offset : size,
      createdMs: stamp?.createdMs ?? (firstLsn === 0 ? nowMs : 0),
    }));
}

/** Rows 1 to 4 of the decision table. */
function refuse(judgement: Judgement, directory: string): void {
  const { row, verdict, trouble, watermark, lastLsn } = judgement;
  if (verdict !== 'unsupported' && verdict !== 'corrupt') return;
  const path = trouble === undefined ? directory : join(directory, segmentName(trouble.segment));
  const what =
    trouble === undefined ? `an entry in "${path}" cannot be read` : describeTrouble(trouble, path);
  const details = { path, offset: trouble?.offset, lsn: trouble?.lsn || undefined };
  if (verdict === 'unsupported') {
    throw new LogFailure(
      'ERR_WAL_UNSUPPORTED',
      `Cannot open "${directory}": ${what}. ${wayOutOf(verdict, trouble?.reason)}`,
      details,
    );
  }
  const canBeRead = lastLsn === 0 ? 'no entry can be read' : `the log can be read up to entry ${lastLsn}`;
  const known =
    watermark > lastLsn
      ? `Entries up to ${watermark} were acknowledged as durable, ${canBeRead}.`
      : row === 4
        ? 'Segments after it hold acknowledged entries.'
        : `It is not a torn write, and ${canBeRead}.`;
  throw new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot open "${directory}": ${what}. ${known} Nothing was changed. ${wayOutOf(verdict)}`,
    details,
  );
}
