import type { Failure } from './errors.js';
import type { PlaceIdentity } from './lane-messages.js';
import type { SnapshotRecord } from './snapshots.js';

/**
 * The jobs about snapshots and their messages. Types only.
 *
 *   opening thread ──[FromSource]──▶ job thread      port of the job 'writeSnapshot'; the messages are answered in their order
 *   job thread     ──[ToSource]────▶ opening thread
 */

/** Job: writes the file of a snapshot, without its final name. */
export interface WriteSnapshotRequest {
  readonly directory: string;
  /** Identity of the log's directory. */
  readonly place: PlaceIdentity;
  readonly logId: bigint;
  readonly lsn: number;
  /** n of the segment that holds entry `lsn`; `undefined`: the log is empty and begins after it. */
  readonly segment: number | undefined;
  /** The branch of an empty log, which has no entry that names one. */
  readonly branch: bigint;
  readonly format: string;
  readonly fileMode: number;
}

export type FromSource =
  /** `buffer` as `SnapshotWriter.write` takes it. It comes back with the answer. */
  | { readonly kind: 'chunk'; readonly buffer: ArrayBuffer; readonly dataBytes: number }
  | { readonly kind: 'finish' }
  /** Remove the file. The last message. */
  | { readonly kind: 'abort' };

export type ToSource =
  /** Answers nothing: the file is there. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'written'; readonly buffer: ArrayBuffer }
  | { readonly kind: 'finished'; readonly snapshot: SnapshotRecord }
  | { readonly kind: 'aborted' }
  /** Answers any of the messages, or comes instead of `begun`. */
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Job: reads a whole snapshot and compares it with the log. */
export interface VerifySnapshotRequest {
  readonly directory: string;
  readonly lsn: number;
  readonly log: SnapshotContext;
  /** Two 64-bit words: bytes read so far, bytes of the file. */
  readonly progress?: SharedArrayBuffer | undefined;
}

/** The log that a snapshot must fit. */
export interface SnapshotContext {
  /** `undefined`: nothing names the log. */
  readonly logId: bigint | undefined;
  /** 0 = the log is empty. */
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** n of the segment that holds the snapshot's entry, if the log still has it. */
  readonly segment: number | undefined;
}

/** `reason`: why the snapshot cannot be used, in words. */
export type SnapshotCheck = { readonly snapshot: SnapshotRecord } | { readonly reason: string };

/** Job: removes the files of snapshots, and makes that durable. */
export interface RemoveSnapshotsRequest {
  readonly directory: string;
  readonly place: PlaceIdentity;
  readonly lsns: readonly number[];
}
