import type { ReplicatedPlace } from './checkpoint-changes.js';
import type { Failure } from './errors.js';

/** What the replica thread is started with. */
export interface ReplicaThreadData<Port> {
  readonly role: 'replica';
  readonly directory: string;
  readonly status: SharedArrayBuffer;
  readonly port: Port;
  /** Where every lane of the log hears of it: see [ReplicaNews]. */
  readonly channel: string;
  /** `ReplicaAdapter` of src/replica/replica.ts. */
  readonly adapter: { readonly module: string; readonly options: unknown };
  /** 16 hexadecimal digits. */
  readonly logId: string;
  readonly writer: string;
  readonly known: ReplicatedPlace;
  readonly expectEpoch: number | undefined;
  readonly timeoutMs: number;
  /** Bytes; Infinity = no limit. */
  readonly maxLag: number;
  readonly onLag: 'reject' | 'detach';
}

/** What a replica is doing: {@link ReplicaStats}. */
export type ReplicaState = 'connecting' | 'shipping' | 'retrying' | 'stopped' | 'closed';

export type FromReplica =
  | { readonly kind: 'state'; readonly state: ReplicaState }
  | { readonly kind: 'progress'; readonly place: ReplicatedPlace }
  /** Bytes of entries that are not replicated. */
  | { readonly kind: 'lag'; readonly bytes: number }
  /** `isFinal`: replication has stopped for as long as the log is open. */
  | { readonly kind: 'trouble'; readonly failure: Failure; readonly isFinal: boolean }
  /** `failure`: the remote log was not cut, or it is not known. */
  | { readonly kind: 'cut'; readonly failure: Failure | undefined };

export type ToReplica =
  /** Cut the remote log and stop shipping; answered by `cut`. */
  | { readonly kind: 'cut'; readonly lsn: number; readonly empties: boolean }
  | { readonly kind: 'resume' }
  | { readonly kind: 'stop' };

/** Broadcast to all lanes of a log: the status words `replicatedLsn` or `replicaEnded` have changed. `failure`: with the latter. */
export interface ReplicaNews {
  readonly failure?: Failure;
}
