/**
 * What a workload asks of everybody that it compares. Each contender says here how its package is used as its
 * documentation advises for this purpose; a workload is written once and runs on all that can do what it measures.
 *
 * Packages, ringwal too, are loaded when they are opened, so that none pays for another in start-up or memory.
 *
 * All entries of a run are alike: 7-bit text, so that those who take text take the same bytes.
 */
export interface Contender {
  readonly name: string;
  /** The npm package that must be there; absent = nothing beyond Node. */
  readonly package?: string;
  /** `floor`: no log, but what the disk or the memory allows. */
  readonly kind: 'ringwal' | 'peer' | 'floor';
  /** What it does for an entry, so that the figures can be compared. */
  readonly note: string;
  openSink?(directory: string): Promise<Sink>;
  openCrew?(directory: string): Promise<Crew>;
  /** `durable`: an append resolves once it is fsynced. `written`: once it is handed to the system or committed. */
  openCommitter?(directory: string, level: CommitLevel): Promise<Committer>;
  openArchive?(directory: string): Promise<Archive>;
}

export type CommitLevel = 'durable' | 'written';

/** Takes entries without a word on each: fire and forget. */
export interface Sink {
  /** Hands over up to `count` copies of `entry`; returns how many were taken, fewer = no room for the next one now. */
  push(entry: Buffer, count: number): number;
  /** Resolves when there is room for an entry of `bytes` again. */
  room(bytes: number): Promise<void>;
  /** Resolves once everything that was pushed is fsynced. */
  sync(): Promise<void>;
  close(): Promise<void>;
  /** Bytes to push before the steady state is reached. */
  readonly firstLapBytes?: number;
  /** Bytes of memory that it takes by design, however small the load. */
  readonly laneBytes?: number;
}

/** Threads that take entries as a [Sink] does, all at once. */
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

/** Appends an entry and says when it has reached the level that it was opened for. */
export interface Committer {
  commit(entry: Buffer): Promise<unknown>;
  close(): Promise<void>;
  /** Blocks the thread until it is done: there never is a second entry in flight. */
  readonly blocks?: boolean;
  /** Completed syncs so far, where it counts them. */
  syncs?(): number;
  readonly laneBytes?: number;
}

/** Stored entries, to be read back. */
export interface Archive {
  /** Stores `count` copies of `entry`; called once, first. */
  fill(entry: Buffer, count: number): Promise<void>;
  /** Reads all entries in order the fastest way there is; returns the bytes of data seen. */
  readBatches?(): Promise<number>;
  /** Reads all entries in order one by one; returns the bytes of data seen. */
  readEntries?(): Promise<number>;
  /** Reads the entry at `index` from 0; returns its bytes. */
  readOne?(index: number): Promise<number>;
  close(): Promise<void>;
}
