/** The options that the writer thread uses, checked and with every default filled in. Units as in `WalOptions`. */
export interface WriterOptions {
  readonly directory: string;
  /** False: a directory without a log is refused. */
  readonly create: boolean;
  readonly maxFileSize: number;
  readonly maxFiles: number;
  readonly maxTotalSize: number;
  readonly maxAge: number;
  /** Retention keeps every segment with an entry above the lowest checkpoint. */
  readonly retainFromCheckpoint: boolean;
  /** Retention keeps every segment that is not archived. */
  readonly hasArchive: boolean;
  /** Milliseconds after which the live segment is sealed although it has room; Infinity = never. */
  readonly archiveTimeout: number;
  /** Retention keeps every segment with an entry above the oldest kept snapshot. */
  readonly retainFromSnapshot: boolean;
  /** Retention keeps every segment with an entry that is not replicated. */
  readonly hasReplica: boolean;
  readonly syncInterval: number;
  readonly commitDelay: number;
  /** Milliseconds between two time stamps of a segment; 0 = none. */
  readonly timeResolution: number;
  readonly recovery: 'strict' | 'point-in-time' | 'skip-corrupt';
  readonly preallocate: false | 'ahead' | 'zero' | 'recycle';
  readonly fileMode: number;
  readonly directoryMode: number;
  /** `undefined`: every entry has a frame of its own. */
  readonly compression: CompressionSettings | undefined;
}

/** A codec as `Compression` of src/blocks has it. */
export type CompressionSettings = (
  | { readonly codec: 'lz4' }
  | { readonly codec: 'zstd'; readonly level: number }
) & {
  /** Of blocks. Default: those that users get; tests make small ones. */
  readonly sizes?: BlockSizes;
};

/** Both in bytes of runs. */
export interface BlockSizes {
  /** A longer one begins another block, unless it is a single entry. */
  readonly most: number;
  /** Shorter ones are not compressed. */
  readonly least: number;
}

/** The memory of one lane as it is sent to another thread (`LaneMemory` of src/ring/layout.ts). */
export interface LaneHandle {
  readonly buffer: SharedArrayBuffer;
  /** Absent if the runtime has no WebAssembly: the reference kernel then frames entries. */
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
  readonly status: SharedArrayBuffer;
  readonly syncWords: SharedArrayBuffer;
}

export interface SyncThreadData<Port> {
  readonly role: 'sync';
  readonly directory: string;
  /** The number of this thread's lifeline, which shows the opening thread that it lives (src/files/lock.ts). */
  readonly lifeline: number;
  readonly fileMode: number;
  readonly writerPort: Port;
  /** The port of the opener's lane; the ports of the other lanes come with the jobs. */
  readonly lanePort: Port;
  readonly bell: SharedArrayBuffer;
  readonly status: SharedArrayBuffer;
  readonly syncWords: SharedArrayBuffer;
}
