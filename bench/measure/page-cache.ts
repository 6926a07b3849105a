import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** More than most cases write: 192 MiB of data are three million entries with their frames. */
const BYTES = 640 * 2 ** 20;

/**
 * Prepares free memory for the page cache of the next files in `directory`. A virtual machine returns free memory to
 * its host, and getting it back takes several times as long as writing into it. Without this step, one case would pay
 * for that and the next one would not. If there is enough memory, nothing reaches the disk, because the file is
 * removed before.
 */
export function warmPageCache(directory: string): void {
  const path = join(directory, 'warm');
  const block = Buffer.alloc(2 ** 20);
  // An interrupted run may have left the file.
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
