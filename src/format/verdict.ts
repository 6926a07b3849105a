/**
 * The verdict on the bytes of a log.
 *
 *     oldest segment … | the segment that holds W … entry k | first invalid frame … newest segment
 *     first frames only| every frame                        | heads only
 *
 * decision-table.ts has the rows. This file gathers the evidence for them, without ever holding a segment in memory.
 */

import type { BlockCheck } from './block-check.js';
import type { BlockSums } from './block-sums.js';
import { isZeroFrom, type SegmentFile, withSource } from './bytes.js';
import { judgeEvidence, type Row, type Verdict } from './decision-table.js';
import { describeFault, type FrameFault, type SegmentStamp } from './frame.js';
import { findHeads, frameFollows, type Heads } from './frame-search.js';
import { type KnownWalks, type LogWalk, type WholeSegments, walkLog } from './log-walk.js';
import type { FilePlace, SegmentPlace } from './place.js';
import type { LogState, StateFault } from './state-file.js';
import { type SegmentStart, type Survey, surveyLog } from './survey.js';
import { readTail, type Tail } from './tail.js';
import type { SegmentTime } from './time-walk.js';

export interface LogFiles {
  /** Ascending by number. */
  readonly segments: readonly SegmentFile[];
  /** A state file with a fault counts as lost. */
  readonly state: LogState | StateFault | undefined;
  /** Scan every segment, not only those from the one that holds W: for `verify`. */
  readonly full?: boolean | undefined;
  /** Snapshots in the log's directory, of any log. */
  readonly snapshots?: readonly SnapshotEvidence[] | undefined;
  /** Walks of segments from before: a segment is not read again if its walk still holds. */
  readonly known?: KnownWalks | undefined;
  /** With `full`: also look into blocks. What is known was walked with it, too. */
  readonly check?: BlockCheck | undefined;
}

/**
 * The evidence of a snapshot: it got its name once its entry was durable. This counts only on the branch on which the log
 * continues: after a cut, which begins another branch, the entry with its LSN may be another one.
 */
export interface SnapshotEvidence {
  readonly logId: bigint;
  readonly branch: bigint;
  readonly lsn: number;
}

export interface Judgement {
  readonly row: Row['row'];
  readonly verdict: Verdict;
  /** `undefined` = nothing names the log. */
  readonly logId: bigint | undefined;
  /** W */
  readonly watermark: number;
  /** There is a synced_lsn anywhere. */
  readonly hasWatermarks: boolean;
  /**
   * Where the log begins: at its first frame's LSN less what that frame skips, or at the floor if that is higher. In a log that was
   * emptied, the LSN that comes next. 0 = there was never an entry.
   */
  readonly firstLsn: number;
  /** k: the last entry that is kept; in a log without any entry, the last one that was given up. 0 = there was never an entry. */
  readonly lastLsn: number;
  /** The state file's floor: entries below it were given up; 0 = none were. */
  readonly floor: number;
  /** Right after entry k: where the next frame goes. */
  readonly end: SegmentPlace;
  /** The first fault and its place; `undefined` for a clean end. */
  readonly trouble: Trouble | undefined;
  readonly segments: readonly SegmentReport[];
  /** The number of the first segment of which every frame was read; 0 where there is no segment. */
  readonly scannedFrom: number;
  readonly whole: WholeSegments;
  /** Where the first kept entry above W starts. Without watermarks that is the log's first one. */
  readonly firstUnsynced: SegmentPlace | undefined;
}

/** The first place where a log is wrong. If a segment is missing, only the number in this place is meaningful. */
export interface Trouble extends SegmentPlace {
  /** The entry that should be there; 0 = not known. */
  readonly lsn: number;
  readonly reason: Reason;
}

export type Reason =
  | FrameFault
  | 'walg'
  | 'unknown-critical'
  | 'missing-segment'
  | 'empty-segment'
  | 'unfinished-batch'
  | 'missing-tail';

const REASON_TEXT: Readonly<Record<Exclude<Reason, FrameFault>, string>> = {
  walg: "it is in wal-go's later format",
  'unknown-critical': 'it has a field that must not be skipped and is not known',
  'missing-segment': 'its segment is missing',
  'empty-segment': 'its segment is empty',
  'unfinished-batch': 'its batch is not finished',
  'missing-tail': 'the log ends before it',
};

/** The end of a sentence about an entry. */
export function describeReason(reason: Reason): string {
  return reason in REASON_TEXT
    ? REASON_TEXT[reason as keyof typeof REASON_TEXT]
    : describeFault(reason as FrameFault);
}

/** The middle of a sentence; LSN 0 = not known. */
export function describeEntry(lsn: number): string {
  return lsn === 0 ? 'an entry' : `entry ${lsn}`;
}

/** The middle of a sentence: which entry cannot be read, where and why. `path`: of the trouble's segment. */
export function describeTrouble({ lsn, offset, reason }: Trouble, path: string): string {
  const place = reason === 'missing-segment' ? `"${path}"` : `"${path}" at byte ${offset}`;
  return `${describeEntry(lsn)} in ${place}: ${describeReason(reason)}`;
}

/** A sentence: what to do about an entry that cannot be read. */
export function wayOutOf(verdict: 'corrupt' | 'unsupported', reason?: Reason): string {
  if (verdict === 'corrupt') return 'Wal.repair with dryRun says what can be kept.';
  return reason === 'walg'
    ? 'Read its segments with Wal.readSegment and append their entries to a new log.'
    : 'Read it with the version that wrote it, or a later one.';
}

/** The findings on one segment. */
export interface SegmentReport {
  readonly number: number;
  readonly size: number;
  /** 0 = no entry of it is kept. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** LSNs that its first frame skips. */
  readonly skipped: number;
  readonly stamp: SegmentStamp | undefined;
  /** The times in its first frame; `undefined` = that frame is not valid. */
  readonly time: SegmentTime | undefined;
  /** Every entry of it was made by then, as far as its frames were read; see [LatestTime.ms]. */
  readonly latestMs: number | undefined;
  /** Every frame was read. Otherwise `frames` is 0, and everything in the segment is taken to be valid. */
  readonly scanned: boolean;
  readonly frames: number;
  /** Bytes up to the end of the last kept frame. */
  readonly validBytes: number;
  /** Of the kept frames, if every frame was read and some are blocks. */
  readonly blocks?: BlockSums;
}

/** Decides on a log: reads, changes nothing, holds one segment open at a time. */
export function judgeLog(log: LogFiles): Judgement {
  const found = readLog(log);
  if (!log.full || found.verdict !== 'torn') return found;
  // Frames that lie, and segments in each other's place, may lead a full reading past what the one of `open` stumbles over, so
  // that the log is refused, or have it end before entries that `open` keeps. What a full reading takes for torn `open` cuts, there.
  const opened = readLog({ ...log, full: false, known: undefined, check: undefined });
  const { row, verdict, trouble, end } = opened;
  if (verdict === 'corrupt' || verdict === 'unsupported') {
    return { ...found, row, verdict, trouble: row === 1 || row === 4 ? trouble : found.trouble };
  }
  const isSameEnd = end.segment === found.end.segment && end.offset === found.end.offset;
  return isSameEnd ? found : { ...found, row: 4, verdict: 'corrupt' };
}

function readLog({
  segments: files,
  state,
  full = false,
  known,
  check,
  snapshots = [],
}: LogFiles): Judgement {
  const survey = surveyLog(files, state !== undefined && 'fault' in state ? undefined : state);
  const { starts } = survey;
  const from = full ? 0 : holderOf(starts, survey.watermark);
  const walk = walkLog(files, from, survey.logId, known, check);
  // Only the state file named the log, and an intact Segment names another one: the state file is not this log's.
  if (walk.fault?.reason === 'other-log' && !survey.isNamedBySegment) {
    return readLog({ segments: files, state: undefined, full, known, check, snapshots });
  }

  const { end } = walk;
  const floor = survey.state?.floor ?? 0;
  // Only if the log was emptied: otherwise a damaged first entry would make durable entries look given up.
  const isEmptied = survey.state?.isEmptied === true && walk.lastLsn === 0;
  const lastLsn = isEmptied ? Math.max(0, floor - 1) : walk.lastLsn;
  const tail = tailOf(files, walk, lastLsn);
  const laterBytes = files
    .slice(end.index + 1)
    .some((file) => !withSource(file, (source) => isZeroFrom(source, 0)));
  const heads = tail === 'bytes' || tail === 'stale' || laterBytes ? headsAfter(files, walk) : NO_HEADS;
  const syncedLsn = Math.max(survey.syncedLsn, walk.syncedLsn, heads.syncedLsn);
  const segments = reportsOf(starts, walk);
  const branch =
    survey.state?.branch || (segments.findLast(({ stamp }) => stamp !== undefined)?.stamp?.branch ?? 0n);
  const snapshotLsns = snapshots
    .filter((snapshot) => snapshot.logId === walk.logId && snapshot.branch === branch)
    .map(({ lsn }) => lsn);
  const watermark = Math.max(0, syncedLsn, survey.state?.watermark ?? 0, ...snapshotLsns);
  const unsupported = unsupportedOf(files, starts, walk, heads);
  const gap = placelessOf(survey) ?? gapOf(starts, Math.min(holderOf(starts, watermark), end.index));

  const { row, verdict } = judgeEvidence({
    unsupported: unsupported !== undefined,
    watermark,
    lastLsn,
    hasWatermarks: syncedLsn >= 0 || survey.state !== undefined || snapshotLsns.length > 0,
    frameFollows: () => walk.fault !== undefined && frameFollows(files, walk.fault),
    gap: gap !== undefined,
    laterBytes,
    tail,
  });
  const first = segments.find(({ firstLsn }) => firstLsn > 0);
  const placeOf = ({ index, offset }: FilePlace) => ({ segment: files[index]?.number ?? 0, offset });
  const firstUnsynced = walk.firstAbove(watermark);
  return {
    row,
    verdict,
    logId: walk.logId,
    watermark,
    hasWatermarks: syncedLsn >= 0,
    firstLsn: Math.max(first === undefined ? 0 : first.firstLsn - first.skipped, floor),
    lastLsn,
    floor,
    end: placeOf(end),
    trouble:
      row === 1 ? unsupported : row === 4 ? gap : row === 5 ? undefined : damageOf(files, walk, lastLsn),
    segments,
    scannedFrom: files[from]?.number ?? 0,
    whole: walk.whole,
    firstUnsynced: firstUnsynced && placeOf(firstUnsynced),
  };
}

/**
 * The index of the segment that holds entry `lsn`, as far as valid first frames show it: the last segment before any that
 * starts above `lsn`. 0 if none starts at or below it. After a first frame with a Segment, one without a Segment proves
 * nothing: after a power cut, a block that was just allocated may show old bytes of a removed file, even a frame of this log.
 */
function holderOf(starts: readonly SegmentStart[], lsn: number): number {
  let holder = 0;
  let isStamped = false;
  for (const [index, start] of starts.entries()) {
    if (start.fault !== undefined || (isStamped && start.stamp === undefined)) continue;
    if (start.lsn > lsn) break;
    isStamped ||= start.stamp !== undefined;
    holder = index;
  }
  return holder;
}

function tailOf(files: readonly SegmentFile[], { end, from, extents }: LogWalk, lastLsn: number): Tail {
  if (files.length === 0) return 'end';
  const recycled = extents[end.index - from].stamp?.recycled ?? false;
  return withSource(files[end.index], (source) => readTail(source, end.offset, lastLsn + 1, recycled));
}

const NO_HEADS: Heads = { syncedLsn: -1, unsupported: undefined };

function headsAfter(files: readonly SegmentFile[], { fault, logId }: LogWalk): Heads {
  return fault === undefined || logId === undefined ? NO_HEADS : findHeads(files, fault, logId);
}

/** Row 1: a frame that this version cannot read, in any place. Heads count too: recovery must never cut such a frame. */
function unsupportedOf(
  files: readonly SegmentFile[],
  starts: readonly SegmentStart[],
  walk: LogWalk,
  heads: Heads,
): Trouble | undefined {
  for (const { number, fault, lsn, unknownCritical } of starts) {
    if (fault === 'walg') return { segment: number, offset: 0, lsn: 0, reason: 'walg' };
    if (unknownCritical !== 0) return { segment: number, offset: 0, lsn, reason: 'unknown-critical' };
  }
  const found = walk.unsupported ?? heads.unsupported;
  if (found === undefined) return undefined;
  const { index, offset, lsn } = found;
  return { segment: files[index].number, offset, lsn, reason: 'unknown-critical' };
}

/**
 * Row 4: a log without any entry that has lost its state file, which says where the LSNs continue. A new log begins with segment 0;
 * a log that was emptied continues with a later one. So a number above 0 shows that there were entries, and that their LSNs must
 * not be given out again.
 */
function placelessOf({ starts, state }: Survey): Trouble | undefined {
  if (state !== undefined || (starts[0]?.number ?? 0) === 0) return undefined;
  return starts.every(({ fault }) => fault !== undefined) ? missingSegment(starts, 0, 0) : undefined;
}

/** Row 4: a segment number is missing, or a segment below the one at index `holder` does not start as it must. */
function gapOf(starts: readonly SegmentStart[], holder: number): Trouble | undefined {
  for (const [index, { number, fault }] of starts.entries()) {
    if (isMissingBefore(starts, index)) return missingSegment(starts, index, 0);
    if (fault !== undefined && index < holder) return { segment: number, offset: 0, lsn: 0, reason: fault };
  }
  return undefined;
}

function isMissingBefore(segments: readonly Numbered[], index: number): boolean {
  return index > 0 && segments[index].number !== segments[index - 1].number + 1;
}

interface Numbered {
  /** n of `wal-<n>`. */
  readonly number: number;
}

/** The first one that is missing right before the segment at `index`; `lsn`: the entry that should come next, 0 = not known. */
function missingSegment(segments: readonly Numbered[], index: number, lsn: number): Trouble {
  const segment = index === 0 ? 0 : segments[index - 1].number + 1;
  return { segment, offset: 0, lsn, reason: 'missing-segment' };
}

/** The first fault: the one that ended the chain of valid frames, or a segment that is missing before it. */
function damageOf(files: readonly SegmentFile[], walk: LogWalk, lastLsn: number): Trouble {
  const { fault, batchStart, end } = walk;
  if (files.length === 0) return missingSegment(files, 0, 0);
  const brokenAt = fault?.index ?? files.length - 1;
  const missing = files.findIndex((_, at) => at <= brokenAt && isMissingBefore(files, at));
  if (missing >= 0) {
    // A segment that held no entry may be missing although the chain continues: then nothing shows which entry should be there.
    const isBroken =
      fault === undefined ? end.index < missing : fault.index === missing && fault.offset === 0;
    return missingSegment(files, missing, isBroken ? (fault?.lsn ?? lastLsn + 1) : 0);
  }
  const { index, offset } = fault ?? batchStart ?? end;
  const segment = files[index]?.number ?? 0;
  if (fault !== undefined) return { segment, offset, lsn: fault.lsn, reason: fault.reason };
  return {
    segment,
    offset,
    lsn: lastLsn + 1,
    reason: batchStart === undefined ? 'missing-tail' : 'unfinished-batch',
  };
}

function reportsOf(starts: readonly SegmentStart[], { from, extents }: LogWalk): SegmentReport[] {
  return starts.map(({ number, size, lsn, skipped, stamp, time }, index) => {
    if (index < from) {
      const next = starts[index + 1];
      const latestMs = next.number === number + 1 ? next.time?.previousLatestMs || undefined : undefined;
      const lastLsn = lsn === 0 || next.lsn === 0 ? 0 : next.lsn - 1 - next.skipped;
      return {
        number,
        size,
        firstLsn: lsn,
        lastLsn,
        skipped,
        stamp,
        time,
        latestMs,
        scanned: false,
        frames: 0,
        validBytes: size,
      };
    }
    const extent = extents[index - from];
    return {
      number,
      size,
      firstLsn: extent?.firstLsn ?? 0,
      lastLsn: extent?.lastLsn ?? 0,
      skipped: extent?.firstLsn === lsn ? skipped : 0,
      stamp: extent?.stamp,
      time,
      latestMs: extent?.latestMs,
      scanned: true,
      frames: extent?.frames ?? 0,
      validBytes: extent?.bytes ?? 0,
      ...(extent?.blocks && { blocks: extent.blocks }),
    };
  });
}
