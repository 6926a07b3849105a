import { clearInterval, setInterval } from '../../files/node-globals.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { errorFromFailure } from '../errors/wal-error.js';
import type { StoppableOptions } from '../options/backup-options.js';
import { hasField } from './own-field.js';

/** Interval between two reports of progress. */
const PROGRESS_MS = 100;

/**
 * Runs a job that reports its progress and that can be stopped. When `signal` aborts, the job undoes its work, and then the
 * promise rejects with the signal's reason. Terminating the job's thread would leave files behind.
 *
 * @param onTick called with each report of progress, and before it
 * @param whyStopped the error for a job that was stopped by another caller of `control.stop()`
 */
export async function runStoppable<T extends object>(
  { signal, onProgress }: StoppableOptions,
  run: (control: JobControl) => Promise<T | StoppedJob | { readonly failure: Failure }>,
  onTick: (control: JobControl) => void = () => {},
  whyStopped: () => unknown = () => signal?.reason,
): Promise<T> {
  signal?.throwIfAborted();
  const control = new JobControl();
  const tell = () => {
    onTick(control);
    onProgress?.({ bytesDone: control.done, bytesTotal: control.total });
  };
  const stop = () => control.stop();
  const timer = setInterval(tell, PROGRESS_MS).unref();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const answer = await run(control);
    if (hasField(answer, 'stopped')) throw signal?.aborted ? signal.reason : whyStopped();
    if (hasField(answer, 'failure')) throw errorFromFailure((answer as { failure: Failure }).failure);
    tell();
    return answer as T;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', stop);
  }
}
