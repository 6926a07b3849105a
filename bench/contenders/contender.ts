/**
 * The interface of everything that a workload compares. Each contender uses its package as the package's
 * documentation advises for the purpose. A workload is written once and runs on every contender that supports what it
 * measures.
 *
 * A contender loads its package when it is opened, ringwal included, so that none pays for another's start-up or
 * memory.
 *
 * All entries of a run are equal. They are 7-bit text, so contenders that take text write the same bytes.
 */
export interface Contender {
  readonly name: string;
  /** The npm package that must be installed; absent = only Node is needed. */
  readonly package?: string;
  /** `floor`: not a log, but the limit of the disk or the memory. */
  readonly kind: 'ringwal' | 'peer' | 'floor';
  /** The work that the contender does for an entry, to help compare the figures. */
  readonly note: string;
  openSink?(directory: string): Promise<Sink>;
  openCrew?(directory: string): Promise<Crew>;
  /**
   * `durable`: an append resolves once it is fsynced. `written`: an append resolves once it is handed to the system
   * or committed.
   */
  openCommitter?(directory: string, level: CommitLevel): Promise<Committer>;
  openArchive?(directory: string): Promise<Archive>;
}

export type CommitLevel = 'durable' | 'written';

/** Takes entries without acknowledging each: fire and forget. */
export interface Sink {
  /**
   * Appends up to `count` copies of `entry`. Returns the number taken; fewer than `count` means that there is no room
   * now.
   */
  push(entry: Buffer, count: number): number;
  /** Resolves when there is room for an entry of `bytes` again. */
  room(bytes: number): Promise<void>;
  /** Resolves once everything that was pushed is fsynced. */
  sync(): Promise<void>;
  close(): Promise<void>;
  /** Bytes to push before the steady state is reached. */
  readonly firstLapBytes?: number;
  /** Bytes of memory that it uses by design under any load. */
  readonly laneBytes?: number;
}

/** Threads that take entries concurrently, each as a [Sink] does. */
export interface Crew {
  readonly threads: number;
  /** Each thread pushes `count` copies of `entry`; resolves once all are taken. */
  push(entry: Buffer, count: number): Promise<void>;
  /** Resolves once everything that was pushed is fsynced. */
  sync(): Promise<void>;
  close(): Promise<void>;
  /** Bytes that each thread has to push before the steady state is reached. */
  readonly firstLapBytes: number;
}

/** Appends an entry and resolves when the entry has reached the committer's level. */
export interface Committer {
  commit(entry: Buffer): Promise<unknown>;
  close(): Promise<void>;
  /** It blocks the thread until the entry is committed, so there is never a second entry in flight. */
  readonly blocks?: boolean;
  /** Number of completed syncs, if the contender counts them. */
  syncs?(): number;
  readonly laneBytes?: number;
}

/** Stored entries, to be read back. */
export interface Archive {
  /** Stores `count` copies of `entry`; called once, first. */
  fill(entry: Buffer, count: number): Promise<void>;
  /** Reads all entries in order in the fastest way; returns the number of bytes of data. */
  readBatches?(): Promise<number>;
  /** Reads all entries in order one by one; returns the number of bytes of data. */
  readEntries?(): Promise<number>;
  /** Reads the entry at `index` from 0; returns its bytes. */
  readOne?(index: number): Promise<number>;
  close(): Promise<void>;
}
