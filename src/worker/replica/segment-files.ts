import { type Disk, type DiskFile, writeFully } from '../../files/disk.js';
import { encodeFrame } from '../../format/encode.js';
import { frameChecksumSeed, type SegmentStamp } from '../../format/frame.js';
import { segmentName } from '../../format/segment-name.js';
import { joinFrames, type ShippedEntry } from '../../replica/payload.js';
import { syncFile } from '../directory/side-files.js';

const SEGMENT_BYTES = 64 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

export interface SegmentFilesParts {
  readonly disk: Disk;
  readonly pathOf: (name: string) => string;
  readonly logId: bigint;
  readonly branch: bigint;
  readonly fileMode: number;
}

/** Writes entries to new segments, from `wal-0` on, in a directory that has none. */
export class SegmentFiles {
  readonly #parts: SegmentFilesParts;
  #file: DiskFile | undefined;
  #seed = 0;
  /** Frames that are not written yet, and their bytes. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Bytes of the current segment that are written. */
  #offset = 0;
  /** Number of segments. */
  count = 0;
  /** Of all segments. */
  bytes = 0;

  constructor(parts: SegmentFilesParts) {
    this.#parts = parts;
  }

  add({ lsn, data, batchRemaining, skipped }: ShippedEntry): void {
    if (this.#file === undefined || this.#end >= SEGMENT_BYTES) this.#begin();
    const isFirst = this.#end === 0;
    const frame = encodeFrame({
      lsn,
      data,
      batchRemaining,
      skipped,
      syncedLsn: isFirst ? lsn - 1 : undefined,
      segment: isFirst ? this.#stamp() : undefined,
      checksumSeed: this.#seed,
      fileOffset: this.#end,
    });
    this.#pending.push(frame);
    this.#pendingBytes += frame.length;
    if (this.#pendingBytes >= WRITE_BYTES) this.#write();
  }

  /** Makes the last segment durable, too. */
  finish(): void {
    if (this.#file === undefined) return;
    this.#write();
    syncFile(this.#file);
    this.bytes += this.#offset;
    this.close();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  get #end(): number {
    return this.#offset + this.#pendingBytes;
  }

  #begin(): void {
    this.finish();
    const { disk, pathOf, logId, fileMode } = this.#parts;
    this.#file = disk.open(pathOf(segmentName(this.count)), 'wx', fileMode);
    this.#seed = frameChecksumSeed(logId, this.count);
    this.#offset = 0;
    this.count += 1;
  }

  #stamp(): SegmentStamp {
    const { disk, logId, branch } = this.#parts;
    return { logId, number: this.count - 1, createdMs: disk.now(), recycled: false, branch };
  }

  #write(): void {
    const file = this.#file as DiskFile;
    const bytes = joinFrames(this.#pending);
    writeFully(file, bytes, 0, bytes.length, this.#offset);
    this.#offset += bytes.length;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
