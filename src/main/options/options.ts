import { availableParallelism } from 'node:os';
import type { WriterOptions } from '../../protocol/thread-data.js';
import { isAbortSignal } from '../abort-signal.js';
import { describeValue } from '../describe-value.js';
import { WalError } from '../errors/wal-error.js';
import { givenOptions, isGiven } from '../given-options.js';
import { checkPath, checkWorkerUrl } from '../paths.js';

/**
 * Options of {@link Wal.open}. Sizes are in bytes, times in milliseconds. A value that is not allowed, and an option that is not
 * known, are refused with `ERR_WAL_OPTION`, which names the range.
 */
export interface WalOptions {
  /**
   * Level of an append that does not say: `true` = it resolves once fsynced, `false` = once handed to the system.
   *
   * @defaultValue `false`
   */
  durable?: boolean | undefined;
  /**
   * Bytes of a segment, 4 KiB to 1 GiB. A frame that would pass it goes to the next segment; a larger one stands alone in its own.
   *
   * @defaultValue 64 MiB
   */
  maxFileSize?: number | undefined;
  /**
   * Segments kept, from 1, the live one included; the oldest go first.
   *
   * @defaultValue `Infinity`
   */
  maxFiles?: number | undefined;
  /**
   * Bytes of entries and their frames kept in all segments together; the oldest segments go first.
   *
   * @defaultValue `Infinity`
   */
  maxTotalSize?: number | undefined;
  /**
   * Milliseconds that a segment is kept, by its own creation stamp. Acts when the log is opened, at each rotation and at each
   * checkpoint: an idle log, which has no timer, keeps what it has until then. Segments that wal-go wrote have no stamp
   * and do not age.
   *
   * @defaultValue `Infinity`
   */
  maxAge?: number | undefined;
  /**
   * `'checkpoint'`: retention keeps every segment with an entry above the checkpoint (`Wal.checkpoint`). Default: the checkpoint holds
   * nothing back.
   */
  retainFrom?: 'checkpoint' | undefined;
  /**
   * Milliseconds that written data stays unsynced at the longest, 1 to 60,000.
   *
   * @defaultValue 200
   */
  syncInterval?: number | undefined;
  /**
   * Milliseconds that a group of durable appends may wait for company, 0 to 1,000; need not be whole.
   *
   * @defaultValue 0
   */
  commitDelay?: number | undefined;
  /**
   * When a durable append is synced: at once, together with whoever waits then (`'group'`), or at the tick of
   * `syncInterval` (`'interval'`).
   *
   * @defaultValue `'group'`
   */
  commit?: 'group' | 'interval' | undefined;
  /**
   * While a durable append waits for its sync the event loop does not sleep: each of its turns looks whether the acknowledgement has
   * come, for up to a millisecond. For the shortest median of durable appends one at a time on a quick disk, at the price of a
   * busy processor; needs one to spare.
   *
   * @defaultValue `false`
   */
  busyPoll?: boolean | undefined;
  /**
   * Bytes of the ring of each lane: a power of two, 64 KiB to 1 GiB.
   *
   * @defaultValue 16 MiB
   */
  ringSize?: number | undefined;
  /**
   * Lanes at a time, one for each thread that appends, the opening thread's included: 1 to 1,024. Beyond: `ERR_WAL_FULL`.
   *
   * @defaultValue 64
   */
  maxLanes?: number | undefined;
  /**
   * Bytes of each lane that may be queued in front of a full ring, or travel beside it; an entry counts as 16 at least. Beyond:
   * `ERR_WAL_FULL`; one append is always taken when nothing is queued.
   *
   * @defaultValue 16 MiB
   */
  maxPending?: number | undefined;
  /**
   * Append promises of each lane that may be unsettled at a time. Beyond: `ERR_WAL_FULL`.
   *
   * @defaultValue 1,048,576
   */
  maxUnsettled?: number | undefined;
  /**
   * Bytes of an entry or of a whole batch, at most 1 GiB; a limit for appending, never for reading. Beyond: `ERR_WAL_TOO_LARGE`.
   *
   * @defaultValue 64 MiB
   */
  maxEntrySize?: number | undefined;
  /**
   * What `open` does with a corrupt log: refuses it (`'strict'`), ends it before the first entry that cannot be
   * read (`'point-in-time'`), or keeps everything that can be read (`'skip-corrupt'`). A torn tail is cut in all of them,
   * and no byte goes without a copy in a side file.
   *
   * @defaultValue `'strict'`
   */
  recovery?: 'strict' | 'point-in-time' | 'skip-corrupt' | undefined;
  /**
   * Blocks that are allocated before they are written, which makes a sync cheaper. `'ahead'`: where little is to be synced
   * for somebody who waits, as many zeros are written ahead of the frames as there were frames, at most 512 KiB. `'zero'`:
   * besides, the next segment is filled with zeros in the background; `'recycle'`: or made of one that retention removed (as
   * long as there is none, as `'zero'`). These two take up to `maxFileSize` more of the disk. No limit counts the room.
   * `false`: segments grow, and hold frames only.
   *
   * @defaultValue `'ahead'`
   */
  preallocate?: false | 'ahead' | 'zero' | 'recycle' | undefined;
  /**
   * Permission bits of new files.
   *
   * @defaultValue `0o600`
   */
  fileMode?: number | undefined;
  /**
   * Permission bits of new directories.
   *
   * @defaultValue `0o700`
   */
  directoryMode?: number | undefined;
  /** `true` is for {@link WalReaderOptions}. */
  readOnly?: false | undefined;
  /**
   * Where the file of the log's threads lies (`ringwal/worker`), when a bundler moved it: an absolute path or a `file:` URL.
   * Default: beside the package's own code. docs/packaging.md.
   */
  workerUrl?: string | URL | undefined;
  /** Cancels opening, and not the open log: `open` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Hears of failures that no promise tells: lost entries of `tryAppend`, a failed sync of such, a segment that could not be
   * removed. Called once for each failure, in the thread that opened the log.
   *
   * @defaultValue `process.emitWarning`
   */
  onError?: ((error: WalError) => void) | undefined;
}

/**
 * Options of {@link Wal.open} that make it read only: no lock, nothing is changed, a live view of the log. It resolves to a
 * {@link WalReader}. Options that only a writer has are checked, and have no effect.
 */
export interface WalReaderOptions extends Omit<WalOptions, 'readOnly'> {
  /** Reads only. */
  readOnly: true;
}

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

/** Options of {@link Wal.createLogStream}. */
export interface LogStreamOptions {
  /**
   * What becomes of lines that are written while the ring is full: they wait, up to `maxPending` bytes of them, beyond which
   * writing blocks (`'wait'`), or they are dropped and counted (`'drop'`).
   *
   * @defaultValue `'wait'`
   */
  onFull?: 'wait' | 'drop' | undefined;
  /**
   * `true`: a line ends at CR LF too, and the entry has neither. Only a carriage return right before a newline goes, one for
   * each line; any other is data. `false`: a line ends at the newline alone, and a carriage return before it is part of the entry.
   *
   * @defaultValue `false`
   */
  stripCarriageReturn?: boolean | undefined;
  /**
   * A line without a byte becomes an entry of no bytes (`'keep'`), or none (`'skip'`). With `stripCarriageReturn` a line of
   * nothing but CR LF is empty too. A line of spaces is not.
   *
   * @defaultValue `'keep'`
   */
  emptyLines?: 'keep' | 'skip' | undefined;
}

/** Options of `WalReader.follow`. */
export interface FollowOptions {
  /**
   * The first LSN. Below `firstLsn`: `ERR_WAL_PURGED`. Above `lastLsn`: it is waited for.
   *
   * @defaultValue `firstLsn`
   */
  from?: number | undefined;
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

/** Options of `Wal.readSegment`. */
export interface ReadSegmentOptions {
  /** As of `Wal.open`. The thread judges what stands behind a frame that is not valid; no other segment needs it. */
  workerUrl?: string | URL | undefined;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Options of the producer's side, every default filled in. */
export interface LaneOptions {
  readonly durable: boolean;
  readonly commit: 'group' | 'interval';
  readonly busyPoll: boolean;
  readonly ringSize: number;
  readonly maxLanes: number;
  readonly maxPending: number;
  readonly maxUnsettled: number;
  readonly maxEntrySize: number;
}

export interface CheckedOptions {
  readonly writer: WriterOptions;
  readonly lane: LaneOptions;
  readonly readOnly: boolean;
  readonly workerUrl: URL | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onError: ((error: WalError) => void) | undefined;
}

/** How lines become entries. */
export interface LineRules {
  /** A carriage return right before a newline is not part of the line. */
  readonly stripCarriageReturn: boolean;
  readonly emptyLines: 'keep' | 'skip';
}

export interface CheckedLogStreamOptions extends LineRules {
  readonly onFull: 'wait' | 'drop';
}

const KNOWN_OPTIONS: readonly (keyof WalOptions)[] = [
  'durable',
  'maxFileSize',
  'maxFiles',
  'maxTotalSize',
  'maxAge',
  'retainFrom',
  'syncInterval',
  'commitDelay',
  'commit',
  'busyPoll',
  'ringSize',
  'maxLanes',
  'maxPending',
  'maxUnsettled',
  'maxEntrySize',
  'recovery',
  'preallocate',
  'fileMode',
  'directoryMode',
  'readOnly',
  'workerUrl',
  'signal',
  'onError',
];

/** Checks what a user passed to `open`; throws `ERR_WAL_OPTION` that names the option and its range. */
export function checkOptions(directory: unknown, given: WalOptions | WalReaderOptions = {}): CheckedOptions {
  const options = takeOptions<WalOptions | WalReaderOptions>(given, 'option', KNOWN_OPTIONS);
  const { ringSize = 16 * MiB } = options;
  if (!isIntegerWithin(ringSize, 64 * KiB, GiB) || (ringSize & (ringSize - 1)) !== 0) {
    refuse('ringSize', 'a power of two from 64 KiB to 1 GiB, in bytes', ringSize);
  }
  return {
    writer: {
      directory: checkPath('directory', directory),
      maxFileSize: integer('maxFileSize', options.maxFileSize, 64 * MiB, 4 * KiB, GiB),
      maxFiles: limit('maxFiles', options.maxFiles, 1),
      maxTotalSize: limit('maxTotalSize', options.maxTotalSize, 1),
      maxAge: limit('maxAge', options.maxAge, 1),
      retainFromCheckpoint:
        options.retainFrom !== undefined &&
        oneOf('retainFrom', options.retainFrom, ['checkpoint']) === 'checkpoint',
      syncInterval: integer('syncInterval', options.syncInterval, 200, 1, 60_000),
      commitDelay: number('commitDelay', options.commitDelay, 0, 0, 1_000),
      recovery: oneOf('recovery', options.recovery, ['strict', 'point-in-time', 'skip-corrupt']),
      preallocate: checkPreallocate(options.preallocate),
      fileMode: integer('fileMode', options.fileMode, 0o600, 0, 0o777),
      directoryMode: integer('directoryMode', options.directoryMode, 0o700, 0, 0o777),
    },
    lane: {
      durable: flag('durable', options.durable),
      commit: oneOf('commit', options.commit, ['group', 'interval']),
      busyPoll: flag('busyPoll', options.busyPoll),
      ringSize,
      maxLanes: integer('maxLanes', options.maxLanes, 64, 1, 1024),
      maxPending: integer('maxPending', options.maxPending, 16 * MiB, 1, Number.MAX_SAFE_INTEGER),
      maxUnsettled: integer('maxUnsettled', options.maxUnsettled, 1_048_576, 1, 0x7fff_ffff),
      maxEntrySize: integer('maxEntrySize', options.maxEntrySize, 64 * MiB, 1, GiB),
    },
    readOnly: flag('readOnly', options.readOnly),
    workerUrl: checkWorkerUrl(options.workerUrl),
    signal: checkSignal(options.signal),
    onError: callback('onError', options.onError),
  };
}

function checkPreallocate(value: unknown): WriterOptions['preallocate'] {
  if (value === undefined) return 'ahead';
  if (value !== false && value !== 'ahead' && value !== 'zero' && value !== 'recycle')
    refuse('preallocate', "false, 'ahead', 'zero' or 'recycle'", value);
  return value;
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

/** Checks the options of a read that only goes forward. */
export function checkReadOptions(given: EntriesOptions): void {
  const { reverse } = checkEntriesOptions(given);
  if (reverse === true) {
    throw new WalError('ERR_WAL_OPTION', 'Only entries() can go in reverse: batches are forward only.');
  }
}

/** What a reader was given at the call: it is checked, and used, when reading begins. */
export function takeReadOptions<T extends EntriesOptions>(options: T): T {
  return givenOptions(options, READ_OPTIONS);
}

const READ_OPTIONS: readonly (keyof EntriesOptions)[] = ['from', 'to', 'reverse', 'signal'];

/** Checks the options of `entries`. */
export function checkEntriesOptions(given: EntriesOptions): EntriesOptions {
  const options = takeOptions(given, 'read option', READ_OPTIONS);
  if (options.from !== undefined) checkLsn('from', options.from);
  if (options.to !== undefined) checkLsn('to', options.to);
  flag('reverse', options.reverse);
  checkSignal(options.signal);
  return options;
}

const LOG_STREAM_OPTIONS = ['onFull', 'stripCarriageReturn', 'emptyLines'] as const;

/** Checks the options of `createLogStream`; answers all of them. */
export function checkLogStreamOptions(given: LogStreamOptions): CheckedLogStreamOptions {
  const why = (name: string) =>
    name === 'objectMode' ? ' A log stream takes lines, as strings or bytes.' : '';
  const options = takeOptions(given, 'log stream option', LOG_STREAM_OPTIONS, why);
  return {
    onFull: oneOf('onFull', options.onFull, ['wait', 'drop']),
    stripCarriageReturn: flag('stripCarriageReturn', options.stripCarriageReturn),
    emptyLines: oneOf('emptyLines', options.emptyLines, ['keep', 'skip']),
  };
}

/** Checks the options of a `follow` of a log that is open. */
export function checkFollowOptions(given: FollowOptions): void {
  checkFollow(takeOptions(given, 'follow option', FOLLOW_OPTIONS));
}

/** What a follower was given at the call: it is checked, and used, when following begins. */
export function takeFollowOptions<T extends FollowOptions>(options: T): T {
  return givenOptions(options, DIRECTORY_FOLLOW_OPTIONS);
}

const FOLLOW_OPTIONS: readonly (keyof FollowOptions)[] = ['from', 'signal', 'ref'];
const DIRECTORY_FOLLOW_OPTIONS: readonly (keyof DirectoryFollowOptions)[] = [...FOLLOW_OPTIONS, 'workerUrl'];

/** Checks the options of `Wal.follow`; answers those of the follower and those of the job that opens the log. */
export function checkDirectoryFollowOptions(given: DirectoryFollowOptions): {
  readonly follow: FollowOptions;
  readonly job: { readonly workerUrl: URL | undefined; readonly signal: AbortSignal | undefined };
} {
  const options = takeOptions(given, 'follow option', DIRECTORY_FOLLOW_OPTIONS);
  checkFollow(options);
  const { from, signal, ref, workerUrl } = options;
  return { follow: { from, signal, ref }, job: { workerUrl: checkWorkerUrl(workerUrl), signal } };
}

function checkFollow(options: FollowOptions): void {
  if (options.from !== undefined) checkLsn('from', options.from);
  checkSignal(options.signal);
  flag('ref', options.ref);
}

/** Checks the options of `Wal.readSegment`. */
export function checkReadSegmentOptions(given: ReadSegmentOptions): {
  readonly workerUrl: URL | undefined;
} {
  const { workerUrl } = takeOptions(given, 'readSegment option', ['workerUrl']);
  return { workerUrl: checkWorkerUrl(workerUrl) };
}

/** Checks the bytes that somebody wants room for. */
export function checkBytes(bytes: unknown): number {
  if (!isIntegerWithin(bytes, 0, Number.MAX_SAFE_INTEGER)) refuse('bytes', 'an integer from 0', bytes);
  return bytes as number;
}

/** Checks a time that a blocking call may take; `undefined`: any. */
export function checkTimeout(timeoutMs: unknown): number | undefined {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    refuse('timeoutMs', 'a number from 0', timeoutMs);
  }
  return timeoutMs;
}

export function checkLsn(name: string, lsn: unknown): number {
  if (!isIntegerWithin(lsn, 1, Number.MAX_SAFE_INTEGER)) refuse(name, 'an LSN, an integer from 1', lsn);
  return lsn as number;
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal !== undefined && !isAbortSignal(signal)) refuse('signal', 'an AbortSignal', signal);
  return signal;
}

/** Checks the options of a call that takes nothing but a signal. */
export function checkSignalOptions(given: {
  readonly signal?: AbortSignal | undefined;
}): AbortSignal | undefined {
  return checkSignal(takeOptions(given, 'option', ['signal']).signal);
}

/** Options of {@link Wal.verify}. */
export interface VerifyOptions {
  /**
   * Told a few times a second how far the reading is, in bytes, and once at the end. Of a damaged log, or one that is being written,
   * some bytes are read again: `bytesRead` may pass `bytesTotal`.
   */
  onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

/** How far {@link Wal.verify} is. */
export interface VerifyProgress {
  /** Bytes of segments read so far. */
  readonly bytesRead: number;
  /** Bytes of all segments; 0 until it is known. */
  readonly bytesTotal: number;
}

export interface CheckedVerifyOptions extends Pick<VerifyOptions, 'onProgress'> {
  readonly workerUrl: URL | undefined;
}

export function checkVerifyOptions(given: VerifyOptions): CheckedVerifyOptions {
  const options = takeOptions(given, 'verify option', ['onProgress', 'workerUrl']);
  return {
    onProgress: callback('onProgress', options.onProgress),
    workerUrl: checkWorkerUrl(options.workerUrl),
  };
}

/** Options of {@link Wal.repair}. */
export interface RepairOptions {
  /**
   * `'truncate'`: the log ends before the first entry that cannot be read. `'salvage'`: everything readable is kept, with its LSNs.
   *
   * @defaultValue `'truncate'`
   */
  mode?: 'truncate' | 'salvage' | undefined;
  /**
   * Only say what would be done: no lock, nothing is changed.
   *
   * @defaultValue `false`
   */
  dryRun?: boolean | undefined;
  /**
   * Permission bits of the files that are written.
   *
   * @defaultValue `0o600`
   */
  fileMode?: number | undefined;
  /** As of `Wal.open`. */
  workerUrl?: string | URL | undefined;
}

export function checkRepairOptions(given: RepairOptions): {
  readonly repair: {
    readonly mode: 'truncate' | 'salvage';
    readonly dryRun: boolean;
    readonly fileMode: number;
  };
  readonly job: { readonly workerUrl: URL | undefined };
} {
  const options = takeOptions(given, 'repair option', ['mode', 'dryRun', 'fileMode', 'workerUrl']);
  return {
    repair: {
      mode: oneOf('mode', options.mode, ['truncate', 'salvage']),
      dryRun: flag('dryRun', options.dryRun),
      fileMode: integer('fileMode', options.fileMode, 0o600, 0, 0o777),
    },
    job: { workerUrl: checkWorkerUrl(options.workerUrl) },
  };
}

/** More would be more memory than jobs that wait for a disk as much as for a processor are worth. */
const JOB_THREADS_MAX = 4;

/** Threads that the pool of segment jobs may use. */
export function jobThreads(): number {
  return Math.max(1, Math.min(JOB_THREADS_MAX, availableParallelism()));
}

/** See [givenOptions]. @throws ERR_WAL_OPTION: `options` is no object, or has a name that is not known; `hintOf` says more of that */
function takeOptions<T extends object>(
  options: T,
  kind: string,
  known: readonly (keyof T & string)[],
  hintOf: (name: string) => string = () => '',
): T {
  if (typeof options !== 'object' || options === null) refuse(`${kind}s`, 'an object', options);
  const given = givenOptions(options, known);
  for (const name of Object.keys(given)) {
    if (!known.includes(name as keyof T & string)) {
      const list = known.join(', ');
      throw new WalError('ERR_WAL_OPTION', `Unknown ${kind} "${name}". Known: ${list}.${hintOf(name)}`);
    }
  }
  return given;
}

function integer(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (!isIntegerWithin(value, min, max)) refuse(name, `an integer from ${min} to ${max}`, value);
  return value as number;
}

function number(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= min && value <= max))
    refuse(name, `a number from ${min} to ${max}`, value);
  return value;
}

function limit(name: string, value: unknown, min: number): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (!isIntegerWithin(value, min, Number.MAX_SAFE_INTEGER))
    refuse(name, `an integer from ${min}, or Infinity`, value);
  return value as number;
}

function flag(name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') refuse(name, 'true or false', value);
  return value ?? false;
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0];
  if (!allowed.includes(value as T)) refuse(name, allowed.map((each) => `'${each}'`).join(' or '), value);
  return value as T;
}

function callback<T>(name: string, value: ((argument: T) => void) | undefined): typeof value {
  if (value !== undefined && typeof value !== 'function') refuse(name, 'a function', value);
  return value;
}

function isIntegerWithin(value: unknown, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function refuse(name: string, expected: string, value: unknown): never {
  const unit = UNITS[name];
  const inUnit = unit === undefined ? '' : `, in ${unit}`;
  throw new WalError('ERR_WAL_OPTION', `${name} must be ${expected}${inUnit}, not ${describeValue(value)}.`);
}

/** Of those that are numbers of something. */
const UNITS: Readonly<Record<string, string>> = {
  maxFileSize: 'bytes',
  maxTotalSize: 'bytes',
  maxPending: 'bytes',
  maxEntrySize: 'bytes',
  maxAge: 'milliseconds',
  syncInterval: 'milliseconds',
  commitDelay: 'milliseconds',
};
