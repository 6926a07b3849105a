import { callback, flag, integer, oneOf, takeOptions } from './checks.js';
import { checkWorkerUrl } from './paths.js';

/** Options of `Wal.readSegment`. */
export interface ReadSegmentOptions {
  /** As of `Wal.open`. The thread judges what stands behind a frame that is not valid; no other segment needs it. */
  workerUrl?: string | URL | undefined;
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

/** Checks the options of `Wal.readSegment`. */
export function checkReadSegmentOptions(given: ReadSegmentOptions): {
  readonly workerUrl: URL | undefined;
} {
  const { workerUrl } = takeOptions(given, 'readSegment option', ['workerUrl']);
  return { workerUrl: checkWorkerUrl(workerUrl) };
}

export function checkVerifyOptions(given: VerifyOptions): CheckedVerifyOptions {
  const options = takeOptions(given, 'verify option', ['onProgress', 'workerUrl']);
  return {
    onProgress: callback('onProgress', options.onProgress),
    workerUrl: checkWorkerUrl(options.workerUrl),
  };
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
