import type { BackupProgress } from '../../index.js';
import type { Context } from '../terminal/context.js';
import { progressBar } from '../terminal/status-line.js';
import { bytes } from '../text/text.js';

/** Runs work that reports its progress in bytes and takes a signal, and shows a bar if the work takes long. */
export async function withProgress<T>(
  context: Context,
  what: string,
  run: (options: { signal: AbortSignal; onProgress: (progress: BackupProgress) => void }) => Promise<T>,
): Promise<T> {
  const status = context.statusLine();
  try {
    // Not `orInterrupted`: an interrupted copy removes what it has written before it ends.
    return await run({
      signal: context.signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        status.update(
          () => `${what} ${progressBar(Math.min(bytesDone, bytesTotal), bytesTotal)} of ${bytes(bytesTotal)}`,
        ),
    });
  } finally {
    status.clear();
  }
}
