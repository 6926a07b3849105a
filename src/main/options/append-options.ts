import { WalError } from '../errors/wal-error.js';
import { checkLsn, oneOf, refuse } from './checks.js';
import { isGiven } from './given-options.js';
import { checkLevel, type DurabilityLevel } from './replica-option.js';

/** Options of one append. What is not given is as the log's options say. */
export interface AppendOptions {
  /**
   * Resolve once fsynced (`true`), once handed to the system (`false`), or once it is durable on the replica, too (`'replicated'`, for a
   * log with the option `replica`).
   *
   * @defaultValue the log's option `durable`
   */
  durable?: DurabilityLevel | undefined;
  /**
   * When it is synced, if it is durable: at once, together with whoever waits (`'group'`), or at the tick of `syncInterval` (`'interval'`).
   *
   * @defaultValue the log's option `commit`
   */
  commit?: 'group' | 'interval' | undefined;
  /**
   * Append only if the entry, or the first one of the batch, becomes exactly this LSN. Otherwise the call rejects with
   * `ERR_WAL_CONFLICT`, and the log has taken nothing. The log's writer decides, in the order in which it gives out LSNs: the answer
   * is exact however many threads append. Such an append goes to the writer as a message, not through the ring; see
   * docs/performance.md.
   *
   * @defaultValue any LSN
   */
  expectLsn?: number | undefined;
}

/**
 * Checks the options of one append and answers them, each read once; `undefined` means the log's defaults. `hasReplica`: the log was
 * opened with one.
 */
export function takeAppendOptions(options: AppendOptions, hasReplica: boolean): AppendOptions {
  if (typeof options !== 'object' || options === null) refuse('append options', 'an object', options);
  // As [givenOptions], without what that costs: durable appends have options, most of them.
  for (const name in options) {
    if (name !== 'durable' && name !== 'commit' && name !== 'expectLsn' && isGiven(options, name)) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `Unknown append option "${name}". Known: durable, commit, expectLsn.`,
      );
    }
  }
  let { durable, commit, expectLsn } = options;
  if (durable !== undefined && !isGiven(options, 'durable')) durable = undefined;
  if (commit !== undefined && !isGiven(options, 'commit')) commit = undefined;
  if (expectLsn !== undefined && !isGiven(options, 'expectLsn')) expectLsn = undefined;
  if (durable !== undefined) checkLevel(durable, hasReplica);
  oneOf('commit', commit, ['group', 'interval']);
  if (expectLsn !== undefined) checkLsn('expectLsn', expectLsn);
  return { durable, commit, expectLsn };
}
