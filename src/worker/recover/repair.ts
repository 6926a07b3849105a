import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { type SegmentFile, withSource } from '../../format/bytes.js';
import { segmentName } from '../../format/segment-name.js';
import { emptyState, endingWith, type LogState } from '../../format/state-file.js';
import { describeReason, type Judgement, judgeLog, type Trouble, wayOutOf } from '../../format/verdict.js';
import type { Failure } from '../../protocol/errors.js';
import type { RepairReport } from '../../protocol/reports.js';
import { lockDirectory, lookBeforeLock } from '../directory/directory-lock.js';
import { LogDirectory } from '../directory/log-directory.js';
import { listLog, newBranch, newLogId, pendingCutOf, withoutCut } from '../directory/log-listing.js';
import { listSnapshots, snapshotsUpTo } from '../directory/snapshot-listing.js';
import { readState, writeState } from '../directory/state-store.js';
import { type CutPlace, cutLog, setSnapshotsAside, snapshotsToCut } from '../directory/tail-cut.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import { checkIfPossible } from '../inspect/check-block.js';
import { finishCut } from './interrupted-cut.js';
import { planSalvage, readSalvageMark, type SalvagePlan, salvage } from './salvage-segments.js';

/**
 * How a log with corrupt entries is repaired so that it opens.
 *
 *   truncate   the log ends before the first entry that cannot be read (`recovery: 'point-in-time'`)
 *   salvage    every entry and every whole batch that can be read is kept (`recovery: 'skip-corrupt'`)
 */
export type RepairMode = 'truncate' | 'salvage';

/** A job of the pool. */
export interface RepairRequest {
  readonly directory: string;
  readonly mode: RepairMode;
  readonly dryRun: boolean;
  readonly fileMode: number;
}

export function repair(request: RepairRequest): RepairReport | { readonly failure: Failure } {
  const { directory, mode, dryRun, fileMode } = request;
  const disk = createNodeDisk();
  try {
    const look = () => repairLog(disk, directory, mode, true, fileMode);
    // A dry run only looks, as `verify` does.
    if (dryRun) return look();
    lookBeforeLock(disk, directory, look);
    const lock = lockDirectory(disk, directory, fileMode);
    try {
      return repairLog(disk, directory, mode, false, fileMode);
    } finally {
      lock.release();
    }
  } catch (error) {
    return { failure: failureOf(error, `repair "${directory}"`, directory) };
  }
}

/**
 * Repairs a log that no process has open; with `dryRun`, only reports the repair. No byte goes without a copy beside it.
 * If it is interrupted anywhere and run again, the result is the same. A log that is clean or only torn is left as it is:
 * `open` cuts a torn tail. Every frame is read.
 *
 * @throws LogFailure ERR_WAL_UNSUPPORTED; the system's errors
 */
export function repairLog(
  disk: Disk,
  directory: string,
  mode: RepairMode,
  dryRun: boolean,
  fileMode: number,
): RepairReport {
  const home = new LogDirectory(disk, directory);
  const state = readState(disk, directory);
  if (!dryRun) finishCut(disk, home, fileMode, state);
  const listing = listLog(disk, directory);
  const { isBeingSalvaged } = listing;
  const cut = pendingCutOf(listing, state);
  const files = withoutCut(listing.segments, cut);
  const snapshots = snapshotsUpTo(listSnapshots(disk, directory), cut);
  const judgement = judgeLog({ segments: files, state, full: true, snapshots, check: checkIfPossible });
  if (judgement.verdict === 'unsupported') throw unsupported(directory, judgement.trouble);
  const untouched = {
    row: judgement.row,
    verdict: judgement.verdict,
    watermark: judgement.watermark,
    mode: isBeingSalvaged ? ('salvage' as const) : mode,
    dryRun,
    firstLsn: judgement.firstLsn,
    lastLsn: judgement.lastLsn,
    lostLsns: 0,
    changedSegments: [],
    removedSegments: [],
    sideFiles: [],
  };
  if (judgement.verdict !== 'corrupt' && !isBeingSalvaged) return untouched;

  const logId = judgement.logId ?? newLogId(disk);
  const isOurs = state !== undefined && 'logId' in state && state.logId === logId;
  const plan = planSalvage(files, logId, readSalvageMark(disk, directory));
  if (untouched.mode === 'salvage' && plan.unsupported !== undefined) {
    throw unsupported(directory, { ...plan.unsupported, reason: 'unknown-critical' });
  }
  const job: RepairJob = {
    disk,
    home,
    segments: files,
    dryRun,
    fileMode,
    logId,
    state: isOurs ? state : emptyState(logId),
    watermark: judgement.watermark,
    plan,
  };
  const done =
    untouched.mode === 'salvage'
      ? rewrite(job)
      : truncate(job, placeOfDamage(files, judgement, isOurs ? state : undefined));
  return { ...untouched, ...done };
}

interface RepairJob {
  readonly disk: Disk;
  readonly home: LogDirectory;
  readonly segments: readonly SegmentFile[];
  readonly dryRun: boolean;
  readonly fileMode: number;
  readonly logId: bigint;
  /** The state file's content, if it is this log's. */
  readonly state: LogState;
  readonly watermark: number;
  /** The readable entries of the log. */
  readonly plan: SalvagePlan;
}

type Done = Pick<
  RepairReport,
  'firstLsn' | 'lastLsn' | 'lostLsns' | 'changedSegments' | 'removedSegments' | 'sideFiles'
>;

interface End {
  readonly place: CutPlace;
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** Where the readable beginning of the log ends. */
function placeOfDamage(
  segments: readonly SegmentFile[],
  judgement: Judgement,
  state: LogState | undefined,
): End {
  let end = endBefore(segments, judgement);
  for (;;) {
    // The kept part may have a gap before the damage: a segment is missing, but none of its entries.
    const { place, lastLsn } = end;
    const files = withoutCut(segments, { ...place, lsn: lastLsn, empties: false, shortened: undefined });
    const lowered = state && { ...state, watermark: Math.min(state.watermark, lastLsn) };
    const rest = judgeLog({ segments: files, state: lowered, full: true, check: checkIfPossible });
    if (rest.verdict !== 'corrupt') return end;
    const earlier = endBefore(files, rest);
    const isEarlier =
      earlier.place.segment < place.segment ||
      (earlier.place.segment === place.segment && earlier.place.offset < place.offset);
    if (!isEarlier) return end;
    end = earlier;
  }
}

function endBefore(segments: readonly SegmentFile[], judgement: Judgement): End {
  const { row, trouble, end, firstLsn, lastLsn } = judgement;
  if (row !== 4 || trouble === undefined || trouble.offset > 0) return { place: end, firstLsn, lastLsn };
  // A segment is missing, or does not start as it must, although the chain of entries continues: the segments before it stay.
  const before = segments.filter(({ number }) => number < trouble.segment);
  if (before.length === 0) return { place: { segment: trouble.segment, offset: 0 }, firstLsn: 0, lastLsn: 0 };
  const rest = judgeLog({ segments: before, state: undefined, full: true, check: checkIfPossible });
  return { place: rest.end, firstLsn: rest.firstLsn, lastLsn: rest.lastLsn };
}

/** The intent and the lowered watermark are recorded before anything goes: a crash leaves a cut that `open` finishes. */
function truncate(job: RepairJob, { place, ...kept }: End): Done {
  const { disk, home, fileMode, watermark, plan } = job;
  const { directory } = home;
  const segments = job.segments.map(({ number }) => number);
  const last = job.segments.find(({ number }) => number === place.segment);
  const isShortened = last !== undefined && withSource(last, ({ size }) => size > place.offset);
  const { firstLsn, lastLsn } = goingOn(job, kept);
  // The kept entries may never have been synced: `open` rewrites and syncs them, since the watermark is not raised here.
  const state = stateUpTo(job, lastLsn, place.segment);
  let sideFiles: string[] = [];
  if (!job.dryRun) {
    // If that segment alone were left at a crash, and were another log's, the intent would count as that log's.
    const emptiesFirst = place.offset === 0;
    const checkPlace = () => home.check();
    checkPlace();
    const extent = { segments, place, lsn: lastLsn + 1, keepsTail: true, emptiesFirst, logId: job.logId };
    const cut = { directory, fileMode, checkPlace, ...extent };
    sideFiles = cutLog(disk, cut, () => {
      writeState(disk, directory, { ...state, pendingCut: { ...place, lsn: lastLsn } }, fileMode);
    });
    writeState(disk, directory, state, fileMode);
  }
  const pathOf = (number: number) => join(directory, segmentName(number));
  return {
    firstLsn,
    lastLsn,
    lostLsns: Math.max(0, Math.max(watermark, plan.lastLsn) - lastLsn),
    changedSegments: isShortened ? [pathOf(place.segment)] : [],
    removedSegments: segments.filter((number) => number > place.segment).map(pathOf),
    sideFiles,
  };
}

function rewrite(job: RepairJob): Done {
  const { disk, home, segments, fileMode, watermark, plan } = job;
  const { directory } = home;
  const { rewritten, removed } = plan;
  const { firstLsn, lastLsn } = goingOn(job, plan);
  let sideFiles: string[] = [];
  if (!job.dryRun) {
    const changed = Math.min(...rewritten.map(({ number }) => number), ...removed);
    const state = stateUpTo(job, lastLsn, changed);
    sideFiles = salvage(disk, home, segments, plan, watermark, fileMode, () => {
      setLostSnapshotsAside(disk, home, job.logId, lastLsn);
      writeState(disk, directory, state, fileMode);
    });
  }
  const pathOf = (number: number) => join(directory, segmentName(number));
  return {
    firstLsn,
    lastLsn,
    lostLsns: plan.lostLsns + Math.max(0, watermark - lastLsn),
    changedSegments: rewritten.map(({ number }) => pathOf(number)),
    removedSegments: removed.map(pathOf),
    sideFiles,
  };
}

/** A snapshot of entries that the repair has lost would prove that the log lacks them. If interrupted, this step begins again. */
function setLostSnapshotsAside(disk: Disk, home: LogDirectory, logId: bigint, lastLsn: number): void {
  const { directory } = home;
  const lost = snapshotsToCut(disk, { directory, logId, lsn: lastLsn + 1 });
  setSnapshotsAside(disk, { directory, checkPlace: () => home.check() }, lost);
}

/**
 * The state of the repaired log, which ends with entry `lastLsn`. The LSNs after it are given out again, on another branch.
 * `changed`: the lowest segment whose content changes: the archive must get it again.
 */
function stateUpTo({ disk, state, watermark }: RepairJob, lastLsn: number, changed: number): LogState {
  const ended = { ...endingWith({ ...state, watermark }, lastLsn, changed), branch: newBranch(disk) };
  // No entry is left below or above the floor, as after an emptying.
  return lastLsn > 0 && ended.floor === lastLsn + 1
    ? { ...ended, watermark: lastLsn, isEmptied: true }
    : ended;
}

/** Where the repaired log begins and ends. If nothing can be read, it continues at its floor. */
function goingOn(
  { state: { floor } }: RepairJob,
  { firstLsn, lastLsn }: { readonly firstLsn: number; readonly lastLsn: number },
): { readonly firstLsn: number; readonly lastLsn: number } {
  return {
    firstLsn: Math.max(firstLsn, floor),
    lastLsn: lastLsn === 0 ? Math.max(0, floor - 1) : lastLsn,
  };
}

function unsupported(directory: string, trouble: Trouble | undefined): LogFailure {
  const path = trouble === undefined ? directory : join(directory, segmentName(trouble.segment));
  const why = trouble === undefined ? '' : `: ${describeReason(trouble.reason)}`;
  return new LogFailure(
    'ERR_WAL_UNSUPPORTED',
    `Cannot repair "${directory}": "${path}" was not written by this version${why}. Nothing was changed. ${wayOutOf('unsupported', trouble?.reason)}`,
    { path, offset: trouble?.offset },
  );
}
