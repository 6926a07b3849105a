import type { Fate, Unsynced } from './fate.js';
import type { Random } from './random.js';

/** The unit that a power cut keeps or loses as a whole. */
export const SECTOR_BYTES = 512;

/**
 * The effect of a failed sync, after "Can Applications Recover from fsync Failures?" (USENIX ATC '20). On all three the
 * pages count as clean afterwards: the next sync succeeds and does not write them.
 *
 *   ext4    the new bytes can be read until the cache drops them; the new size becomes durable with the next sync
 *   xfs     the new bytes can be read until the cache drops them; the new size is forgotten too
 *   btrfs   the old bytes and the old size are back at once
 */
export type FailedSync = 'ext4' | 'xfs' | 'btrfs';

interface SectorVersion extends Unsynced {
  readonly bytes: Uint8Array;
}

interface SizeVersion extends Unsynced {
  readonly size: number;
}

const ZERO_SECTOR = new Uint8Array(SECTOR_BYTES);

/**
 * One file's bytes: those that a read returns, those that the medium holds, and the unsynced changes in between.
 *
 *            live      returned by reads: the page cache
 *               ▲ write, truncate: each also stores a version of every sector that it touches, and of the size
 *     versions  │      unsynced, oldest first; a sync takes the newest, a power cut any (each sector, and the size,
 *               ▼      for itself)
 *         durable      found by the next boot
 *
 * Invariants: both arrays are whole sectors. After the size `live` is zero, and so is `durable` unless a sync failed (then
 * sectors may be there that a later size uncovers). A version is never changed. A sector whose live and durable bytes differ and
 * that has no versions was lost by a failed sync: nothing will write it again.
 */
export class Content {
  #live = new Uint8Array(0);
  #size = 0;
  #durable = new Uint8Array(0);
  #durableSize = 0;
  readonly #sectors = new Map<number, SectorVersion[]>();
  #sizes: SizeVersion[] = [];

  get size(): number {
    return this.#size;
  }

  /** The share of the disk's capacity that the file takes, in bytes. Holes count. */
  get allocatedBytes(): number {
    return roundUp(this.#size);
  }

  /** Position in the history of the first change that is not durable; Infinity if all are. */
  get oldestUnsynced(): number {
    let oldest = this.#sizes[0]?.at ?? Number.POSITIVE_INFINITY;
    for (const versions of this.#sectors.values())
      oldest = Math.min(oldest, (versions[0] as SectorVersion).at);
    return oldest;
  }

  liveBytes(): Uint8Array {
    return this.#live.slice(0, this.#size);
  }

  durableBytes(): Uint8Array {
    return this.#durable.slice(0, this.#durableSize);
  }

  /** The medium's sector, inside the file or not. */
  durableSector(index: number): Uint8Array {
    return sectorOf(this.#durable, index);
  }

  read(target: Uint8Array, position: number): number {
    const bytes = this.#live.subarray(
      Math.min(position, this.#size),
      Math.min(position + target.length, this.#size),
    );
    target.set(bytes);
    return bytes.length;
  }

  write(bytes: Uint8Array, position: number, at: number): void {
    if (bytes.length === 0) return;
    const end = position + bytes.length;
    this.#live = withRoom(this.#live, end);
    this.#live.set(bytes, position);
    this.#size = Math.max(this.#size, end);
    if (end > this.#recordedSize) this.#sizes.push({ at, size: end });
    this.#noteSectors(position, end, at);
  }

  truncate(size: number, at: number): void {
    const former = this.#size;
    this.#live = withRoom(this.#live, size);
    this.#size = size;
    if (size !== this.#recordedSize) this.#sizes.push({ at, size });
    if (size >= former) return;
    this.#live.fill(0, size, former);
    this.#noteSectors(size, former, at);
  }

  sync(): void {
    for (const [index, versions] of this.#sectors) this.#makeDurable(index, versions);
    this.#durableSize = this.#recordedSize;
    this.#dropVersions();
  }

  failSync(kind: FailedSync, random: Random): void {
    // Before the sync failed, the device may have taken none of the sectors, some, or all.
    const survival = random.pick([0, 0.5, 1]);
    for (const [index, versions] of this.#sectors) {
      if (random.chance(survival)) this.#makeDurable(index, versions);
    }
    this.#sectors.clear();
    if (kind === 'ext4') return;
    this.#dropVersions();
    if (kind === 'btrfs') this.#show();
  }

  /** The cache drops every page that counts as clean: reads then no longer show the data that a failed sync lost. */
  evict(): void {
    for (let index = 0; index * SECTOR_BYTES < this.#size; index += 1) {
      if (!this.#sectors.has(index)) sectorOf(this.#live, index).fill(0).set(sectorOf(this.#durable, index));
    }
    this.#live.fill(0, this.#size);
  }

  /** @param stale the content of a block before it was allocated to this file */
  powerCut(fate: Fate, stale: (sector: number) => Uint8Array): void {
    const sizes = fate.countOf(this.#sizes);
    const formerSize = this.#durableSize;
    for (const [index, versions] of this.#sectors) {
      const count = fate.countOf(versions);
      this.#durable = withRoom(this.#durable, (index + 1) * SECTOR_BYTES);
      const sector = sectorOf(this.#durable, index);
      if (count === 0 && index * SECTOR_BYTES >= formerSize && fate.isStale()) sector.set(stale(index));
      if (count > 0) {
        const { bytes } = versions[count - 1] as SectorVersion;
        sector.set(bytes.subarray(0, fate.tearAt(SECTOR_BYTES)));
      }
    }
    if (sizes > 0) this.#durableSize = (this.#sizes[sizes - 1] as SizeVersion).size;
    this.#dropVersions();
    this.#show();
  }

  /** Flips bits at rest. An unsynced version of the sector hides this from reads, and later overwrites it. */
  rot(offset: number, mask: number): void {
    const flip = (bytes: Uint8Array): void => {
      bytes[offset] = (bytes[offset] as number) ^ mask;
    };
    if (offset >= this.#durableSize)
      throw new RangeError(`only ${this.#durableSize} bytes are on the medium`);
    flip(this.#durable);
    if (offset < this.#size && !this.#sectors.has(Math.floor(offset / SECTOR_BYTES))) flip(this.#live);
  }

  /** The size that the file system has recorded. It is larger than [size] only after a failed sync. */
  get #recordedSize(): number {
    return this.#sizes.at(-1)?.size ?? this.#durableSize;
  }

  #noteSectors(from: number, to: number, at: number): void {
    for (let index = Math.floor(from / SECTOR_BYTES); index * SECTOR_BYTES < to; index += 1) {
      // Sectors after the end of a truncated file share one array: there may be many.
      const isAfterEnd = index * SECTOR_BYTES >= this.#size;
      const bytes = isAfterEnd ? ZERO_SECTOR : sectorOf(this.#live, index).slice();
      const versions = this.#sectors.get(index);
      if (versions === undefined) this.#sectors.set(index, [{ at, bytes }]);
      else versions.push({ at, bytes });
    }
  }

  #makeDurable(index: number, versions: readonly SectorVersion[]): void {
    this.#durable = withRoom(this.#durable, (index + 1) * SECTOR_BYTES);
    sectorOf(this.#durable, index).set((versions.at(-1) as SectorVersion).bytes);
  }

  /** No change is on its way any more; the file ends at its durable size. */
  #dropVersions(): void {
    this.#sectors.clear();
    this.#sizes = [];
    this.#durable = withRoom(this.#durable, this.#durableSize);
    this.#durable.fill(0, this.#durableSize);
  }

  /** Makes reads return the medium's bytes. */
  #show(): void {
    this.#live = this.#durable.slice();
    this.#size = this.#durableSize;
  }
}

function sectorOf(bytes: Uint8Array, index: number): Uint8Array {
  return bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
}

/** Doubles the array, so that appending takes linear time. */
function withRoom(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (size <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(roundUp(size), bytes.length * 2));
  larger.set(bytes);
  return larger;
}

function roundUp(size: number): number {
  return Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES;
}
