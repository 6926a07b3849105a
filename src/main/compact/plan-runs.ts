/**
 * Which sealed segments a compaction writes anew, and which of them together.
 *
 *   wal-0  wal-1  wal-2  wal-3  wal-4 | wal-5: holds the last durable entry, stays
 *   10 %   70 %   90 %    5 %   60 %  |
 *          └─── one run ┘       run   |
 *
 * A segment is written anew if the entries to drop are a large enough part of it. Neighbours become one segment as long as that is no
 * larger than a segment may be. A batch that loses entries must not begin in one run and go on in another segment: its segments
 * belong together. If one of them has to stay as it is, so does the batch.
 */

import type { LsnSet } from '../../format/lsn-set.js';
import type { SegmentGarbage } from '../../protocol/compaction.js';

/** A sealed segment that may be written anew. */
export interface Candidate {
  readonly number: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly bytes: number;
}

export interface PlannedRun {
  /** Numbers of neighbours, ascending. */
  readonly segments: readonly number[];
  /** Bytes that will be left, as far as the survey can tell. */
  readonly keptBytes: number;
}

export interface CompactionPlan {
  readonly runs: readonly PlannedRun[];
  /** What is dropped from these segments. */
  readonly drop: LsnSet;
}

/** The candidates to survey: those that hold entries to drop, and their neighbours, into which a batch may go on. */
export function toSurvey(candidates: readonly Candidate[], drop: LsnSet): number[] {
  const holds = candidates.map(({ firstLsn, lastLsn }) => drop.meets(firstLsn, lastLsn));
  return candidates
    .filter((_, at) => holds[at] || holds[at - 1] || holds[at + 1])
    .map(({ number }) => number);
}

/**
 * @param candidates all segments that may be written anew, ascending
 * @param surveyed of those that [toSurvey] names
 */
export function planRuns(
  candidates: readonly Candidate[],
  surveyed: readonly SegmentGarbage[],
  wanted: LsnSet,
  limits: { readonly minGarbage: number; readonly maxFileSize: number },
): CompactionPlan {
  const byNumber = new Map(surveyed.map((segment) => [segment.number, segment]));
  const drop = wanted.without(...heldBatch(candidates, byNumber));
  const units = unitsOf(candidates, byNumber, drop);
  const chosen = units.filter(
    ({ bytes, droppedBytes }) => droppedBytes > 0 && droppedBytes >= limits.minGarbage * bytes,
  );
  return { runs: merge(chosen, limits.maxFileSize), drop };
}

/** Segments that can only be written anew together: a batch that goes from one to the next loses entries. */
interface Unit {
  /** Index of its first candidate, and of the one after its last. */
  readonly from: number;
  readonly to: number;
  readonly segments: readonly number[];
  readonly bytes: number;
  readonly droppedBytes: number;
}

function unitsOf(
  candidates: readonly Candidate[],
  byNumber: ReadonlyMap<number, SegmentGarbage>,
  drop: LsnSet,
): Unit[] {
  const units: Unit[] = [];
  let from = 0;
  candidates.forEach(({ number }, at) => {
    const next = candidates[at + 1];
    const segment = byNumber.get(number);
    const following = next && byNumber.get(next.number);
    const isBound =
      segment !== undefined &&
      following !== undefined &&
      segment.openLsn > 0 &&
      drop.meets(segment.openLsn, following.headLsn);
    if (isBound) return;
    const numbers = candidates.slice(from, at + 1).map((each) => each.number);
    const parts = numbers.flatMap((each) => byNumber.get(each) ?? []);
    const isWhole = parts.length === numbers.length && !isOpenEnded(candidates, byNumber, from, at + 1);
    if (isWhole) {
      const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
      const droppedBytes = parts.reduce((sum, part) => sum + droppedBytesOf(part, drop), 0);
      units.push({ from, to: at + 1, segments: numbers, bytes, droppedBytes });
    }
    from = at + 1;
  });
  return units;
}

/**
 * A segment at an end of several, all of which is inside a batch that goes on in a segment that was not surveyed: a batch of more than two
 * segments. Such a unit stays as it is.
 */
function isOpenEnded(
  candidates: readonly Candidate[],
  byNumber: ReadonlyMap<number, SegmentGarbage>,
  from: number,
  to: number,
): boolean {
  if (to - from < 2) return false;
  const isInsideBatch = (at: number, neighbour: number) => {
    const segment = byNumber.get(candidates[at]?.number ?? -1);
    const other = candidates[neighbour];
    return segment?.openLsn === segment?.firstLsn && other !== undefined && !byNumber.has(other.number);
  };
  return isInsideBatch(from, from - 1) || isInsideBatch(to - 1, to);
}

/** Less than the survey found if a batch is held back. */
function droppedBytesOf(
  { droppedEntries, droppedBytes, firstLsn, lastLsn }: SegmentGarbage,
  drop: LsnSet,
): number {
  if (droppedEntries === 0 || !drop.meets(firstLsn, lastLsn)) return 0;
  const left = Math.min(droppedEntries, drop.countIn(firstLsn, lastLsn));
  return Math.floor((droppedBytes * left) / droppedEntries);
}

function merge(units: readonly Unit[], maxFileSize: number): PlannedRun[] {
  const runs: { segments: number[]; keptBytes: number; to: number }[] = [];
  for (const { from, to, segments, bytes, droppedBytes } of units) {
    const keptBytes = bytes - droppedBytes;
    const run = runs.at(-1);
    if (run !== undefined && run.to === from && run.keptBytes + keptBytes <= maxFileSize) {
      run.segments.push(...segments);
      run.keptBytes += keptBytes;
      run.to = to;
    } else {
      runs.push({ segments: [...segments], keptBytes, to });
    }
  }
  return runs.map(({ segments, keptBytes }) => ({ segments, keptBytes }));
}

/** The part of a batch, at the end of the last candidates, that goes on in a segment that has to stay. An empty range: there is none. */
function heldBatch(
  candidates: readonly Candidate[],
  byNumber: ReadonlyMap<number, SegmentGarbage>,
): [first: number, last: number] {
  const last = candidates.at(-1);
  let first = 0;
  for (let at = candidates.length - 1; at >= 0; at--) {
    const segment = byNumber.get((candidates[at] as Candidate).number);
    if (segment === undefined || segment.openLsn === 0) break;
    first = segment.openLsn;
    // Only a batch that fills the segment may have begun in the one before.
    if (segment.openLsn > segment.firstLsn) break;
  }
  return last === undefined || first === 0 ? [1, 0] : [first, last.lastLsn];
}
