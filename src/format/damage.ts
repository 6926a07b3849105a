/**
 * The damage of a log, segment by segment and entry by entry, for `verify`. The decision table says how `open` treats it;
 * here nothing is decided.
 */

import { type BlockCheck, passesCheck } from './block-check.js';
import type { BlockSums } from './block-sums.js';
import { isZeroFrom, type SegmentFile, withSource } from './bytes.js';
import type { Verdict } from './decision-table.js';
import { FrameCursor } from './frame-cursor.js';
import { type KeptFrame, salvageFrames } from './salvage-scan.js';
import type { Judgement, Reason, SegmentReport } from './verdict.js';
import { isWalg } from './walg.js';

/** Entries with consecutive LSNs, both ends included. */
export interface LsnRange {
  /** The lowest LSN. */
  readonly first: number;
  /** The highest LSN. */
  readonly last: number;
}

export interface Damage {
  /** Ascending, one for each file. */
  readonly segments: readonly SegmentDamage[];
  /** Entries that cannot be read, and existed as far as the remaining bytes show. Only if the log is corrupt. */
  readonly lost: readonly LsnRange[];
  /**
   * In a corrupt log: readable entries after the damage. In a torn log: entries whose write was interrupted, at least the
   * first of them; none of these was acknowledged.
   */
  readonly inDoubt: readonly LsnRange[];
}

export interface SegmentDamage {
  readonly number: number;
  readonly size: number;
  readonly verdict: Verdict;
  /** Number of valid frames at the start of the segment, regardless of the segments before it. */
  readonly frames: number;
  /** 0 = there is none. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly validBytes: number;
  /** The first byte that should belong to a valid frame and does not; `undefined`: there is none. */
  readonly badOffset: number | undefined;
  readonly reason: Reason | undefined;
  /** Of these frames, if some are blocks. */
  readonly blocks?: BlockSums;
}

/** Reads each segment after the first damage twice more: for its own frames, and for what can still be read. */
export function assessDamage(
  files: readonly SegmentFile[],
  judgement: Judgement,
  check?: BlockCheck,
): Damage {
  const { verdict, segments, trouble } = judgement;
  if (trouble === undefined) return { segments: segments.map(intact), lost: [], inDoubt: [] };
  const readable = verdict === 'unsupported' ? [] : readableEntries(files, judgement, check);
  const lastNumber = segments.findLast(({ size }) => size > 0)?.number ?? 0;
  return {
    segments: segments.map((report, at) =>
      assessSegment(files[at], report, judgement, readable, report.number >= lastNumber, check),
    ),
    ...assessEntries(judgement, readable),
  };
}

/** A run of readable entries, with the LSNs that its first frame says were removed on purpose right before it. */
interface Run {
  readonly first: number;
  last: number;
  readonly skipped: number;
}

function readableEntries(
  files: readonly SegmentFile[],
  { logId, whole, segments }: Pick<Judgement, 'logId' | 'whole' | 'segments'>,
  check: BlockCheck | undefined,
): Run[] {
  const runs: Run[] = [];
  const first = segments.find(({ firstLsn }) => firstLsn > 0)?.firstLsn ?? 0;
  if (whole.count > 0) runs.push({ first, last: whole.lastLsn, skipped: 0 });
  const take = (frames: readonly KeptFrame[]) => {
    for (const { lsn, lastLsn, skipped } of frames) {
      const run = runs.at(-1);
      if (run !== undefined && lsn === run.last + skipped + 1) run.last = lastLsn;
      else runs.push({ first: lsn, last: lastLsn, skipped });
    }
  };
  salvageFrames(files, logId, take, whole, check);
  return runs;
}

function assessEntries(judgement: Judgement, readable: readonly Run[]): Pick<Damage, 'lost' | 'inDoubt'> {
  const { verdict, watermark, lastLsn, floor } = judgement;
  const lastReadable = readable.at(-1)?.last ?? 0;
  if (verdict === 'torn') {
    const first = lastLsn + 1;
    return { lost: [], inDoubt: [{ first, last: Math.max(first, lastReadable) }] };
  }
  if (verdict !== 'corrupt') return { lost: [], inDoubt: [] };
  const lost = readable
    .slice(1)
    .map(({ first, skipped }, at) => ({ first: (readable[at] as Run).last + 1, last: first - skipped - 1 }));
  // Entries below the floor were given up.
  lost.push({ first: Math.max(lastReadable + 1, floor), last: watermark });
  const inDoubt = readable.map(({ first, last }) => ({ first: Math.max(first, lastLsn + 1), last }));
  const isEmpty = ({ first, last }: LsnRange) => first > last;
  return {
    lost: lost.filter((range) => !isEmpty(range)),
    inDoubt: inDoubt.filter((range) => !isEmpty(range)),
  };
}

function intact(report: SegmentReport): SegmentDamage {
  const { number, size, frames, firstLsn, lastLsn, validBytes, blocks } = report;
  return {
    number,
    size,
    verdict: 'clean',
    frames,
    firstLsn,
    lastLsn,
    validBytes,
    badOffset: undefined,
    reason: undefined,
    ...(blocks && { blocks }),
  };
}

/** `isLast`: no later segment holds a byte. */
function assessSegment(
  file: SegmentFile,
  report: SegmentReport,
  judgement: Judgement,
  readable: readonly Run[],
  isLast: boolean,
  check: BlockCheck | undefined,
): SegmentDamage {
  const { end, trouble, verdict } = judgement;
  const { number, size } = report;
  if (number < end.segment) return intact(report);
  const isTroubled = trouble?.segment === number;
  if (number === end.segment) {
    const { validBytes } = report;
    const isBad = isTroubled || !withSource(file, (source) => isZeroFrom(source, validBytes));
    if (!isBad) return intact(report);
    // Valid frames may stand after the end: those of a batch that goes no further.
    const reason = isTroubled ? trouble.reason : 'unfinished-batch';
    return { ...intact(report), verdict, badOffset: validBytes, reason };
  }
  const alone = walkAlone(file, judgement.logId, isLast, check);
  if (alone.reason === 'walg' || alone.reason === 'unknown-critical') {
    return { number, size, ...alone, verdict: 'unsupported', badOffset: alone.validBytes };
  }
  if (verdict === 'torn' && size > 0) {
    // The segment is torn even if it looks intact: the entries that should stand before it are missing.
    const { reason = 'lsn', validBytes } = alone;
    return {
      number,
      size,
      ...alone,
      verdict,
      badOffset: alone.reason === undefined ? 0 : validBytes,
      reason,
    };
  }
  // Zeros where acknowledged entries were.
  const isEmptied = alone.frames === 0 && (isTroubled || isRightAfterMissing(judgement, number));
  const emptied = isTroubled ? trouble.reason : 'size';
  const reason = alone.reason ?? (isEmptied ? emptied : undefined);
  // It may not continue the entries that are left before it: `lost` reports that.
  if (reason === undefined) return { number, size, ...alone, verdict: 'clean', badOffset: undefined };
  const lastReadable = readable.at(-1)?.last ?? 0;
  // The last write of a log that is damaged elsewhere may have been torn like any other.
  const isTorn = isLast && alone.lastLsn > 0 && alone.lastLsn >= Math.max(lastReadable, judgement.watermark);
  return { number, size, ...alone, reason, verdict: isTorn ? 'torn' : verdict, badOffset: alone.validBytes };
}

/** The first trouble of the log is a missing segment, and this is the next segment that exists. */
function isRightAfterMissing({ trouble, segments }: Judgement, number: number): boolean {
  if (trouble?.reason !== 'missing-segment') return false;
  return number === segments.find((each) => each.number > trouble.segment)?.number;
}

/** The valid frames at the start of one segment, which may begin with any LSN. `isLast`: no later segment holds a byte. */
function walkAlone(
  file: SegmentFile,
  logId: bigint | undefined,
  isLast: boolean,
  check: BlockCheck | undefined,
): Pick<SegmentDamage, 'frames' | 'firstLsn' | 'lastLsn' | 'validBytes' | 'reason'> {
  return withSource(file, (source) => {
    const found = { frames: 0, firstLsn: 0, lastLsn: 0, validBytes: 0 };
    if (isWalg(source.read(0, 4))) return { ...found, reason: 'walg' };
    const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
    const { frame } = cursor.enter(source, file.number);
    let outcome = cursor.next();
    for (; outcome === undefined; outcome = cursor.next()) {
      if (frame.unknownCritical !== 0) return { ...found, reason: 'unknown-critical' };
      if (!passesCheck(check, cursor)) return { ...found, reason: 'block' };
      if (found.frames === 0) found.firstLsn = frame.lsn;
      found.frames++;
      found.lastLsn = frame.lastLsn;
      found.validBytes = cursor.offset;
    }
    // Preallocated zeros, or those that a crash has left, stand only at the end of the log.
    if (isLast && isZeroFrom(source, cursor.offset)) return { ...found, reason: undefined };
    if (source.size === 0) return { ...found, reason: 'empty-segment' };
    if (outcome === 'end') return { ...found, reason: undefined };
    return { ...found, reason: outcome };
  });
}
