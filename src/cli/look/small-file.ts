import { type DiskFile, IrregularFile, isMissing, readFully } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';

/** At most `bytesMax` bytes of a file of any size; `undefined` if there is no such file. @throws the system's error */
export function readSmallFile(path: string, bytesMax: number): Uint8Array | 'no file' | undefined {
  let file: DiskFile;
  try {
    file = createNodeDisk().open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof IrregularFile) return 'no file';
    throw error;
  }
  try {
    const bytes = new Uint8Array(bytesMax);
    return bytes.subarray(0, readFully(file, bytes, 0));
  } finally {
    file.close();
  }
}
