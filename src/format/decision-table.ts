/**
 * The decision table of recovery: docs/format.md has the same six rows in the same order.
 *
 *   k  the last valid entry before the first invalid frame, never inside an unfinished batch
 *   W  the watermark: the largest of the state file's, unless a Segment contradicts its log_id, and of synced_lsn in
 *      all valid frames and in the heads after the first invalid one
 *
 * Entries up to W were acknowledged: if one of them cannot be read, the log is corrupt. Entries above W were never promised:
 * if they cannot be read, they are a torn tail.
 */

import type { Tail } from './tail.js';

export type Verdict = 'unsupported' | 'corrupt' | 'clean' | 'torn';

/** The evidence on which the table decides. */
export interface Evidence {
  /** A frame of this log has a critical field that is not known, or a file is of wal-go's later format. */
  readonly unsupported: boolean;
  /** W */
  readonly watermark: number;
  /** k; 0 = none. */
  readonly lastLsn: number;
  /** There is a synced_lsn anywhere, or a state file: the log is not wal-go's. */
  readonly hasWatermarks: boolean;
  /** Does a frame that passes rules 1, 2 and 4 follow entry k? A function, since the answer is expensive. */
  readonly frameFollows: () => boolean;
  /** A segment number is missing, or a segment below the one that holds W starts with an invalid frame. */
  readonly gap: boolean;
  /** A segment after the one that holds k has a byte that is not zero. */
  readonly laterBytes: boolean;
  /** The bytes right after entry k, in its segment. */
  readonly tail: Tail;
}

export interface Row {
  readonly row: 1 | 2 | 3 | 4 | 5 | 6;
  readonly verdict: Verdict;
  readonly applies: (evidence: Evidence) => boolean;
}

/** The first row that applies decides; the last one always does. */
export const ROWS: readonly Row[] = [
  { row: 1, verdict: 'unsupported', applies: (evidence) => evidence.unsupported },
  { row: 2, verdict: 'corrupt', applies: ({ watermark, lastLsn }) => watermark > lastLsn },
  { row: 3, verdict: 'corrupt', applies: (evidence) => !evidence.hasWatermarks && evidence.frameFollows() },
  { row: 4, verdict: 'corrupt', applies: (evidence) => evidence.gap },
  { row: 5, verdict: 'clean', applies: ({ laterBytes, tail }) => !laterBytes && tail !== 'bytes' },
  { row: 6, verdict: 'torn', applies: () => true },
];

export function judgeEvidence(evidence: Evidence): Row {
  return ROWS.find((row) => row.applies(evidence))!;
}
