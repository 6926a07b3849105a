import type { ReplicaAdapter } from '../../replica/replica.js';
import { WalError } from '../errors/wal-error.js';
import { integer, limit, oneOf, refuse } from './checks.js';

/** When an append is acknowledged: written to the system (`false`), fsynced here (`true`), or durable on the replica as well. */
export type DurabilityLevel = boolean | 'replicated';

/** The options of `Wal.open` that are about a replica. */
export interface ReplicaOptions {
  /**
   * Ships every durable entry to another engine: `postgres()` of `ringwal/postgres` makes one. `open` does not wait for it. Each open is a
   * new writer there: an earlier one, in this process or elsewhere, is fenced. Retention and `truncateBefore` keep the files of entries
   * that are not replicated. docs/replication.md.
   */
  replica?: ReplicaAdapter | undefined;
  /**
   * Milliseconds after which a request to the replica counts as unanswered, 100 to 3,600,000. `close` waits as long for appends that
   * are to be replicated.
   *
   * @defaultValue 10,000
   */
  replicaTimeout?: number | undefined;
  /**
   * Bytes that may be waiting to be replicated, roughly: it is measured twice a second. `onLag` says what happens beyond.
   *
   * @defaultValue `Infinity`
   */
  maxLag?: number | undefined;
  /**
   * Beyond `maxLag`: `'reject'` = appends fail with `ERR_WAL_FULL` until the replica has caught up; `'detach'` = the replica is given up for
   * as long as the log is open. Appends with `durable: 'replicated'` fail then, and retention no longer waits.
   *
   * @defaultValue `'reject'`
   */
  onLag?: 'reject' | 'detach' | undefined;
}

export interface CheckedReplica {
  readonly adapter: ReplicaAdapter;
  readonly timeoutMs: number;
  readonly maxLag: number;
  readonly onLag: 'reject' | 'detach';
  /** The epoch that the replica must have; `undefined`: any. */
  readonly expectEpoch: number | undefined;
}

export function checkReplicaOptions(options: ReplicaOptions): CheckedReplica | undefined {
  const timeoutMs = integer('replicaTimeout', options.replicaTimeout, 10_000, 100, 3_600_000);
  const maxLag = limit('maxLag', options.maxLag, 1);
  const onLag = oneOf('onLag', options.onLag, ['reject', 'detach']);
  if (options.replica === undefined) {
    const alone = (['replicaTimeout', 'maxLag', 'onLag'] as const).find(
      (name) => options[name] !== undefined,
    );
    if (alone !== undefined)
      throw new WalError(
        'ERR_WAL_OPTION',
        `The option ${alone} is about a replica: give the option replica, too.`,
      );
    return undefined;
  }
  return {
    adapter: checkAdapter('replica', options.replica),
    timeoutMs,
    maxLag,
    onLag,
    expectEpoch: undefined,
  };
}

export function checkAdapter(name: string, adapter: unknown): ReplicaAdapter {
  const { module, options } = (
    typeof adapter === 'object' && adapter !== null ? adapter : {}
  ) as Partial<ReplicaAdapter>;
  if (typeof module !== 'string' || module === '')
    refuse(name, 'an adapter, as postgres() of ringwal/postgres makes one', adapter);
  return { module, options };
}

export function checkLevel(level: unknown, hasReplica: boolean): DurabilityLevel {
  if (level === undefined) return false;
  if (typeof level !== 'boolean' && level !== 'replicated')
    refuse('durable', "true, false or 'replicated'", level);
  if (level === 'replicated' && !hasReplica)
    throw new WalError(
      'ERR_WAL_OPTION',
      "durable: 'replicated' needs a log that was opened with the option replica.",
    );
  return level;
}
