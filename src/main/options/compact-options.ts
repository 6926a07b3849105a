import type { LsnRange } from '../../format/lsn-set.js';
import { WalError } from '../errors/wal-error.js';
import type { BackupProgress, StoppableOptions } from './backup-options.js';
import { callback, checkLsn, checkSignal, isIntegerWithin, number, refuse, takeOptions } from './checks.js';

/** Entries by their LSNs: single ones, and ranges with both ends included. In any order; they may overlap. */
export type LsnRanges = readonly (number | LsnRange)[];

/** Options of {@link Wal.compact}. */
export interface CompactOptions {
  /** The entries to drop. LSNs without an entry are no error. */
  drop: LsnRanges;
  /**
   * Only segments whose entries are all at or below this LSN are written anew.
   *
   * @defaultValue the last durable entry
   */
  upTo?: number | undefined;
  /**
   * The part of a segment's bytes, from 0 to 1, that the entries to drop must take so that the segment is written anew. 0 drops
   * every one of them, whatever it costs.
   *
   * @defaultValue 0.5
   */
  minGarbage?: number | undefined;
  /**
   * Bytes a second that are written at most, from 1.
   *
   * @defaultValue `Infinity`
   */
  maxBytesPerSecond?: number | undefined;
  /** Ends the call: it rejects with the signal's reason. What was compacted until then stays so. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how far the compaction is, in bytes, and once at the end. */
  onProgress?: ((progress: CompactProgress) => void) | undefined;
}

/** How far a compaction is. */
export interface CompactProgress {
  /** Bytes written so far. */
  readonly bytesDone: number;
  /** Bytes to be written, about; 0 until it is known. */
  readonly bytesTotal: number;
}

/** Options of {@link Wal.erase}. */
export interface EraseOptions {
  /**
   * Bytes a second that are written at most, from 1.
   *
   * @defaultValue `Infinity`
   */
  maxBytesPerSecond?: number | undefined;
  /** Ends the call: it rejects with the signal's reason. What was erased until then stays so. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how far it is, in bytes, and once at the end. */
  onProgress?: ((progress: CompactProgress) => void) | undefined;
}

export interface CheckedCompaction extends StoppableOptions {
  readonly drop: readonly LsnRange[];
  /** Infinity = all. */
  readonly upTo: number;
  readonly minGarbage: number;
  readonly bytesPerSecond: number;
}

/** More ranges than this would take longer to send to another thread than many segments take to read. */
const RANGES_MAX = 1_000_000;

export function checkCompactOptions(given: CompactOptions): CheckedCompaction {
  const options = takeOptions(given, 'compact option', [
    'drop',
    'upTo',
    'minGarbage',
    'maxBytesPerSecond',
    'signal',
    'onProgress',
  ]);
  return {
    drop: checkRanges('drop', options.drop),
    upTo: options.upTo === undefined ? Number.POSITIVE_INFINITY : checkLsn('upTo', options.upTo),
    minGarbage: number('minGarbage', options.minGarbage, 0.5, 0, 1),
    ...checkRate(options),
  };
}

export function checkEraseOptions(ranges: LsnRanges, given: EraseOptions): CheckedCompaction {
  const options = takeOptions(given, 'erase option', ['maxBytesPerSecond', 'signal', 'onProgress']);
  return {
    drop: checkRanges('ranges', ranges),
    upTo: Number.POSITIVE_INFINITY,
    minGarbage: 0,
    ...checkRate(options),
  };
}

function checkRate(
  options: EraseOptions,
): Pick<CheckedCompaction, 'bytesPerSecond' | 'signal' | 'onProgress'> {
  const { maxBytesPerSecond } = options;
  const infinity = Number.POSITIVE_INFINITY;
  return {
    bytesPerSecond: number('maxBytesPerSecond', maxBytesPerSecond, infinity, 1, infinity),
    signal: checkSignal(options.signal),
    onProgress: callback<BackupProgress>('onProgress', options.onProgress),
  };
}

function checkRanges(name: string, given: unknown): LsnRange[] {
  if (!Array.isArray(given)) refuse(name, 'an array of LSNs and of ranges { first, last } of LSNs', given);
  const ranges: LsnRange[] = [];
  for (const each of given as readonly unknown[]) {
    const range = rangeOf(each);
    if (range === undefined)
      refuse(`an element of ${name}`, 'an LSN, or a range { first, last } of LSNs', each);
    ranges.push(range);
    if (ranges.length > RANGES_MAX)
      throw new WalError(
        'ERR_WAL_OPTION',
        `${name} must have at most ${RANGES_MAX} elements. Join neighbours to ranges.`,
      );
  }
  return ranges;
}

function rangeOf(given: unknown): LsnRange | undefined {
  if (isLsn(given)) return { first: given, last: given };
  if (typeof given !== 'object' || given === null || !('first' in given) || !('last' in given))
    return undefined;
  const { first, last } = given;
  return isLsn(first) && isLsn(last) && first <= last ? { first, last } : undefined;
}

function isLsn(value: unknown): value is number {
  return isIntegerWithin(value, 1, Number.MAX_SAFE_INTEGER);
}
