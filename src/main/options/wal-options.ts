import { hostname } from 'node:os';
import { DEFAULT_RESOLUTION_MS, RESOLUTION_MS_MAX } from '../../format/time-walk.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import { WalError } from '../errors/wal-error.js';
import type { Archive } from './archive-option.js';
import {
  callback,
  checkSignal,
  flag,
  integer,
  isIntegerWithin,
  limit,
  number,
  oneOf,
  refuse,
  takeOptions,
} from './checks.js';
import { type CompressionOption, checkCompression } from './compression-option.js';
import { checkPath, checkWorkerUrl } from './paths.js';
import {
  type CheckedReplica,
  checkLevel,
  checkReplicaOptions,
  type DurabilityLevel,
  type ReplicaOptions,
} from './replica-option.js';

/**
 * Options of {@link Wal.open}. Sizes are in bytes, times in milliseconds. A value that is not allowed, and an option that is not
 * known, are refused with `ERR_WAL_OPTION`, which names the range.
 */
export interface WalOptions extends ReplicaOptions {
  /**
   * `false`: `open` makes no log where there is none. It rejects with `ERR_WAL_IO`, cause `ENOENT`, and creates nothing.
   *
   * @defaultValue `true`
   */
  create?: boolean | undefined;
  /**
   * Level of an append that does not say: `true` = it resolves once fsynced, `false` = once handed to the system, `'replicated'` = once
   * it is durable on the replica, too.
   *
   * @defaultValue `false`
   */
  durable?: DurabilityLevel | undefined;
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
   * What keeps segments from retention; with several, a segment goes only if none of them keeps it. `'checkpoint'`: every segment with
   * an entry above the lowest checkpoint (`Wal.checkpoint`), named and unnamed. The unnamed one counts unless it is 0 and there are
   * named ones: as long as no checkpoint was set, retention removes nothing. `'snapshot'`: every segment that the oldest kept snapshot
   * needs for its replay (`Wal.writeSnapshot`). Until a snapshot is written, or `Wal.recover` has read one, it keeps everything.
   * `'replicated'`: every segment with an entry that is not replicated, which a log with the option `replica` keeps anyway. Default:
   * nothing.
   */
  retainFrom?: RetainFrom | readonly RetainFrom[] | undefined;
  /**
   * Copies a segment to where it is safe. The log calls it for each sealed segment, in order, one at a time and at least once; also for
   * those that were sealed before, in earlier runs. Retention and `truncateBefore` keep a segment until the call for it has
   * resolved. A call that fails is repeated after 1 s, 2 s, … 60 s, for as long as it takes, and each failure is told by `onError`;
   * appends go on. `ArchiveSegment` says what it is given.
   *
   * The progress is recorded in the log. After a crash the call for the segment under way is repeated, so the archive must accept a
   * segment that it has already.
   */
  archive?: Archive | undefined;
  /**
   * With `archive`: milliseconds after which a segment is sealed although it has room, counted from its first entry (in a log that was
   * just opened, from the first one since), so that entries of a slow log do not wait for days to be archived. Such segments count for
   * `maxFiles` like any other. 0 = segments are sealed only when they are full.
   *
   * @defaultValue 0
   */
  archiveTimeout?: number | undefined;
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
   * Milliseconds, up to 3,600,000: at most once in this time the log stamps what it writes with the wall clock, so that
   * `lsnAt` and the options `since` and `until` find entries by time, at most this much too early. 0: no stamps;
   * then only the ages of the segments tell times.
   *
   * @defaultValue 100
   */
  timeResolution?: number | undefined;
  /**
   * Compresses what is appended from now on: entries that are written together become blocks. `'lz4'` costs little time; `'zstd'`
   * makes JSON about half as large again, and needs Node 22.15 or later, also to read. `{ codec: 'zstd', level }` takes a level from
   * 1 to 22, 3 by default. A group that somebody waits for is compressed with LZ4 at most. Few bytes, and data that does not become
   * shorter than 7/8, are written as without the option. Readers need no option. wal-go, which reads the frames of a log without
   * compression, takes a block for an entry.
   *
   * Default: no compression.
   */
  compression?: CompressionOption | undefined;
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

/** What keeps segments from retention: the option `retainFrom` of {@link WalOptions}. */
export type RetainFrom = 'checkpoint' | 'snapshot' | 'replicated';

const RETAIN_FROM: readonly RetainFrom[] = ['checkpoint', 'snapshot', 'replicated'];

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Options of the producer's side, every default filled in. */
export interface LaneOptions {
  readonly durable: DurabilityLevel;
  readonly commit: 'group' | 'interval';
  readonly busyPoll: boolean;
  readonly ringSize: number;
  readonly maxLanes: number;
  readonly maxPending: number;
  readonly maxUnsettled: number;
  readonly maxEntrySize: number;
  /** Where lanes hear how far the log is replicated; `undefined`: it has no replica. Each open has its own. */
  readonly replicaChannel: string | undefined;
}

export interface CheckedOptions {
  readonly writer: WriterOptions;
  readonly lane: LaneOptions;
  readonly readOnly: boolean;
  readonly workerUrl: URL | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onError: ((error: WalError) => void) | undefined;
  readonly archive: Archive | undefined;
  readonly replica: CheckedReplica | undefined;
}

const KNOWN_OPTIONS: readonly (keyof WalOptions)[] = [
  'create',
  'durable',
  'maxFileSize',
  'maxFiles',
  'maxTotalSize',
  'maxAge',
  'retainFrom',
  'archive',
  'archiveTimeout',
  'replica',
  'replicaTimeout',
  'maxLag',
  'onLag',
  'syncInterval',
  'commitDelay',
  'commit',
  'busyPoll',
  'ringSize',
  'maxLanes',
  'maxPending',
  'maxUnsettled',
  'maxEntrySize',
  'timeResolution',
  'compression',
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
  const replica = checkReplicaOptions(options);
  const retainFrom = checkRetainFrom(options.retainFrom);
  if (retainFrom.includes('replicated') && replica === undefined)
    throw new WalError('ERR_WAL_OPTION', "retainFrom: 'replicated' needs the option replica.");
  return {
    writer: {
      directory: checkPath('directory', directory),
      create: options.create === undefined || flag('create', options.create),
      maxFileSize: integer('maxFileSize', options.maxFileSize, 64 * MiB, 4 * KiB, GiB),
      maxFiles: limit('maxFiles', options.maxFiles, 1),
      maxTotalSize: limit('maxTotalSize', options.maxTotalSize, 1),
      maxAge: limit('maxAge', options.maxAge, 1),
      retainFromCheckpoint: retainFrom.includes('checkpoint'),
      retainFromSnapshot: retainFrom.includes('snapshot'),
      hasArchive: options.archive !== undefined,
      hasReplica: replica !== undefined,
      archiveTimeout: checkArchiveTimeout(options),
      syncInterval: integer('syncInterval', options.syncInterval, 200, 1, 60_000),
      commitDelay: number('commitDelay', options.commitDelay, 0, 0, 1_000),
      timeResolution: integer(
        'timeResolution',
        options.timeResolution,
        DEFAULT_RESOLUTION_MS,
        0,
        RESOLUTION_MS_MAX,
      ),
      recovery: oneOf('recovery', options.recovery, ['strict', 'point-in-time', 'skip-corrupt']),
      preallocate: checkPreallocate(options.preallocate),
      fileMode: integer('fileMode', options.fileMode, 0o600, 0, 0o777),
      directoryMode: integer('directoryMode', options.directoryMode, 0o700, 0, 0o777),
      compression: checkCompression(options.compression),
    },
    lane: {
      durable: checkLevel(options.durable, replica !== undefined),
      commit: oneOf('commit', options.commit, ['group', 'interval']),
      busyPoll: flag('busyPoll', options.busyPoll),
      ringSize,
      maxLanes: integer('maxLanes', options.maxLanes, 64, 1, 1024),
      maxPending: integer('maxPending', options.maxPending, 16 * MiB, 1, Number.MAX_SAFE_INTEGER),
      maxUnsettled: integer('maxUnsettled', options.maxUnsettled, 1_048_576, 1, 0x7fff_ffff),
      maxEntrySize: integer('maxEntrySize', options.maxEntrySize, 64 * MiB, 1, GiB),
      replicaChannel: replica && newChannelName(),
    },
    readOnly: flag('readOnly', options.readOnly),
    workerUrl: checkWorkerUrl(options.workerUrl),
    signal: checkSignal(options.signal),
    onError: callback('onError', options.onError),
    archive: checkArchive(options.archive),
    replica,
  };
}

/** No other open, on any machine, has the same: it also tells one writer of a replica from another. */
function newChannelName(): string {
  return `ringwal ${hostname()} ${process.pid} ${randomHex()}${randomHex()}`;
}

function randomHex(): string {
  return Math.floor(Math.random() * 2 ** 48)
    .toString(16)
    .padStart(12, '0');
}

function checkArchive(archive: Archive | undefined): Archive | undefined {
  if (archive !== undefined && typeof archive !== 'function') refuse('archive', 'a function', archive);
  return archive;
}

/** Milliseconds; Infinity = never. */
function checkArchiveTimeout({ archive, archiveTimeout }: WalOptions | WalReaderOptions): number {
  const ms = integer('archiveTimeout', archiveTimeout, 0, 0, 0x7fff_ffff);
  if (ms > 0 && archive === undefined) {
    throw new WalError(
      'ERR_WAL_OPTION',
      'archiveTimeout says how long entries may wait for the option archive, which is not given.',
    );
  }
  return ms === 0 ? Number.POSITIVE_INFINITY : ms;
}

function checkRetainFrom(value: unknown): readonly RetainFrom[] {
  if (value === undefined) return [];
  const names: readonly unknown[] = Array.isArray(value) ? [...value] : [value];
  const isKnown = (name: unknown): name is RetainFrom => RETAIN_FROM.includes(name as RetainFrom);
  if (!names.every(isKnown))
    refuse('retainFrom', "'checkpoint', 'snapshot' or 'replicated', or an array of them", value);
  return names;
}

function checkPreallocate(value: unknown): WriterOptions['preallocate'] {
  if (value === undefined) return 'ahead';
  if (value !== false && value !== 'ahead' && value !== 'zero' && value !== 'recycle')
    refuse('preallocate', "false, 'ahead', 'zero' or 'recycle'", value);
  return value;
}
