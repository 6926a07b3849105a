import { WalError } from '../errors/wal-error.js';
import { checkLsn, checkSignal, flag, takeOptions } from './checks.js';
import { givenOptions } from './given-options.js';
import { checkTime, copyTime, type WalTime } from './times.js';

/** Options of {@link WalReader.batches}, and of {@link WalReader.entries}. LSNs are inclusive. */
export interface ReadOptions {
  /**
   * The first LSN. Below `firstLsn`: `ERR_WAL_PURGED`.
   *
   * @defaultValue `firstLsn`
   */
  from?: number | undefined;
  /**
   * The last LSN. What is written after the call is not read, whatever it says.
   *
   * @defaultValue `lastLsn` at the call
   */
  to?: number | undefined;
  /**
   * Begins with the first entry that was made at this moment or later, as {@link WalReader.lsnAt} finds it: at most
   * `timeResolution` too early, never too late. Together with `from`: with the later one of the two.
   */
  since?: WalTime | undefined;
  /**
   * Ends with the last entry that was made at this moment or before it: at most `timeResolution` too late, never too
   * early. The moment is inclusive, as `to` is. Together with `to`: with the earlier one of the two.
   */
  until?: WalTime | undefined;
  /** Ends reading: it rejects with the signal's reason, and the file is closed. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link WalReader.entries}. */
export interface EntriesOptions extends ReadOptions {
  /**
   * The newest first, from `to` down to `from`.
   *
   * @defaultValue `false`
   */
  reverse?: boolean | undefined;
}

const READ_OPTIONS: readonly (keyof EntriesOptions)[] = ['from', 'to', 'since', 'until', 'reverse', 'signal'];

/** Checks the options of a read that only goes forward. */
export function checkReadOptions(given: EntriesOptions): void {
  const { reverse } = checkEntriesOptions(given);
  if (reverse === true) {
    throw new WalError('ERR_WAL_OPTION', 'Only entries() can go in reverse: batches are forward only.');
  }
}

/** What a reader was given at the call: it is checked, and used, when reading begins. */
export function takeReadOptions<T extends EntriesOptions>(options: T): T {
  const given = givenOptions(options, READ_OPTIONS);
  if (typeof given !== 'object' || given === null) return given;
  return Object.assign(given, { since: copyTime(given.since), until: copyTime(given.until) });
}

/** Checks the options of `entries`. */
export function checkEntriesOptions(given: EntriesOptions): EntriesOptions {
  const options = takeOptions(given, 'read option', READ_OPTIONS);
  if (options.from !== undefined) checkLsn('from', options.from);
  if (options.to !== undefined) checkLsn('to', options.to);
  if (options.since !== undefined) checkTime('since', options.since);
  if (options.until !== undefined) checkTime('until', options.until);
  flag('reverse', options.reverse);
  checkSignal(options.signal);
  return options;
}
