import type { Disk } from '../../files/disk.js';
import { contentEnd, type SegmentFile, withSource } from '../../format/bytes.js';
import type { LogState, StateFault } from '../../format/state-file.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import { type DueCut, listLog, pendingCutOf, withoutCut } from './log-listing.js';
import { listSnapshots, snapshotsUpTo } from './snapshot-listing.js';
import { readState } from './state-store.js';

/** The files of a log in its directory, for reading only. */
export interface Layout {
  readonly directory: string;
  readonly state: LogState | StateFault | undefined;
  /** A `truncateAfter` that was interrupted; `files` leaves out the bytes that the cut removes. */
  readonly cut: DueCut | undefined;
  /** Ascending by number. */
  readonly files: readonly SegmentFile[];
  readonly foreignFiles: readonly string[];
  /** Of any log; without snapshots of entries that the cut removes. */
  readonly snapshots: readonly SnapshotRecord[];
  /** See `LogListing`. */
  readonly isBeingSalvaged: boolean;
}

export function layOut(disk: Disk, directory: string): Layout {
  // The state file first: its watermark is then never ahead of the segments, which are listed later.
  const state = readState(disk, directory);
  const listing = listLog(disk, directory);
  const { segments, foreignFiles, isBeingSalvaged } = listing;
  const cut = pendingCutOf(listing, state);
  const snapshots = snapshotsUpTo(listSnapshots(disk, directory), cut);
  return {
    directory,
    state,
    cut,
    files: withoutCut(segments, cut),
    foreignFiles,
    snapshots,
    isBeingSalvaged,
  };
}

export function sizesOf(files: readonly SegmentFile[]): number[] {
  return files.map((file) => withSource(file, ({ size }) => size));
}

/** As [sizesOf], without large holes at the ends of files. Finding them may take reading a whole file. */
export function contentSizesOf(files: readonly SegmentFile[]): number[] {
  return files.map((file) => withSource(file, contentEnd));
}

/** Tells the waiting thread how much there is to read. */
export function announce(progress: SharedArrayBuffer, sizes: readonly number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  Atomics.store(new BigInt64Array(progress), 1, BigInt(total));
}

/**
 * The same files, with their reads counted. `progress`: two 64-bit words for the waiting thread, bytes read so far and bytes of
 * all segments ([announce]). Several threads may count in it; each access is one instruction and orders nothing.
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
