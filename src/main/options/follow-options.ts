import { checkLsn, checkSignal, flag, takeOptions } from './checks.js';
import { givenOptions } from './given-options.js';
import { checkWorkerUrl } from './paths.js';
import { checkTime, copyTime, type WalTime } from './times.js';

/** Options of `WalReader.follow`. */
export interface FollowOptions {
  /**
   * The first LSN. Below `firstLsn`: `ERR_WAL_PURGED`. Above `lastLsn`: it is waited for.
   *
   * @defaultValue `firstLsn`
   */
  from?: number | undefined;
  /**
   * Begins with the first entry that was made at this moment or later, as {@link WalReader.lsnAt} finds it; one that is
   * still to come is waited for. Together with `from`: with the later one of the two.
   */
  since?: WalTime | undefined;
  /** Ends following, also while it waits: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * `false`: waiting for the next entry does not keep the process alive.
   *
   * @defaultValue `true`
   */
  ref?: boolean | undefined;
}

/** Options of `Wal.follow`, which opens the log for it. */
export interface DirectoryFollowOptions extends FollowOptions {
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

const FOLLOW_OPTIONS: readonly (keyof FollowOptions)[] = ['from', 'since', 'signal', 'ref'];
const DIRECTORY_FOLLOW_OPTIONS: readonly (keyof DirectoryFollowOptions)[] = [...FOLLOW_OPTIONS, 'workerUrl'];

/** What a follower was given at the call: it is checked, and used, when following begins. */
export function takeFollowOptions<T extends FollowOptions>(options: T): T {
  const given = givenOptions(options, DIRECTORY_FOLLOW_OPTIONS);
  if (typeof given !== 'object' || given === null) return given;
  return Object.assign(given, { since: copyTime(given.since) });
}

/** Checks the options of a `follow` of a log that is open. */
export function checkFollowOptions(given: FollowOptions): void {
  checkFollow(takeOptions(given, 'follow option', FOLLOW_OPTIONS));
}

/** Checks the options of `Wal.follow`; answers those of the follower and those of the job that opens the log. */
export function checkDirectoryFollowOptions(given: DirectoryFollowOptions): {
  readonly follow: FollowOptions;
  readonly job: { readonly workerUrl: URL | undefined; readonly signal: AbortSignal | undefined };
} {
  const options = takeOptions(given, 'follow option', DIRECTORY_FOLLOW_OPTIONS);
  checkFollow(options);
  const { from, since, signal, ref, workerUrl } = options;
  return { follow: { from, since, signal, ref }, job: { workerUrl: checkWorkerUrl(workerUrl), signal } };
}

function checkFollow(options: FollowOptions): void {
  if (options.from !== undefined) checkLsn('from', options.from);
  if (options.since !== undefined) checkTime('since', options.since);
  checkSignal(options.signal);
  flag('ref', options.ref);
}
