import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** More than most cases write: 192 MiB of data, three million entries with their frames. */
const BYTES = 640 * 2 ** 20;

/**
 * Leaves memory behind in which the next files of `directory` find their pages. A virtual machine gives memory that is free
 * back to its host, and to get it again takes several times as long as to write into it: else one case pays for that, and
 * the next one, which finds the pages of the one before, does not. Where there is memory enough nothing of it reaches the
 * disk: the file is gone before.
 */
export function warmPageCache(directory: string): void {
  const path = join(directory, 'warm');
  const block = Buffer.alloc(2 ** 20);
  // One that was interrupted here may have left it.
  const fd = openSync(path, 'w');
  try {
    for (let written = 0; written < BYTES; ) written += writeSync(fd, block);
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
  const parent = openSync(directory, 'r');
  fsyncSync(parent);
  closeSync(parent);
}
