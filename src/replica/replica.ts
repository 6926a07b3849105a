/**
 * What a log needs of the engine that it is replicated to. An adapter implements {@link Replica} for one engine; src/replica/shipper.ts
 * uses it. The engine does the consensus. The interface carries what the engine cannot know: which writer may append, and which
 * history it continues.
 *
 *   epoch    a number that only rises. Each writer takes a new one with `acquire`, and with that its predecessors are fenced: nothing
 *            that they ask for has an effect any more, however late it arrives
 *   chain    SHA-256 over all batches so far: chain(n) = SHA-256(chain(n − 1) || data(n)), 32 zero bytes before the first one. Two
 *            histories with one chain are the same
 *   head     where the replicated log ends
 */

/** Where a replicated log ends, and what is known of it. */
export interface ReplicaHead {
  /** The epoch of the newest writer. */
  readonly epoch: number;
  /** LSN of the last entry; 0 = there is none. */
  readonly lsn: number;
  /** The chain at `lsn`, 32 bytes. */
  readonly chain: Uint8Array;
  /** Every entry up to this LSN is known to be durable on a quorum: followers may read it. At most `lsn`. */
  readonly confirmed: number;
  /** Entries below this LSN were removed, or were never there; 0 = none were. */
  readonly floor: number;
  /** Names the engine's present life. It changes where a standby is promoted or a backup is put back. */
  readonly incarnation: string;
}

/** Consecutive entries, whole atomic batches of the log: what one request carries. */
export interface ReplicaBatch {
  /** Of its writer. */
  readonly epoch: number;
  /** The lowest LSN that the batch accounts for: one above the end of the batch before it. */
  readonly first: number;
  /** LSN of its last entry. */
  readonly last: number;
  /** The chain before the batch. */
  readonly prev: Uint8Array;
  /** The chain after it. */
  readonly chain: Uint8Array;
  /** The entries: see src/replica/payload.ts. */
  readonly data: Uint8Array;
}

/** The place in a history at which it ends, or is to end. */
export interface ReplicaPosition {
  /** LSN of the last entry; 0 = there is none. */
  readonly lsn: number;
  /** The chain at `lsn`, 32 bytes. */
  readonly chain: Uint8Array;
}

/** What `cut` makes of a log. */
export interface ReplicaCut extends ReplicaPosition {
  /** No entry stays: the log goes on with entry `lsn` + 1, whatever `lsn` is. `chain` is 32 zero bytes then. */
  readonly empties: boolean;
  /**
   * The part that stays of the batch that the cut divides; `undefined`: the cut is between two batches. It replaces the batch with the
   * same `first`.
   */
  readonly boundary: ReplicaBatch | undefined;
}

/** A log that an engine holds. */
export interface ReplicatedLog {
  /** 16 hexadecimal digits. */
  readonly logId: string;
  /** Who acquired it last. */
  readonly writer: string;
  /** Of that writer. */
  readonly epoch: number;
  /** LSN of its last entry. */
  readonly lsn: number;
  /** Followers may read up to this LSN. */
  readonly confirmed: number;
  /** Entries below it were removed; 0 = none were. */
  readonly floor: number;
}

/**
 * A connection to the engine that a log is replicated to. One connection serves one log: the one that `acquire` or `select` named.
 * Calls are never concurrent, except `append`, of which up to `limits.window` run at a time; `read` may run beside them.
 *
 * A call fails with an error whose `code` is `ERR_WAL_FENCED` only if another writer has acquired the log: nothing that this writer
 * asks for can have an effect any more. Any other error says that the outcome is not known. The caller then calls `settle`, which
 * reconnects where it has to. Each call settles within the time that the adapter was given ({@link ReplicaContext.timeoutMs}).
 */
export interface Replica {
  /** What the engine takes at a time. */
  readonly limits: {
    /** Bytes of a batch. A single atomic batch of the log that has more is sent as it is. */
    readonly maxBatch: number;
    /** Appends at a time. */
    readonly window: number;
  };

  /** All logs that the engine holds, for people; at most 1,000. */
  logs(): Promise<readonly ReplicatedLog[]>;

  /**
   * Chooses the log to read, without becoming its writer; `undefined`: the only one there is. Returns its id.
   *
   * @throws an error if there is no such log, or more than one to choose from
   */
  select(logId: string | undefined): Promise<string>;

  /**
   * Makes this connection the log's writer, under a new epoch, and the log itself where there is none. When it resolves, every earlier
   * writer is fenced, and the head that it returns is durable on a quorum.
   *
   * @param writer for people
   * @param expect the epoch that the log must have; another one is `ERR_WAL_FENCED`
   */
  acquire(logId: string, writer: string, expect?: number): Promise<ReplicaHead>;

  /**
   * Appends a batch to the head `{ lsn: first − 1, chain: prev }` under `epoch`. Resolves once it is durable on a quorum, and only then.
   * It has no effect if the head is another one, or the epoch is not the newest.
   */
  append(batch: ReplicaBatch, signal: AbortSignal): Promise<void>;

  /**
   * After an unknown outcome, and to confirm the head when nothing more comes. Whatever it returns is durable on a quorum, and every
   * append that was asked for before and is not part of it has no effect any more, or would still continue exactly this head.
   *
   * @throws an error with the code `ERR_WAL_FENCED`: the epoch is not the newest, or another writer took it
   */
  settle(epoch: number): Promise<ReplicaHead>;

  /** The confirmed batches from the one that holds entry `from` on, in order. Ends at the last one. */
  read(from: number, signal: AbortSignal): AsyncIterable<ReplicaBatch>;

  /**
   * Ends the log at `cut.lsn`, in one step that also raises the epoch by one: the head that it returns has the writer's new epoch, and
   * appends that were asked for under the old one have no effect any more. The entries above go, or are set aside. After an unknown
   * outcome the caller settles under the new epoch, and, if that is fenced, under the old one.
   */
  cut(epoch: number, cut: ReplicaCut): Promise<ReplicaHead>;

  /** Removes whole batches with entries below `below` only. */
  trim(epoch: number, below: number): Promise<void>;

  /** Ends the connection. Calls under way fail. */
  close(): Promise<void>;
}

/** What an adapter is given besides its own options. */
export interface ReplicaContext {
  /** Milliseconds after which a call must have failed if the engine has not answered. */
  readonly timeoutMs: number;
}

/**
 * Names an adapter and its options, in a form that crosses threads: the log ships on a thread of its own, which imports `module` and
 * calls its export `connect(options, context)`. `postgres()` of `ringwal/postgres` makes one.
 */
export interface ReplicaAdapter {
  /** A `file:` URL, or an absolute path. */
  readonly module: string;
  /** Passed to `connect` by structured clone. */
  readonly options: unknown;
}

/** The export of an adapter's module. */
export type ConnectReplica = (options: unknown, context: ReplicaContext) => Replica | Promise<Replica>;

/**
 * What a {@link ReplicaError} is about.
 *
 * | code | |
 * | --- | --- |
 * | `ERR_WAL_FENCED` | another writer has acquired the log |
 * | `ERR_WAL_REPLICA` | the outcome is not known, or the engine cannot do it now |
 * | `ERR_WAL_DIVERGED` | the remote history is not the local one |
 * | `ERR_WAL_PURGED` | the entries that the remote needs are no longer in the local log, or those asked for are no longer in the remote |
 * | `ERR_WAL_TOO_LARGE` | the engine cannot store an entry of this size |
 * | `ERR_WAL_UNSUPPORTED` | the log holds frames that cannot be shipped |
 * | `ERR_WAL_OPTION` | an option of the adapter is wrong |
 *
 * Replication goes on after `ERR_WAL_REPLICA`, and ends with any of the others.
 */
export type ReplicaErrorCode =
  | 'ERR_WAL_FENCED'
  | 'ERR_WAL_REPLICA'
  | 'ERR_WAL_DIVERGED'
  | 'ERR_WAL_PURGED'
  | 'ERR_WAL_TOO_LARGE'
  | 'ERR_WAL_UNSUPPORTED'
  | 'ERR_WAL_OPTION';

/** An error of replication. Adapters throw it, or any error with a `code` of the same meaning. */
export class ReplicaError extends Error {
  /** The kind of error. */
  readonly code: ReplicaErrorCode;
  /** The entry concerned. */
  declare readonly lsn?: number;

  /** For adapters. */
  constructor(
    code: ReplicaErrorCode,
    message: string,
    details: { readonly cause?: unknown; readonly lsn?: number } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ReplicaError';
    this.code = code;
    if (details.lsn !== undefined) this.lsn = details.lsn;
  }
}

/** Their order is that of the status word `replicaEnded`, from 1 on. */
export const FINAL_CODES = [
  'ERR_WAL_FENCED',
  'ERR_WAL_DIVERGED',
  'ERR_WAL_PURGED',
  'ERR_WAL_TOO_LARGE',
  'ERR_WAL_UNSUPPORTED',
  'ERR_WAL_OPTION',
] as const satisfies readonly ReplicaErrorCode[];

/** Does this error end the replication of the log as it is open? Any other one passes, and is tried again. */
export function isFinal(error: unknown): boolean {
  return (FINAL_CODES as readonly unknown[]).includes(codeOf(error));
}

export function isFenced(error: unknown): boolean {
  return codeOf(error) === 'ERR_WAL_FENCED';
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
