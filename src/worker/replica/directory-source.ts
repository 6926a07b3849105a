import { join } from 'node:path';
import { type Disk, isMissing } from '../../files/disk.js';
import { parseSegmentName, segmentName } from '../../format/segment-name.js';
import type { LogSource, ShippableRun } from '../../replica/log-source.js';
import { joinFrames, type ShippedFrame } from '../../replica/payload.js';
import { ReplicaError } from '../../replica/replica.js';
import type { LogStatus } from '../../ring/log-status.js';
import { type FramePlace, SegmentFrames, type StoredFrame } from './segment-frames.js';

/**
 * The log of this process as the shipper reads it: the segments in its directory, up to the watermark in the log's status. Retention
 * keeps the segments that are not replicated; a cut happens only while the shipper is paused.
 */
export class DirectorySource implements LogSource {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #status: LogStatus;
  /** Before the frame with LSN `#nextLsn`, or the first one after it. */
  #place: FramePlace | undefined;
  #nextLsn = 0;
  #open: SegmentFrames | undefined;
  #moved: Promise<void> | undefined;

  constructor(disk: Disk, directory: string, status: LogStatus) {
    this.#disk = disk;
    this.#directory = directory;
    this.#status = status;
  }

  get firstLsn(): number {
    for (const number of this.#numbers()) {
      const first = this.#firstFrame(number);
      if (first !== undefined && first.lsn <= this.lastLsn) return first.lsn - first.skipped;
    }
    // No entry: the next one comes after the watermark.
    return this.lastLsn + 1;
  }

  get lastLsn(): number {
    return this.#status.get('durableLsn');
  }

  get floor(): number {
    return this.#status.get('floor');
  }

  /** Bytes of the segments from the first entry on that was not taken yet: what is behind the shipper's back, roughly. */
  get untakenBytes(): number {
    const { lastLsn } = this;
    if (this.#nextLsn > lastLsn) return 0;
    const from = this.#place ?? { segment: 0, offset: 0 };
    const numbers = this.#numbers().filter((number) => number >= from.segment);
    const live = numbers.at(-1);
    let bytes = -from.offset;
    for (const number of numbers)
      bytes += number === live ? this.#status.get('liveBytes') : this.#sizeOf(number);
    return Math.max(0, bytes);
  }

  take(after: number, maxBytes: number): ShippableRun | undefined {
    const { lastLsn } = this;
    if (after >= lastLsn) return undefined;
    const frames: Uint8Array[] = [];
    let bytes = 0;
    let end: { readonly frames: number; readonly last: number; readonly place: FramePlace } | undefined;
    for (const { frame, place } of this.#framesFrom(after + 1, lastLsn)) {
      if (end !== undefined && bytes + frame.bytes.length > maxBytes) break;
      frames.push(frame.bytes);
      bytes += frame.bytes.length;
      if (frame.batchRemaining === 0) end = { frames: frames.length, last: frame.lsn, place };
    }
    if (end === undefined) throw unreadable(after + 1);
    this.#place = end.place;
    this.#nextLsn = end.last + 1;
    return { last: end.last, data: joinFrames(frames.slice(0, end.frames)) };
  }

  *read(from: number, to: number): Iterable<ShippedFrame> {
    for (const { frame } of this.#framesFrom(from, Math.min(to, this.lastLsn))) yield frame;
  }

  async news(lsn: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { lastLsn } = this;
      if (lastLsn > lsn) return;
      // Waits cannot be called off: a wait that nobody needs any more serves the next caller.
      this.#moved ??= this.#status.watermarkMoved(lastLsn).finally(() => {
        this.#moved = undefined;
      });
      await Promise.race([this.#moved, aborted(signal)]);
    }
  }

  /** The log was cut: places that were found before are worth nothing. */
  forget(): void {
    this.#place = undefined;
    this.#nextLsn = 0;
    this.close();
  }

  close(): void {
    this.#open?.close();
    this.#open = undefined;
  }

  /** The frames with LSNs from `from` up to `to`, each with the place after it. */
  *#framesFrom(
    from: number,
    to: number,
  ): Generator<{ readonly frame: ShippedFrame; readonly place: FramePlace }> {
    this.#open?.readAnew();
    const start = this.#place !== undefined && this.#nextLsn === from ? this.#place : this.#find(from);
    let { segment, offset } = start;
    for (let next = from; next <= to; ) {
      const found = this.#frames(segment).at(offset);
      if (found === undefined) {
        const following = this.#numbers().find((number) => number > segment);
        // The watermark says that there are more.
        if (following === undefined) throw unreadable(next);
        [segment, offset] = [following, 0];
        continue;
      }
      const { entries, byteLength } = found;
      for (const [index, frame] of entries.entries()) {
        if (frame.lsn < from) continue;
        if (frame.lsn > to) return;
        if (frame.lsn !== next + frame.skipped) throw unreadable(next);
        next = frame.lsn + 1;
        // Inside a block the next entry is found from the block's start.
        const isLast = index === entries.length - 1;
        yield { frame, place: { segment, offset: isLast ? offset + byteLength : offset } };
      }
      offset += byteLength;
    }
  }

  /** The last segment that begins at or before entry `lsn`. @throws ReplicaError ERR_WAL_PURGED: there is none */
  #find(lsn: number): FramePlace {
    const numbers = this.#numbers();
    for (let at = numbers.length - 1; at >= 0; at--) {
      const number = numbers[at] as number;
      const first = this.#firstFrame(number);
      if (first !== undefined && first.lsn - first.skipped <= lsn) return { segment: number, offset: 0 };
    }
    throw new ReplicaError('ERR_WAL_PURGED', `Entry ${lsn} is no longer in the local log.`, { lsn });
  }

  #firstFrame(number: number): StoredFrame | undefined {
    try {
      return this.#frames(number).at(0);
    } catch (error) {
      // Retention removed it meanwhile: the log begins later.
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #frames(number: number): SegmentFrames {
    if (this.#open?.number !== number) {
      this.close();
      this.#open = new SegmentFrames(this.#disk, this.#directory, number);
    }
    return this.#open;
  }

  #numbers(): number[] {
    const names = this.#disk.list(this.#directory);
    return names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
  }

  #sizeOf(number: number): number {
    try {
      const file = this.#disk.open(join(this.#directory, segmentName(number)), 'r');
      try {
        return file.size();
      } finally {
        file.close();
      }
    } catch (error) {
      if (isMissing(error)) return 0;
      throw error;
    }
  }
}

function unreadable(lsn: number): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_REPLICA',
    `Entry ${lsn} is durable and cannot be read from the local log now.`,
    { lsn },
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
