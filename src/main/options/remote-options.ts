import type { ReplicaAdapter } from '../../replica/replica.js';
import type { BackupProgress, StoppableOptions } from './backup-options.js';
import { callback, checkLsn, checkSignal, flag, integer, refuse, takeOptions } from './checks.js';
import { checkPath, checkWorkerUrl } from './paths.js';
import { checkAdapter } from './replica-option.js';
import type { WalOptions } from './wal-options.js';

/** Which log of a replica, and how long to wait for it. */
export interface RemoteOptions {
  /** The id of the log, 16 hexadecimal digits. Default: the only one that the replica holds. */
  logId?: string | undefined;
  /** As of `Wal.open`. */
  replicaTimeout?: number | undefined;
}

/** Options of {@link Wal.restore} from a replica. */
export interface ReplicaRestoreOptions extends RemoteOptions {
  /** Where the log is replicated. */
  replica: ReplicaAdapter;
  /** The last entry of the restored log; inside an atomic batch, it ends before that. Default: every confirmed entry. */
  to?: number | undefined;
  /** Ends the restore: the promise rejects with the signal's reason, and what was written is removed. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how many bytes were restored. The total is not known, and 0. */
  onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

/** Options of {@link Wal.follow} of a replica. */
export interface ReplicaFollowOptions extends RemoteOptions {
  /** The first entry. Default: the first one that the replica holds. */
  from?: number | undefined;
  /** Ends the iterator: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * `false`: waiting for entries does not keep the process alive.
   *
   * @defaultValue `true`
   */
  ref?: boolean | undefined;
}

/** Options of {@link Wal.takeOver}: those of `Wal.open`, of which `replica` is needed. */
export interface TakeOverOptions extends WalOptions {
  /** Where the log is replicated. */
  replica: ReplicaAdapter;
  /** The id of the log, 16 hexadecimal digits, if there is no log in the directory. Default: the only one that the replica holds. */
  logId?: string | undefined;
}

export interface CheckedRemote {
  readonly adapter: ReplicaAdapter;
  readonly logId: string | undefined;
  readonly timeoutMs: number;
}

export interface CheckedReplicaRestore extends CheckedRemote, StoppableOptions {
  readonly directory: string;
  readonly to: number | undefined;
  readonly workerUrl: URL | undefined;
}

export interface CheckedReplicaFollow extends CheckedRemote {
  readonly from: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly ref: boolean;
}

export function checkRemote(adapter: unknown, { logId, replicaTimeout }: RemoteOptions): CheckedRemote {
  if (logId !== undefined && (typeof logId !== 'string' || !/^[0-9a-f]{16}$/.test(logId)))
    refuse('logId', '16 hexadecimal digits', logId);
  return {
    adapter: checkAdapter('replica', adapter),
    logId,
    timeoutMs: integer('replicaTimeout', replicaTimeout, 10_000, 100, 3_600_000),
  };
}

export function checkReplicaRestore(directory: unknown, given: ReplicaRestoreOptions): CheckedReplicaRestore {
  const known = ['replica', 'to', 'logId', 'replicaTimeout', 'signal', 'onProgress', 'workerUrl'] as const;
  const options = takeOptions(given, 'restore option', known);
  return {
    ...checkRemote(options.replica, options),
    directory: checkPath('directory', directory),
    to: options.to === undefined ? undefined : checkLsn('to', options.to),
    signal: checkSignal(options.signal),
    onProgress: callback('onProgress', options.onProgress),
    workerUrl: checkWorkerUrl(options.workerUrl),
  };
}

export function checkReplicaFollow(adapter: unknown, given: ReplicaFollowOptions): CheckedReplicaFollow {
  const options = takeOptions(given, 'follow option', ['from', 'signal', 'ref', 'logId', 'replicaTimeout']);
  return {
    ...checkRemote(adapter, options),
    from: options.from === undefined ? undefined : checkLsn('from', options.from),
    signal: checkSignal(options.signal),
    ref: options.ref === undefined || flag('ref', options.ref),
  };
}

/** A replica stands where a directory may stand. */
export function isAdapter(value: unknown): value is ReplicaAdapter {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return 'module' in value;
  } catch {
    // A revoked Proxy, or one that throws: it is refused as a path.
    return false;
  }
}
