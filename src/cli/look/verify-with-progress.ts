import { type VerifyReport, Wal } from '../../index.js';
import type { Context } from '../terminal/context.js';
import { progressBar } from '../terminal/status-line.js';
import { bytes } from '../text/text.js';

/** Verifies a whole log, and shows the progress if it takes long. */
export async function verifyWithProgress(context: Context, directory: string): Promise<VerifyReport> {
  const status = context.statusLine();
  try {
    const verifying = Wal.verify(directory, {
      onProgress: ({ bytesRead, bytesTotal }) =>
        status.update(() => {
          const done = Math.min(bytesRead, bytesTotal);
          return `reading ${progressBar(done, bytesTotal)} of ${bytes(bytesTotal)}`;
        }),
    });
    return await context.orInterrupted(verifying);
  } finally {
    status.clear();
  }
}
