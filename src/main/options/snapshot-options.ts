import { Buffer } from 'node:buffer';
import { FORMAT_BYTES_MAX } from '../../format/snapshot-file.js';
import { callback, checkSignal, integer, number, refuse, takeOptions } from './checks.js';

/** Options of {@link Wal.writeSnapshot}. */
export interface WriteSnapshotOptions {
  /**
   * Snapshots that are kept, this one included: the newest ones that are intact. Older ones are removed; newer ones never are.
   *
   * @defaultValue 2
   */
  keep?: number | undefined;
  /**
   * The application's own name for the format of the data, at most 255 bytes of UTF-8. `recover` hands it to `load`.
   *
   * @defaultValue `''`
   */
  format?: string | undefined;
  /** Cancels the call: it rejects with the signal's reason, and its file is removed. */
  signal?: AbortSignal | undefined;
  /**
   * Bytes a second that are written at most, from 1.
   *
   * @defaultValue `Infinity`
   */
  maxBytesPerSecond?: number | undefined;
}

/** Options of {@link WalReader.readSnapshot}. */
export interface ReadSnapshotOptions {
  /** Ends reading: it rejects with the signal's reason, and the file is closed. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link WalReader.verifySnapshots}. */
export interface VerifySnapshotsOptions {
  /** Ends the call: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told a few times a second how far the reading is, and once at the end. */
  onProgress?: ((progress: SnapshotProgress) => void) | undefined;
}

/** How far {@link WalReader.verifySnapshots} is. */
export interface SnapshotProgress {
  /** Bytes read so far, of all snapshots. */
  readonly bytesRead: number;
  /** Bytes of the snapshots that were begun. */
  readonly bytesTotal: number;
}

export interface CheckedWriteSnapshotOptions {
  readonly keep: number;
  readonly format: string;
  readonly signal: AbortSignal | undefined;
  readonly bytesPerSecond: number;
}

export function checkWriteSnapshotOptions(given: WriteSnapshotOptions): CheckedWriteSnapshotOptions {
  const options = takeOptions(given, 'writeSnapshot option', [
    'keep',
    'format',
    'signal',
    'maxBytesPerSecond',
  ]);
  const { format = '' } = options;
  if (typeof format !== 'string' || Buffer.byteLength(format) > FORMAT_BYTES_MAX)
    refuse('format', `a string of at most ${FORMAT_BYTES_MAX} bytes in UTF-8`, format);
  return {
    keep: integer('keep', options.keep, 2, 1, 1000),
    format,
    signal: checkSignal(options.signal),
    bytesPerSecond: number(
      'maxBytesPerSecond',
      options.maxBytesPerSecond,
      Number.POSITIVE_INFINITY,
      1,
      Number.POSITIVE_INFINITY,
    ),
  };
}

export function checkReadSnapshotOptions(given: ReadSnapshotOptions): AbortSignal | undefined {
  return checkSignal(takeOptions(given, 'readSnapshot option', ['signal']).signal);
}

export function checkVerifySnapshotsOptions(given: VerifySnapshotsOptions): VerifySnapshotsOptions {
  const options = takeOptions(given, 'verifySnapshots option', ['signal', 'onProgress']);
  return { signal: checkSignal(options.signal), onProgress: callback('onProgress', options.onProgress) };
}
