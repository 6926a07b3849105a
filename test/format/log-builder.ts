import { MemorySource, type SegmentFile } from '../../src/format/bytes.js';
import { encodeFrame, type FrameFields } from '../../src/format/encode.js';
import { dataChecksum, frameChecksum, frameChecksumSeed } from '../../src/format/frame.js';
import { emptyState, type LogState } from '../../src/format/state-file.js';
import { type Judgement, judgeLog, type LogFiles } from '../../src/format/verdict.js';

export const LOG_ID = 0x0123_4567_89ab_cdefn;

export interface LogOptions {
  readonly logId?: bigint;
  readonly firstSegment?: number;
  readonly firstLsn?: number;
  /** Write nothing but fields 1 to 3, as wal-go does. */
  readonly isPlain?: boolean;
}

/** Where a frame was put. */
export interface Written {
  readonly segment: number;
  readonly lsn: number;
  readonly start: number;
  readonly end: number;
}

/** Writes logs as the writer does: a Segment on each segment's first frame, a watermark on each group's. */
export class LogBuilder {
  readonly logId: bigint;
  readonly written: Written[] = [];
  readonly #firstSegment: number;
  readonly #isPlain: boolean;
  readonly #parts: Uint8Array[][] = [];
  #isRecycled = false;
  #needsStamp = false;
  #offset = 0;
  nextLsn: number;

  constructor({ logId = LOG_ID, firstSegment = 0, firstLsn = 1, isPlain = false }: LogOptions = {}) {
    this.logId = logId;
    this.#firstSegment = firstSegment;
    this.#isPlain = isPlain;
    this.nextLsn = firstLsn;
  }

  get segment(): number {
    return this.#firstSegment + this.#parts.length - 1;
  }

  /** Where the next frame goes in the live segment. */
  get offset(): number {
    return this.#offset;
  }

  get lastLsn(): number {
    return this.nextLsn - 1;
  }

  newSegment({ recycled = false } = {}): this {
    this.#parts.push([]);
    this.#offset = 0;
    this.#isRecycled = recycled;
    this.#needsStamp = true;
    return this;
  }

  /** A group of single entries that was written when `syncedLsn` was the watermark. */
  group(entries: readonly Uint8Array[], syncedLsn: number): this {
    entries.forEach((data, at) => {
      this.frame({ data, syncedLsn: at === 0 ? syncedLsn : undefined });
    });
    return this;
  }

  /** A group that is one atomic batch; `total` entries in all, of which those beyond `entries` are never written. */
  batch(entries: readonly Uint8Array[], syncedLsn: number, total = entries.length): this {
    entries.forEach((data, at) => {
      this.frame({ data, syncedLsn: at === 0 ? syncedLsn : undefined, batchRemaining: total - 1 - at });
    });
    return this;
  }

  frame(fields: Partial<FrameFields> & { readonly data: Uint8Array }): this {
    if (this.#parts.length === 0) this.newSegment();
    const lsn = fields.lsn ?? this.nextLsn + (fields.skipped ?? 0);
    const stamp = {
      logId: this.logId,
      number: this.segment,
      createdMs: 1_700_000_000_000,
      recycled: this.#isRecycled,
      branch: 0n,
    };
    const bytes = encodeFrame({
      checksumSeed: frameChecksumSeed(this.logId, this.segment),
      fileOffset: this.#offset,
      segment: this.#needsStamp ? stamp : undefined,
      ...fields,
      lsn,
      ...(this.#isPlain ? { segment: undefined, syncedLsn: undefined } : {}),
    });
    this.#needsStamp = false;
    this.raw(bytes);
    this.written.push({ segment: this.segment, lsn, start: this.#offset - bytes.length, end: this.#offset });
    this.nextLsn = lsn + 1;
    return this;
  }

  /** Any bytes, behind what is there. */
  raw(bytes: Uint8Array): this {
    if (this.#parts.length === 0) this.newSegment();
    this.#parts[this.#parts.length - 1].push(bytes);
    this.#offset += bytes.length;
    return this;
  }

  /** The segments as they are now; changing them does not change the builder. */
  build(): Uint8Array[] {
    return this.#parts.map((parts) => concat(parts));
  }

  judge(options: JudgeOptions = {}): Judgement {
    return judge(this.build(), { firstSegment: this.#firstSegment, ...options });
  }
}

/** A frame with fields that the encoder does not write, in hexadecimal, between field 4 and field 15. LSNs below 128. */
export function frameWith(
  extra: string,
  at: { lsn: number; syncedLsn: number; number: number; offset: number },
): Uint8Array {
  const data = fill(5, at.lsn);
  const checksum = dataChecksum(data, 0, data.length, at.lsn);
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
  const before = Uint8Array.of(0x08, at.lsn, 0x12, data.length);
  const after = Uint8Array.of(0x18, ...varint(checksum), 0x20, at.syncedLsn, ...hex(extra));
  const size = Uint8Array.of(before.length + data.length + after.length + 5, 0, 0, 0);
  const seed = frameChecksumSeed(LOG_ID, at.number);
  const frameCrc = new DataView(new ArrayBuffer(4));
  frameCrc.setUint32(0, frameChecksum(concat([size, before]), after, seed, at.offset), true);
  return concat([size, before, data, after, hex('7d'), new Uint8Array(frameCrc.buffer)]);
}

export interface JudgeOptions extends Partial<Pick<LogFiles, 'state' | 'full'>> {
  readonly firstSegment?: number;
}

export function judge(
  segments: readonly Uint8Array[],
  { firstSegment = 0, state, full }: JudgeOptions = {},
): Judgement {
  return judgeLog({ segments: filesOf(segments, firstSegment), state, full });
}

export function filesOf(segments: readonly Uint8Array[], firstSegment = 0): SegmentFile[] {
  return segments.map((bytes, index) => ({
    number: firstSegment + index,
    open: () => new MemorySource(bytes),
  }));
}

export function state(watermark: number, logId = LOG_ID): LogState {
  return { ...emptyState(logId), watermark };
}

/** `count` entries of `length` bytes, no two alike. */
export function entries(count: number, length = 20): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => fill(length, i));
}

export function fill(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, j) => (seed * 31 + j * 7 + 11) & 0xff);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function flip(bytes: Uint8Array, at: number, mask = 0x01): Uint8Array {
  const flipped = bytes.slice();
  flipped[at] ^= mask;
  return flipped;
}

export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(/\s/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
