import { clearInterval, setInterval } from '../../files/node-globals.js';
import { hasField } from '../jobs/own-field.js';
import type { VerifySnapshotsOptions } from '../options/snapshot-options.js';
import type { LogView } from '../read/log-view.js';
import { infoOf, verifyOne } from './recover-state.js';

/** The report on one file with the name of a snapshot: {@link WalReader.verifySnapshots}. */
export interface SnapshotReport {
  /** The LSN in its name. */
  readonly lsn: number;
  /** The file, absolute. */
  readonly path: string;
  /** Whether it is an intact snapshot of this log that `recover` can use. */
  readonly isValid: boolean;
  /** The reason why not, in words; absent if it is valid. */
  readonly reason?: string;
  /** The format that `writeSnapshot` was given; absent unless it is valid, as the fields that follow. */
  readonly format?: string;
  /** Bytes of data. */
  readonly bytes?: number;
  /** When it was begun, milliseconds since 1970. */
  readonly createdMs?: number;
}

/** Interval between two progress reports. */
const PROGRESS_MS = 100;

export async function verifySnapshots(
  view: LogView,
  { signal, onProgress }: VerifySnapshotsOptions,
): Promise<SnapshotReport[]> {
  view.assertOpen();
  signal?.throwIfAborted();
  const words = new BigInt64Array(new SharedArrayBuffer(16));
  const tell = () =>
    onProgress?.({
      bytesRead: Number(Atomics.load(words, 0)),
      bytesTotal: Number(Atomics.load(words, 1)),
    });
  const timer = onProgress === undefined ? undefined : setInterval(tell, PROGRESS_MS).unref();
  try {
    const reports: SnapshotReport[] = [];
    for (const lsn of await view.snapshotJobs.find(view.directory)) {
      const verified = await verifyOne(view, lsn, signal, words.buffer);
      reports.push(
        hasField(verified, 'snapshot')
          ? { ...infoOf(verified.snapshot), isValid: true }
          : { ...verified.rejected, isValid: false },
      );
    }
    tell();
    return reports;
  } finally {
    clearInterval(timer);
  }
}
