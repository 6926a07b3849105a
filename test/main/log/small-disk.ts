import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { cleanUp } from '../../cleanup.js';

const BLOCK = Buffer.alloc(4096, 1);

/** A file system of its own, in memory, so small that it can be filled in no time. */
export class SmallDisk {
  readonly root: string;
  readonly #ballast: string;

  private constructor(root: string) {
    this.root = root;
    this.#ballast = join(root, 'ballast');
  }

  /** It goes with the test, after the logs that are opened on it. Where none can be mounted: why. */
  static mount(t: TestContext, bytes: number): SmallDisk | string {
    if (process.platform !== 'linux') return 'tmpfs is of Linux';
    const root = mkdtempSync(join(tmpdir(), 'ringwal-disk-'));
    const refusal = run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', root);
    if (refusal !== undefined) {
      rmdirSync(root);
      return `no tmpfs can be mounted: ${refusal}`;
    }
    cleanUp(t, () => {
      // A log that a failed test has left open keeps the first one from working.
      const busy = run('umount', root);
      if (busy !== undefined) run('umount', '-l', root);
      rmdirSync(root);
      if (busy !== undefined) throw new Error(`something was left open: ${busy}`);
    });
    return new SmallDisk(root);
  }

  /** Takes all the room that there is, but `spareBytes`. */
  fill(spareBytes = 0): void {
    const fd = openSync(this.#ballast, 'a');
    let bytes = 0;
    try {
      for (;;) bytes += writeSync(fd, BLOCK);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error;
      if (spareBytes > 0) ftruncateSync(fd, bytes - spareBytes);
    } finally {
      closeSync(fd);
    }
  }

  /** Gives back what [fill] took. */
  free(): void {
    rmSync(this.#ballast);
  }

  /** Nothing can be changed any more, by anybody; nothing may be open for writing. */
  protect(): void {
    const refusal = run('mount', '-o', 'remount,ro', this.root);
    if (refusal !== undefined) throw new Error(refusal);
  }

  unprotect(): void {
    const refusal = run('mount', '-o', 'remount,rw', this.root);
    if (refusal !== undefined) throw new Error(refusal);
  }
}

/** Why it did not work. */
function run(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : stderr.trim() || `${command} failed`;
}
