import type { PlaceIdentity } from './lane-messages.js';

/**
 * Compaction: the jobs, and the commands of the writer. Types only.
 *
 *   opening thread ──'surveyGarbage'──────▶ job thread       what each sealed segment holds of the entries to drop
 *                  ──'compactRun'─────────▶ job thread       writes a run of segments anew, aside, and reads it back
 *                  ──'installCompaction'──▶ writer thread    gives the new file its name: src/worker/commands/compaction-commands.ts
 */

/** Job: reads the frames of segments, but not their data. */
export interface SurveyRequest {
  readonly directory: string;
  readonly logId: bigint;
  /** Neighbours, ascending. */
  readonly segments: readonly number[];
  /** `LsnSet.pairs`. */
  readonly drop: Float64Array;
  /** See `JobControl`. */
  readonly control: SharedArrayBuffer;
}

export interface SegmentGarbage {
  readonly number: number;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly entries: number;
  readonly firstLsn: number;
  /** The last LSN that the segment accounts for. */
  readonly lastLsn: number;
  /** Of the entries to drop. Bytes in a block are shared out evenly among its entries. */
  readonly droppedEntries: number;
  readonly droppedBytes: number;
  /** The last entry of the batch, or the part of one, that the segment begins with. */
  readonly headLsn: number;
  /** The first entry of the batch that goes on in the next segment; 0 = there is none. */
  readonly openLsn: number;
}

export interface GarbageSurvey {
  readonly segments: readonly SegmentGarbage[];
}

/** Job: writes the segments anew as one, without the entries to drop. */
export interface CompactRunRequest {
  readonly directory: string;
  /** Identity of the log's directory. */
  readonly place: PlaceIdentity;
  readonly logId: bigint;
  /** Neighbours, ascending. The new segment has the number of the first one. */
  readonly segments: readonly number[];
  /** The highest number that the last of them stands for. */
  readonly lastNumber: number;
  /** `LsnSet.pairs`. */
  readonly drop: Float64Array;
  readonly fileMode: number;
  /** Infinity = no limit. */
  readonly bytesPerSecond: number;
  /** See `JobControl`. */
  readonly control: SharedArrayBuffer;
}

/** A segment that a run was made of, as it was then. */
export interface CompactionSource {
  readonly number: number;
  readonly identity: PlaceIdentity;
  readonly bytes: number;
}

/** The new segment, which lies beside the log. */
export interface CompactedRun {
  readonly number: number;
  readonly lastNumber: number;
  readonly sources: readonly CompactionSource[];
  readonly firstLsn: number;
  /** LSNs that its first frame says were removed right before it. */
  readonly skipped: number;
  readonly bytes: number;
  readonly createdMs: number;
  /** Every entry of it was made at this time or before it; absent = not known. */
  readonly latestMs?: number | undefined;
  readonly entries: number;
  readonly droppedEntries: number;
  readonly bytesRead: number;
  readonly aside: PlaceIdentity;
}

/** `empty`: no entry would be left of the run, so that no file was written. */
export type CompactRunAnswer = CompactedRun | { readonly empty: true };

/** The log as a compaction begins. */
export interface BegunCompaction {
  readonly logId: bigint;
  /** The log's directory. */
  readonly place: PlaceIdentity;
  /** Segments with this number or a higher one must stay as they are; those below are sealed, durable and archived. */
  readonly end: number;
  /** How many cuts there were since the log was opened. */
  readonly cuts: number;
  /** Names of the side files in the log's directory. */
  readonly sideFiles: readonly string[];
}

/** `stale`: the sources are not what they were when the run was made, so that nothing was changed. */
export interface InstalledCompaction {
  readonly installed: boolean;
  readonly stale?: string | undefined;
}
