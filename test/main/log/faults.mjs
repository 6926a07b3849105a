/**
 * Runs in the threads of a log before their own code: makes the system's calls fail, wait or kill the thread, as the
 * files in a folder order. Plain JavaScript, since no loader for TypeScript reaches worker threads.
 *
 *   hold-write, hold-sync   the call waits until the file is gone
 *   fail-write, fail-sync   the call throws a system error; the file's content is its code, and how many calls go well first
 *   die-at-write, …-sync    the thread ends in the call
 *   throw-at-load           the thread does not even start
 *
 * Who meets an order leaves a file `<order>.met`. Writes are those to segments, syncs are those of any file.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';

const { readFileSync, writeFileSync } = fs;
const privateWord = new Int32Array(new SharedArrayBuffer(4));

export function arm(folder) {
  /** What an order says; `undefined`: there is none, or it has just been recalled. */
  const read = (order) => {
    const path = join(folder, order);
    try {
      const content = readFileSync(path, 'utf8');
      writeFileSync(`${path}.met`, '');
      return content;
    } catch (error) {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }
  };
  const meets = (order) => read(order) !== undefined;
  if (meets('throw-at-load')) throw new Error('this thread was told not to start');

  const paths = new Map();
  const { openSync, writeSync, fdatasyncSync, fsyncSync } = fs;

  const spared = { write: 0, sync: 0 };
  const obey = (kind, syscall) => {
    while (meets(`hold-${kind}`)) Atomics.wait(privateWord, 0, 0, 1);
    if (meets(`die-at-${kind}`)) process.exit(3);
    const order = read(`fail-${kind}`);
    if (order === undefined) {
      spared[kind] = 0;
      return;
    }
    const [code, spare = 0] = order.split(' ');
    if (spared[kind]++ < Number(spare)) return;
    throw Object.assign(new Error(`${code}: made to fail, ${syscall}`), { code, syscall });
  };
  fs.openSync = (path, ...rest) => {
    const fd = openSync(path, ...rest);
    paths.set(fd, String(path));
    return fd;
  };
  fs.writeSync = (fd, ...rest) => {
    if (/^wal-\d+$/.test(basename(paths.get(fd) ?? ''))) obey('write', 'write');
    return writeSync(fd, ...rest);
  };
  fs.fdatasyncSync = (fd) => {
    obey('sync', 'fdatasync');
    return fdatasyncSync(fd);
  };
  fs.fsyncSync = (fd) => {
    obey('sync', 'fsync');
    return fsyncSync(fd);
  };
  syncBuiltinESMExports();
}
