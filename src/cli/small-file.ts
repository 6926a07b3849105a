import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** As much of a file as may be of use, whatever its size; `undefined` where there is none. @throws the system's error */
export function readSmallFile(path: string, bytesMax: number): Uint8Array | 'no file' | undefined {
  let fd: number;
  try {
    // Not to wait for whoever writes, should it be a pipe. Windows has no such flag.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (!fstatSync(fd).isFile()) return 'no file';
    const bytes = new Uint8Array(bytesMax);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}
