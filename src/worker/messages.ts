import type { MessagePort } from 'node:worker_threads';

/**
 * What the threads of one log say to each other by message port. Types only, so that the opening thread can
 * import them without loading any of the writer's code.
 *
 *   opening thread ──[ThreadData]──▶ writer thread, sync thread         when they are started
 *   lane           ──[ToWriter]────▶ writer thread                      port; counted by the lane's word `posted`
 *   writer thread  ──[ToLane]──────▶ lane                               the same port
 *   sync thread    ──[ToLane]──────▶ lane                               a port of its own: one hop less for `durable`
 *   lane           ───────────────── opening thread                     a port that says nothing: it closes when the lane's
 *                                                                       thread ends, and the opening thread hears of it
 *   writer thread  ──[SyncJob]─────▶ sync thread                        port; counted by the word `requested`
 *
 * Errors cross as [Failure]: structured clone drops subclasses and unknown fields of an Error.
 */

/**
 * What a {@link WalError} is about. Of each docs/errors.md says what it means, what to do, and what is certain about the data.
 *
 * | code | |
 * | --- | --- |
 * | `ERR_WAL_OPTION` | an argument or an option is wrong, or does not fit this log |
 * | `ERR_WAL_LOCKED` | the directory has a writer already |
 * | `ERR_WAL_CORRUPT` | an acknowledged entry cannot be read |
 * | `ERR_WAL_UNSUPPORTED` | the files are in a format that this version does not read, or not write |
 * | `ERR_WAL_TOO_LARGE` | an entry or a batch has more than `maxEntrySize` bytes |
 * | `ERR_WAL_FULL` | no room in memory now, or no lane |
 * | `ERR_WAL_IO` | the system refused to open, read, write, cut or remove a file, or to start a thread; `cause` says why |
 * | `ERR_WAL_SYNC_FAILED` | an fsync failed; the log has ended |
 * | `ERR_WAL_CLOSED` | the log, the lane or the reader was closed |
 * | `ERR_WAL_WORKER_DIED` | a thread of the log did not find its code, or ended without having been asked |
 * | `ERR_WAL_PURGED` | retention or `truncateBefore` has removed the entry |
 * | `ERR_WAL_TRUNCATED` | `truncateAfter` has cut off an entry that was handed out, or was being read |
 * | `ERR_WAL_TIMEOUT` | `flushSync` has waited as long as it might |
 * | `ERR_WAL_READ_ONLY` | reserved; nothing makes it |
 */
export type WalErrorCode =
  | 'ERR_WAL_OPTION'
  | 'ERR_WAL_LOCKED'
  | 'ERR_WAL_CORRUPT'
  | 'ERR_WAL_UNSUPPORTED'
  | 'ERR_WAL_TOO_LARGE'
  | 'ERR_WAL_FULL'
  | 'ERR_WAL_IO'
  | 'ERR_WAL_SYNC_FAILED'
  | 'ERR_WAL_CLOSED'
  | 'ERR_WAL_WORKER_DIED'
  | 'ERR_WAL_PURGED'
  | 'ERR_WAL_TRUNCATED'
  | 'ERR_WAL_TIMEOUT'
  | 'ERR_WAL_READ_ONLY';

/** A system error as it crosses threads. */
export interface SystemCause {
  readonly code?: string;
  readonly message: string;
  readonly syscall?: string;
  readonly errno?: number;
  readonly stack?: string;
}

/** A `WalError` as it crosses threads. */
export interface Failure {
  readonly code: WalErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly lsn?: number;
  readonly offset?: number;
  readonly cause?: SystemCause;
}

/** The options that the writer thread acts on, checked and with every default filled in. Units as in `WalOptions`. */
export interface WriterOptions {
  readonly directory: string;
  readonly maxFileSize: number;
  readonly maxFiles: number;
  readonly maxTotalSize: number;
  readonly maxAge: number;
  /** Retention keeps every segment with an entry above the checkpoint. */
  readonly retainFromCheckpoint: boolean;
  readonly syncInterval: number;
  readonly commitDelay: number;
  readonly recovery: 'strict' | 'point-in-time' | 'skip-corrupt';
  readonly preallocate: false | 'ahead' | 'zero' | 'recycle';
  readonly fileMode: number;
  readonly directoryMode: number;
}

/**
 * Consecutive entries of one lane that got consecutive LSNs, three numbers each: the lane's sequence number of the
 * first, how many, the LSN of the first. Flat, since it is cloned for every group.
 */
export type LaneRuns = number[];

/** The levels at which an append can be acknowledged, lowest first: an entry reaches them in this order. */
export type AckLevel = 'written' | 'durable';

/** A segment of a log: {@link WalReader.segments}. */
export interface SegmentInfo {
  /** n in `wal-<n>`. */
  readonly number: number;
  /** The file, absolute. */
  readonly path: string;
  /** LSN of its first entry; 0 while it holds none. */
  readonly firstLsn: number;
  /** LSN of its last entry; 0 while it holds none. */
  readonly lastLsn: number;
  /** Bytes of its frames. */
  readonly bytes: number;
  /** Milliseconds since 1970 of the segment's own creation stamp; 0 for a file of wal-go, which has none. */
  readonly createdMs: number;
}

/** Which file it is, whatever its name (`FileIdentity` of src/files/disk.ts). */
export interface PlaceIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** By what the files of an open log are told from another log's that have come to bear their names. */
export interface LogOrigin {
  /** In the first frame of each segment, but for those of wal-go. */
  readonly logId: bigint;
  /** The directory, which the writer thread has open. */
  readonly place: PlaceIdentity;
  /** By number, the segments whose first frame does not name the log: which files they were when it was opened. */
  readonly unnamed: ReadonlyMap<number, PlaceIdentity>;
}

// Exported as WalRecovery.
/** What `open` found and did: {@link WalReader.recovery}. LSNs are 0 where there is no entry. */
export interface RecoveryReport {
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /** `clean`: all is well. `torn`: a write was interrupted; it is cut, unless the log is open for reading only. */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files showed: entries up to it were acknowledged as durable before. */
  readonly watermark: number;
  /** The oldest entry kept. */
  readonly firstLsn: number;
  /** The last entry kept. */
  readonly lastLsn: number;
  /** How many segments there are. */
  readonly segments: number;
  /** What was cut behind the last kept entry; `undefined` where nothing but zeros or stale bytes stood there. */
  readonly cut?: RecoveryCut | undefined;
  /** What the option `recovery` made of a corrupt log, if it was one. */
  readonly repair?: RepairReport | undefined;
  /** Bytes above the watermark that were written anew, since the process before may have seen their sync fail. */
  readonly rewrittenBytes: number;
  /** Names of files in the directory that are not the log's. They are left alone. */
  readonly foreignFiles: readonly string[];
  /** Why making the recovered entries durable was put off (`ENOSPC`, `EROFS`, …); appends reject until it could be done. */
  readonly postponed?: string | undefined;
  /** Milliseconds that it took. */
  readonly durationMs: number;
}

// Exported as WalRepair.
/** What a repair did, or would do (`dryRun`): {@link Wal.repair}, and `open` with the option `recovery`. */
export interface RepairReport {
  /** `'truncate'`: the log ends before the first entry that cannot be read. `'salvage'`: everything readable is kept. */
  readonly mode: 'truncate' | 'salvage';
  /** True = this is what would be done; nothing was changed. */
  readonly dryRun: boolean;
  /** The row of the decision table in docs/format.md, of the log as it was: 1 to 6. */
  readonly row: number;
  /** The verdict on the log as it was. Only a corrupt one is repaired. */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The watermark that the files showed: entries up to it were acknowledged as durable. */
  readonly watermark: number;
  /** The oldest entry afterwards; 0 = there is none. */
  readonly firstLsn: number;
  /** The last entry afterwards; 0 = there is none. */
  readonly lastLsn: number;
  /** Entries that must have been there, as far as what is left shows it, and are not kept. */
  readonly lostLsns: number;
  /** Segments that were cut or written anew. Each has a side file. */
  readonly changedSegments: readonly string[];
  /** Segments that are gone. Each has a side file. */
  readonly removedSegments: readonly string[];
  /** Where every byte that was taken out is kept. */
  readonly sideFiles: readonly string[];
}

// Exported as WalRecoveryCut.
/** A torn tail that was cut, or what was cut behind damage: {@link RecoveryReport.cut}. */
export interface RecoveryCut {
  /** The segment that ended in it. */
  readonly path: string;
  /** The first byte that was cut, from the segment's start. */
  readonly offset: number;
  /** How many bytes were cut, those of removed segments included. */
  readonly bytes: number;
  /** The LSN that the first cut frame would have had. */
  readonly lsn: number;
  /** Why the frame there is not valid, in words. */
  readonly reason: string;
  /** Side files that keep the cut bytes. */
  readonly sideFiles: readonly string[];
  /** Later segments that were removed with it. */
  readonly removedSegments: readonly string[];
}

// ── When a thread is started ────────────────────────────────────────────────────────────────────────────────────

/** The memory of one lane as it is handed to another thread (`LaneMemory` of src/ring/layout.ts). */
export interface LaneHandle {
  readonly buffer: SharedArrayBuffer;
  /** Absent where the runtime has no WebAssembly: the reference kernel then frames. */
  readonly memory?: { readonly buffer: SharedArrayBuffer };
}

export interface WriterThreadData<Port> {
  readonly role: 'writer';
  readonly options: WriterOptions;
  readonly lane: LaneHandle;
  readonly lanePort: Port;
  readonly ringSize: number;
  readonly maxLanes: number;
  readonly syncPort: Port;
  readonly bell: SharedArrayBuffer;
  readonly board: SharedArrayBuffer;
  readonly syncWords: SharedArrayBuffer;
}

export interface SyncThreadData<Port> {
  readonly role: 'sync';
  readonly directory: string;
  /** By which the opening thread sees that this thread lives (src/files/lock.ts). */
  readonly lifeline: number;
  readonly fileMode: number;
  readonly writerPort: Port;
  /** Of the opener's lane; those of the others come with the jobs. */
  readonly lanePort: Port;
  readonly bell: SharedArrayBuffer;
  readonly board: SharedArrayBuffer;
  readonly syncWords: SharedArrayBuffer;
}

// ── Lane to writer ──────────────────────────────────────────────────────────────────────────────────────────────

/** What the writer does to the log as a whole, once everything that was accepted before is written. */
export interface LogCommand {
  readonly name: 'checkpoint' | 'truncateBefore' | 'truncateAfter';
  readonly lsn: number;
}

/**
 * `position` is the lane's head when the message was posted: it comes after the ring records before that position and
 * before those behind it.
 */
export type ToWriter =
  /**
   * Small entries beside the ring, as records of the ring without WRAP: those that found it full, in a `GrowingChunk` of
   * src/ring/chunk.ts to which more may be added, or an atomic batch, complete.
   */
  | {
      readonly kind: 'records';
      readonly position: number;
      readonly records: SharedArrayBuffer | Uint8Array;
    }
  /**
   * Entries beside the ring, each framed around its own bytes: one, or an atomic batch, that is too large for the ring or found it full,
   * and is not small.
   */
  | { readonly kind: 'parts'; readonly position: number; readonly parts: readonly Uint8Array[] }
  /** Make durable what every lane holds now; answered by `synced` or `sync-rejected`. */
  | { readonly kind: 'sync'; readonly position: number; readonly id: number }
  /** Answered by `command-done` or `command-rejected`. */
  | { readonly kind: 'command'; readonly position: number; readonly id: number; readonly command: LogCommand }
  /** Say `room` once everything before this is taken. */
  | { readonly kind: 'echo'; readonly position: number }
  /** A lane for another thread, which has the other ends of the ports. Answered there: `attached`, or why not. */
  | {
      readonly kind: 'attach';
      readonly position: number;
      readonly writerPort: MessagePort;
      readonly syncPort: MessagePort;
      /** For the opening thread. */
      readonly lifePort: MessagePort;
    }
  /** The lane's last word: `detached` once everything before it is durable. */
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
      readonly origin: LogOrigin;
    }
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** Entries of this lane have reached the level. */
  | { readonly kind: AckLevel; readonly runs: LaneRuns }
  | { readonly kind: 'synced'; readonly id: number; readonly watermark: number }
  /** `id` 0: the flush that is blocked. */
  | { readonly kind: 'sync-rejected'; readonly id: number; readonly failure: Failure }
  /** Room in the ring again, for `ready()`. */
  | { readonly kind: 'room' }
  /** Entries `from` up to and without `to` were accepted and will not be written; the log works on. */
  | { readonly kind: 'rejected'; readonly from: number; readonly to: number; readonly failure: Failure }
  /** The log ended. Entries of this lane below `written` had been handed to the system. */
  | { readonly kind: 'failed'; readonly written: number; readonly failure: Failure }
  /** Something went wrong that concerns no entry (a segment that could not be removed). */
  | { readonly kind: 'trouble'; readonly failure: Failure }
  | {
      readonly kind: 'segment-opened';
      readonly number: number;
      readonly createdMs: number;
      /** LSN of the entry that it will begin with. */
      readonly firstLsn: number;
      /** Size of the segment before it, which is sealed. */
      readonly sealedBytes: number;
    }
  /** Everything up to `watermark` was synced, and somebody listens to `ringwal:sync`. To the opening thread. */
  | { readonly kind: 'sync-made'; readonly watermark: number; readonly durationMs: number }
  /** The watermark moved, and a follower had asked. */
  | { readonly kind: 'watermark' }
  | { readonly kind: 'segments-removed'; readonly upTo: number }
  /** The log was cut behind entry `lsn`; these are its segments now. */
  | { readonly kind: 'truncated'; readonly lsn: number; readonly segments: readonly SegmentInfo[] }
  | { readonly kind: 'command-done'; readonly id: number }
  | { readonly kind: 'command-rejected'; readonly id: number; readonly failure: Failure }
  | { readonly kind: 'segment-withdrawn'; readonly number: number }
  /** The first word to a new lane: its memory. `isNew`: no page of it has been touched. */
  | { readonly kind: 'attached'; readonly memory: LaneHandle; readonly isNew: boolean }
  /** To the opening thread: `lifePort` closes when the thread of the lane ends. The lane's memory is for figures only. */
  | {
      readonly kind: 'lane-opened';
      readonly lane: number;
      readonly lifePort: MessagePort;
      readonly buffer: SharedArrayBuffer;
    }
  /** The lane is nobody's any more. */
  | { readonly kind: 'detached' }
  /** The log is closed. Of this lane the entries below `taken` are in it, and no other will be. */
  | { readonly kind: 'closed'; readonly taken: number };

export type AttachRequest = Extract<ToWriter, { kind: 'attach' }>;
