import type { MessagePort } from 'node:worker_threads';
import type {
  ChangeResult,
  CheckpointChange,
  NamedCheckpoint,
  ReplicatedPlace,
} from './checkpoint-changes.js';
import type { Failure } from './errors.js';
import type { RecoveryReport, SegmentInfo } from './reports.js';
import type { SnapshotRecord } from './snapshots.js';
import type { LaneHandle } from './thread-data.js';

/**
 * The messages between the threads of one log. Types only: they are compiled away.
 *
 *   opening thread ──[ThreadData]──▶ writer thread, sync thread         when they are started
 *   lane           ──[ToWriter]────▶ writer thread                      port; counted by the lane's word `posted`
 *   writer thread  ──[ToLane]──────▶ lane                               the same port
 *   sync thread    ──[ToLane]──────▶ lane                               a port of its own: one thread switch less for `durable`
 *   lane           ───────────────── opening thread                     a port without messages: it closes when the lane's
 *                                                                       thread ends, and the opening thread notices that
 *   writer thread  ──[SyncJob]─────▶ sync thread                        port; counted by the word `requested`
 *
 * Errors cross as [Failure]: structured clone drops subclasses and unknown fields of an Error.
 */

/**
 * Consecutive entries of one lane that got consecutive LSNs, three numbers each: the lane's sequence number of the first, how
 * many, the LSN of the first. A flat array, since it is cloned for every group.
 */
export type AckRuns = number[];

/** The levels at which an append can be acknowledged, lowest first: an entry reaches them in this order. */
export type AckLevel = 'written' | 'durable';

/** Identifies a file, whatever its name (`FileIdentity` of src/files/disk.ts). */
export interface PlaceIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** The times in the first frame of a segment (`SegmentTime` of src/format/time-walk.ts). */
export interface FirstFrameTime {
  readonly timeMs: number;
  readonly createdMs: number;
  readonly previousLatestMs: number;
}

/** Distinguishes the files of an open log from another log's files that got the same names later. */
export interface LogOrigin {
  /** Recorded in the first frame of each segment, except in segments of wal-go. */
  readonly logId: bigint;
  /** The identity of the directory, which the writer thread has open. */
  readonly place: PlaceIdentity;
  /** By number, the segments whose first frame does not name the log, with their identities when the log was opened. */
  readonly unnamed: ReadonlyMap<number, PlaceIdentity>;
}

/** The parts of the state file that other threads need, as they were when the log was opened. */
export interface KeptState {
  readonly namedCheckpoints: ReadonlyMap<string, NamedCheckpoint>;
  /** Segments with lower numbers were handed to the archive. */
  readonly archived: number;
  /** Of the entries that the log writes next. */
  readonly branch: bigint;
  /** `undefined`: the log was never replicated. */
  readonly replicated: ReplicatedPlace | undefined;
}

// ── Lane to writer ──────────────────────────────────────────────────────────────────────────────────────────────

/** A change to the log as a whole. The writer makes it once everything that was accepted before is written. */
export interface LogCommand {
  readonly name: 'checkpoint' | 'truncateBefore' | 'truncateAfter' | 'reset' | 'rotate';
  /** 0 for `rotate`; for `reset` the LSN that comes next. */
  readonly lsn: number;
  /** Of `truncateAfter`: the cut may be inside a batch. */
  readonly splitBatch?: boolean | undefined;
  /** Of `truncateAfter`: only find out whether it would be refused. */
  readonly dryRun?: boolean | undefined;
}

/** The entries of the message are taken if the first of them becomes exactly entry `lsn`; otherwise none is taken. */
export interface Expectation {
  readonly lsn: number;
  /** How many entries the message holds. */
  readonly entries: number;
}

export type AnyCommand = LogCommand | SnapshotCommand;

/** The steps of a snapshot on the writer thread: src/worker/commands/snapshot-commands.ts. */
export type SnapshotCommand =
  /** A snapshot at entry `lsn` is about to be written. Answered by a [BegunSnapshotPlace]. */
  | { readonly name: 'beginSnapshot'; readonly lsn: number }
  /** The file is complete under its aside name. `surplus`: LSNs of snapshots that will be removed. */
  | {
      readonly name: 'installSnapshot';
      readonly lsn: number;
      readonly snapshot: SnapshotRecord;
      /** Of its [BegunSnapshotPlace]. */
      readonly cuts: number;
      /** LSNs of the snapshots that are kept and known to be intact, this one among them. */
      readonly intact: readonly number[];
      readonly surplus: readonly number[];
    }
  /** The whole file of the snapshot at `lsn` was read, and it is intact. */
  | { readonly name: 'noteSnapshotIntact'; readonly lsn: number }
  | { readonly name: 'removeSnapshot'; readonly lsn: number };

/** The facts about the log that the file of a snapshot records. */
export interface BegunSnapshotPlace {
  readonly logId: bigint;
  readonly branch: bigint;
  /** The log's directory. */
  readonly place: PlaceIdentity;
  /** n of the segment that holds the entry; `undefined`: the log is empty, and continues after that LSN. */
  readonly segment: number | undefined;
  /** How many cuts there were since the log was opened. */
  readonly cuts: number;
}

/** The answer of a command, if it has one. */
export type CommandResult = BegunSnapshotPlace;

/**
 * `position` is the lane's head when the message was posted: the message comes after the ring records before that position and
 * before those after it.
 */
export type ToWriter =
  /**
   * Small entries beside the ring, as records of the ring without WRAP: either entries that found the ring full, in a
   * `GrowingChunk` of src/ring/chunk.ts to which more may be added, or one complete atomic batch.
   */
  | {
      readonly kind: 'records';
      readonly position: number;
      readonly records: SharedArrayBuffer | Uint8Array;
      /** Of a batch only. */
      readonly expectation?: Expectation | undefined;
    }
  /**
   * Entries beside the ring, each framed around its own bytes: one entry, or an atomic batch, that is too large for the ring, or
   * that found it full and is not small.
   */
  | {
      readonly kind: 'parts';
      readonly position: number;
      readonly parts: readonly Uint8Array[];
      readonly expectation?: Expectation | undefined;
    }
  /**
   * Asks for the LSN that comes next, after everything that the lane has appended before. Answered by `next-lsn`, or by
   * `command-rejected` if that LSN is not `expectLsn`.
   */
  | {
      readonly kind: 'ask-next-lsn';
      readonly position: number;
      readonly id: number;
      readonly expectLsn: number | undefined;
    }
  /** Make everything durable that every lane holds now; answered by `synced` or `sync-rejected`. */
  | { readonly kind: 'sync'; readonly position: number; readonly id: number }
  /** Answered by `command-done` or `command-rejected`. */
  | { readonly kind: 'command'; readonly position: number; readonly id: number; readonly command: AnyCommand }
  /** Answered by `checkpoints-done` or `checkpoints-rejected`. */
  | {
      readonly kind: 'checkpoints';
      readonly position: number;
      readonly id: number;
      readonly changes: readonly CheckpointChange[];
    }
  /** Answer `room` once everything before this is taken. */
  | { readonly kind: 'echo'; readonly position: number }
  /** A lane for another thread, which has the other ends of the ports. The answer goes there: `attached`, or a refusal. */
  | {
      readonly kind: 'attach';
      readonly position: number;
      readonly writerPort: MessagePort;
      readonly syncPort: MessagePort;
      /** The opening thread's end. */
      readonly lifePort: MessagePort;
    }
  /** The lane's last message. Answered by `detached` once everything before it is durable. */
  | { readonly kind: 'detach'; readonly position: number }
  /** From the opening thread: the thread of that lane has ended. */
  | { readonly kind: 'gone'; readonly position: number; readonly lane: number }
  | { readonly kind: 'close'; readonly position: number };

// ── Writer and sync thread to lane ──────────────────────────────────────────────────────────────────────────────

export type ToLane =
  | {
      readonly kind: 'opened';
      readonly recovery: RecoveryReport;
      readonly segments: readonly SegmentInfo[];
      /** The times in the first frames of the segments. */
      readonly times: ReadonlyMap<number, FirstFrameTime>;
      readonly origin: LogOrigin;
      readonly kept: KeptState;
      readonly snapshots: readonly SnapshotRecord[];
    }
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** Entries of this lane have reached the level. */
  | { readonly kind: AckLevel; readonly runs: AckRuns }
  | { readonly kind: 'synced'; readonly id: number; readonly watermark: number }
  /** `id` 0: the producer's blocking flush. */
  | { readonly kind: 'sync-rejected'; readonly id: number; readonly failure: Failure }
  /** The ring has room again, for `ready()`. */
  | { readonly kind: 'room' }
  /** The entries [from, to) were accepted and will not be written; the log continues. */
  | { readonly kind: 'rejected'; readonly from: number; readonly to: number; readonly failure: Failure }
  /** The entries [from, to) were not taken, since the first of them would not have become the expected one. */
  | { readonly kind: 'conflict'; readonly from: number; readonly to: number; readonly failure: Failure }
  /** The log ended. The entries of this lane below `written` were handed to the system. */
  | { readonly kind: 'failed'; readonly written: number; readonly failure: Failure }
  /** A failure that affects no entry (for example a segment that could not be removed). */
  | { readonly kind: 'trouble'; readonly failure: Failure }
  | {
      readonly kind: 'segment-opened';
      readonly number: number;
      readonly createdMs: number;
      /** LSN of the segment's first entry. */
      readonly firstLsn: number;
      /** Size of the previous segment, which is sealed. */
      readonly sealedBytes: number;
      /** See [FirstFrameTime]. */
      readonly previousLatestMs: number;
    }
  /** To the opening thread: everything up to `watermark` was synced, and `ringwal:sync` has a subscriber. */
  | { readonly kind: 'sync-made'; readonly watermark: number; readonly durationMs: number }
  /** The watermark moved, and a follower had asked for it. */
  | { readonly kind: 'watermark' }
  | { readonly kind: 'segments-removed'; readonly upTo: number }
  /** To the opening thread: the log's snapshots now, newest first. */
  | { readonly kind: 'snapshots'; readonly snapshots: readonly SnapshotRecord[] }
  /**
   * The log was cut after entry `lsn`; these are its segments now. `replaced`: the segment whose file was replaced.
   */
  | {
      readonly kind: 'truncated';
      readonly lsn: number;
      readonly segments: readonly SegmentInfo[];
      readonly replaced: number | undefined;
      /** The LSN before that of the next entry: `lsn`, or a higher one if the log was emptied and begins there. */
      readonly endLsn: number;
      /** Of the entries that the log writes next. */
      readonly branch: bigint;
    }
  | { readonly kind: 'command-done'; readonly id: number; readonly result?: CommandResult | undefined }
  | { readonly kind: 'next-lsn'; readonly id: number; readonly lsn: number }
  | { readonly kind: 'command-rejected'; readonly id: number; readonly failure: Failure }
  /** One result for each change of the request; the changes are durable. */
  | { readonly kind: 'checkpoints-done'; readonly id: number; readonly results: readonly ChangeResult[] }
  | { readonly kind: 'checkpoints-rejected'; readonly id: number; readonly failure: Failure }
  | { readonly kind: 'segment-withdrawn'; readonly number: number }
  /**
   * To the opening thread, if the log has an archive: the segments up to this number are sealed and durable. Nothing but a
   * cut changes them any more.
   */
  | { readonly kind: 'segments-sealed'; readonly upTo: number }
  /** The first message to a new lane: its memory. `isNew`: no page of it has been touched. */
  | { readonly kind: 'attached'; readonly memory: LaneHandle; readonly isNew: boolean }
  /** To the opening thread: `lifePort` closes when the lane's thread ends. The lane's memory is for figures only. */
  | {
      readonly kind: 'lane-opened';
      readonly lane: number;
      readonly lifePort: MessagePort;
      readonly buffer: SharedArrayBuffer;
    }
  /** The lane no longer has a producer. */
  | { readonly kind: 'detached' }
  /** The log is closed. The entries of this lane below `taken` are in it, and no others. */
  | { readonly kind: 'closed'; readonly taken: number };

export type AttachRequest = Extract<ToWriter, { kind: 'attach' }>;
