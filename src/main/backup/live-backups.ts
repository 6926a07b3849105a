import type { BackupReport, StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import type { JobControl } from '../../protocol/job-control.js';
import type { BackupRequest } from '../../worker/backup/backup.js';
import { closedError } from '../append/lane-errors.js';
import { WalError } from '../errors/wal-error.js';
import { runStoppable } from '../jobs/stoppable-job.js';
import type { CheckedBackup } from '../options/backup-options.js';
import type { LiveView } from '../read/live-view.js';
import type { Reader } from '../read/readers.js';

/** Backups of the open log by {@link Wal.backup}, in figures. 0 = there was none. */
export interface BackupsStats {
  /** Backups that are being made. */
  readonly running: number;
  /** Backups that were finished since the log was opened. */
  readonly completed: number;
  /** Backups that failed, aborted ones not included. */
  readonly failed: number;
  /** The last entry of the newest finished one. */
  readonly lastLsn: number;
  /** When it was begun, in milliseconds since 1970. */
  readonly lastMs: number;
  /** Milliseconds since then. */
  readonly ageMs: number;
  /** Bytes of its files. */
  readonly lastBytes: number;
  /** How long it took, in milliseconds. */
  readonly lastDurationMs: number;
}

interface LiveBackupsParts {
  readonly view: LiveView;
  /** See [LogStatus]. */
  readonly status: SharedArrayBuffer;
  readonly recycles: boolean;
  readonly sync: (signal: AbortSignal | undefined) => Promise<number>;
  readonly run: (
    request: BackupRequest,
  ) => Promise<BackupReport | StoppedJob | { readonly failure: Failure }>;
}

/** Backups of a log that this process writes. Retention keeps the segments that they still have to copy. */
export class LiveBackups {
  readonly #parts: LiveBackupsParts;
  readonly #running = new Map<Promise<unknown>, JobControl | undefined>();
  #isClosing = false;
  #completed = 0;
  #failed = 0;
  #last: BackupReport | undefined;

  constructor(parts: LiveBackupsParts) {
    this.#parts = parts;
  }

  make(checked: CheckedBackup): Promise<BackupReport> {
    const { view, recycles } = this.#parts;
    view.assertOpen();
    if (checked.link && recycles) {
      throw new WalError(
        'ERR_WAL_OPTION',
        `Cannot link the segments of "${view.directory}": with preallocate: 'recycle' the log writes into the files of old segments again.`,
        { path: view.directory },
      );
    }
    const made = this.#make(checked, (control) => this.#running.set(settled, control));
    const settled: Promise<unknown> = made.then(
      (report) => this.#note(settled, report),
      (error: unknown) => this.#noteFailure(settled, checked.signal, error),
    );
    this.#running.set(settled, undefined);
    return made;
  }

  read(): BackupsStats {
    const last = this.#last;
    return {
      running: this.#running.size,
      completed: this.#completed,
      failed: this.#failed,
      lastLsn: last?.lastLsn ?? 0,
      lastMs: last?.createdMs ?? 0,
      ageMs: last === undefined ? 0 : Math.max(0, this.#parts.view.wallMs() - last.createdMs),
      lastBytes: last?.bytes ?? 0,
      lastDurationMs: last?.durationMs ?? 0,
    };
  }

  /** Stops all backups. Resolves once they have removed their copies. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const control of this.#running.values()) control?.stop();
    await Promise.all(this.#running.keys());
  }

  async #make(checked: CheckedBackup, onStart: (control: JobControl) => void): Promise<BackupReport> {
    const { view, status, sync, run } = this.#parts;
    const { target, since, link, signal } = checked;
    const { directory } = view;
    signal?.throwIfAborted();
    await sync(signal);
    const reader = view.readers.start();
    try {
      pinOldest(view, reader);
      return await runStoppable(
        checked,
        (control) => {
          onStart(control);
          if (this.#isClosing) control.stop();
          return run({ directory, target, since, link, control: control.buffer, status });
        },
        ({ needed }) => this.#release(reader, needed),
        () => closedError(directory),
      );
    } finally {
      await reader.end();
    }
  }

  /** Lets retention remove the segments that are copied. */
  #release(reader: Reader, needed: number): void {
    const { view } = this.#parts;
    const current = reader.segment?.number ?? 0;
    if (needed <= current || view.isClosed) return;
    const segment = view.segments().find(({ number }) => number === needed);
    if (segment !== undefined) reader.pin(segment);
  }

  #note(settled: Promise<unknown>, report: BackupReport): void {
    this.#running.delete(settled);
    this.#completed += 1;
    if (this.#last === undefined || report.createdMs >= this.#last.createdMs) this.#last = report;
  }

  #noteFailure(settled: Promise<unknown>, signal: AbortSignal | undefined, error: unknown): void {
    this.#running.delete(settled);
    const isAborted = signal?.aborted === true && error === signal.reason;
    if (!isAborted) this.#failed += 1;
  }
}

/** Keeps every segment that is there now. */
function pinOldest(view: LiveView, reader: Reader): void {
  for (;;) {
    const [oldest] = view.segments();
    // False: retention has just removed it, and another segment is the oldest.
    if (oldest === undefined || reader.pin(oldest)) return;
  }
}
