import { WalError } from '../errors/wal-error.js';
import { flag, oneOf, refuse } from './checks.js';
import { isGiven } from './given-options.js';

/** Options of one append. What is not given is as the log's options say. */
export interface AppendOptions {
  /**
   * Resolve once fsynced (`true`) or once handed to the system (`false`).
   *
   * @defaultValue the log's option `durable`
   */
  durable?: boolean | undefined;
  /**
   * When it is synced, if it is durable: at once, together with whoever waits (`'group'`), or at the tick of `syncInterval` (`'interval'`).
   *
   * @defaultValue the log's option `commit`
   */
  commit?: 'group' | 'interval' | undefined;
}

/** Checks the options of one append and answers them, each read once; `undefined` means the log's defaults. */
export function takeAppendOptions(options: AppendOptions): AppendOptions {
  if (typeof options !== 'object' || options === null) refuse('append options', 'an object', options);
  // As [givenOptions], without what that costs: durable appends have options, most of them.
  for (const name in options) {
    if (name !== 'durable' && name !== 'commit' && isGiven(options, name)) {
      throw new WalError('ERR_WAL_OPTION', `Unknown append option "${name}". Known: durable, commit.`);
    }
  }
  let { durable, commit } = options;
  if (durable !== undefined && !isGiven(options, 'durable')) durable = undefined;
  if (commit !== undefined && !isGiven(options, 'commit')) commit = undefined;
  flag('durable', durable);
  oneOf('commit', commit, ['group', 'interval']);
  return { durable, commit };
}
