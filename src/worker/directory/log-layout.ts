import type { Disk } from '../../files/disk.js';
import { contentEnd, type SegmentFile, withSource } from '../../format/bytes.js';
import type { LogState, PendingCut, StateFault } from '../../format/state-file.js';
import { listLog, pendingCutOf, withoutCut } from './log-listing.js';
import { readState } from './state-store.js';

/** A log as it lies in its directory, to be read only. */
export interface Layout {
  readonly directory: string;
  readonly state: LogState | StateFault | undefined;
  /** A `truncateAfter` that was interrupted; `files` are without what it takes away. */
  readonly cut: PendingCut | undefined;
  /** Ascending by number. */
  readonly files: readonly SegmentFile[];
  readonly foreignFiles: readonly string[];
  /** See `LogListing`. */
  readonly isBeingSalvaged: boolean;
}

export function layOut(disk: Disk, directory: string): Layout {
  // The state first: its watermark is never ahead of segments that are listed later.
  const state = readState(disk, directory);
  const { segments, foreignFiles, isBeingSalvaged } = listLog(disk, directory);
  const cut = pendingCutOf(segments, state);
  return { directory, state, cut, files: withoutCut(segments, cut), foreignFiles, isBeingSalvaged };
}

export function sizesOf(files: readonly SegmentFile[]): number[] {
  return files.map((file) => withSource(file, ({ size }) => size));
}

/** As [sizesOf], without the holes that files end with, where these are large: to find them may take a look at all of a file. */
export function contentSizesOf(files: readonly SegmentFile[]): number[] {
  return files.map((file) => withSource(file, contentEnd));
}

/** Tells who waits how much there is to read. */
export function announce(progress: SharedArrayBuffer, sizes: readonly number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  Atomics.store(new BigInt64Array(progress), 1, BigInt(total));
}

/**
 * The same files, whose reads are counted. `progress`: two words of 64 bits for who waits, bytes read so far and bytes of all
 * segments ([announce]). Several threads may count in it; each access is one instruction and orders nothing.
 */
export function counted(files: readonly SegmentFile[], progress: SharedArrayBuffer): readonly SegmentFile[] {
  const words = new BigInt64Array(progress);
  return files.map(({ number, open }) => ({
    number,
    open: () => {
      const source = open();
      source.onLook = (bytes) => Atomics.add(words, 0, BigInt(bytes));
      return {
        size: source.size,
        get zeroFrom() {
          return contentEnd(source);
        },
        read(offset, length) {
          const bytes = source.read(offset, length);
          Atomics.add(words, 0, BigInt(bytes.length));
          return bytes;
        },
        close: () => source.close?.(),
      };
    },
  }));
}
