import { type ByteSource, contentEnd, isZeroFrom } from '../../format/bytes.js';
import { createChain, followFrame } from '../../format/chain.js';
import { crc32 } from '../../format/crc32.js';
import { describeFault, type Frame, SIZE_WORD_BYTES, TAG } from '../../format/frame.js';
import { FrameReader } from '../../format/frame-reader.js';
import { parseWalgHeader, WALG_HEADER_BYTES } from '../../format/walg.js';
import { writeUint64 } from '../../format/wire.js';

/** What stands somewhere in a segment file. */
export interface Piece {
  /**
   * `valid`: a frame where it belongs. `damaged`: a frame, or bytes where one should be, that break a rule. `unproven`: what
   * looks like a frame behind damage, and does not show that it belongs there. `free`: zeros to the end. `header`: of wal-go's
   * later format.
   */
  readonly kind: 'valid' | 'damaged' | 'unproven' | 'free' | 'header';
  readonly offset: number;
  readonly bytes: number;
  /** Of a damaged one. */
  readonly reason?: string;
  /** A copy; absent where the bytes do not parse. */
  readonly frame?: Frame;
}

/** Bytes of data that may be checksummed for each byte of the file: offsets that claim much data are passed over then. */
const CHECKSUM_BUDGET = 16;

/**
 * Everything in a segment file from its start to its end, valid or not, piece by piece. Behind damage it goes on at the next
 * bytes that look like a frame; from a head on frames are valid again.
 *
 * @param number n of the file, as its name says; -1 = its first frame says it
 */
export function* walkFrames(source: ByteSource, number: number, logId: bigint | undefined): Generator<Piece> {
  if (parseWalgHeader(source.read(0, WALG_HEADER_BYTES)) === undefined) {
    yield* new FrameWalk(source, number, logId).pieces();
  } else {
    yield* walkWalg(source);
  }
}

class FrameWalk {
  readonly #source: ByteSource;
  readonly #reader = new FrameReader();
  readonly #chain: ReturnType<typeof createChain>;
  #budgetBytes: number;
  /** Behind damage, until a head. */
  #isLost = false;

  constructor(source: ByteSource, number: number, logId: bigint | undefined) {
    this.#source = source;
    this.#reader.open(source);
    this.#chain = createChain(logId, number);
    this.#budgetBytes = CHECKSUM_BUDGET * contentEnd(source);
  }

  *pieces(): Generator<Piece> {
    const { size } = this.#source;
    const chain = this.#chain;
    const reader = this.#reader;
    while (chain.fileOffset < size) {
      const offset = chain.fileOffset;
      const unparsed = reader.parseAt(offset);
      if (unparsed !== undefined) {
        if (isZeroFrom(this.#source, offset)) {
          yield { kind: 'free', offset, bytes: size - offset };
          return;
        }
        const next = this.#findFrame(offset + 1);
        yield { kind: 'damaged', offset, bytes: next - offset, reason: describeFault(unparsed) };
        this.#isLost = true;
        chain.fileOffset = next;
        continue;
      }
      const frame = { ...reader.frame };
      const bytes = frame.byteLength;
      if (this.#isLost && this.#isHead()) this.#takeUpAgain();
      const fault = reader.validate(chain);
      if (fault === undefined && !this.#isLost) {
        yield { kind: 'valid', offset, bytes, frame };
        followFrame(chain, frame);
      } else {
        const isUnproven = this.#isLost && reader.dataChecksum() === frame.crc;
        if (isUnproven) yield { kind: 'unproven', offset, bytes, frame };
        else yield { kind: 'damaged', offset, bytes, frame, reason: describeFault(fault ?? 'data-checksum') };
        this.#isLost = true;
        // Its size uses up exactly what it holds: the next one is behind it if anywhere.
        chain.expectedLsn = 0;
        chain.batchRemaining = 0;
        chain.fileOffset += bytes;
      }
    }
  }

  #takeUpAgain(): void {
    this.#isLost = false;
    this.#chain.expectedLsn = 0;
    this.#chain.batchRemaining = 0;
  }

  /** The frame parsed last proves itself. */
  #isHead(): boolean {
    const { frame } = this.#reader;
    const { seed } = this.#chain;
    if (frame.syncedLsn < 0 || seed === undefined) return false;
    return this.#reader.frameChecksum(seed) === frame.frameCrc;
  }

  /** Where the next bytes stand that pass for a frame; the file's end where there are none. */
  #findFrame(from: number): number {
    const reader = this.#reader;
    let tagAt = reader.find(TAG.lsn, from + SIZE_WORD_BYTES);
    for (; tagAt >= 0; tagAt = reader.find(TAG.lsn, tagAt + 1)) {
      const offset = tagAt - SIZE_WORD_BYTES;
      if (reader.parseAt(offset) !== undefined) continue;
      const { frame } = reader;
      this.#chain.fileOffset = offset;
      if (this.#isHead()) return offset;
      const length = frame.dataEnd - frame.dataStart;
      if (length > this.#budgetBytes) continue;
      this.#budgetBytes -= length;
      if (reader.dataChecksum() === frame.crc) return offset;
    }
    return this.#source.size;
  }
}

/** Its frames have no checksum but the data's: behind damage nothing is looked for. */
function* walkWalg(source: ByteSource): Generator<Piece> {
  const reader = new FrameReader();
  const lsnBytes = new Uint8Array(8);
  reader.open(source);
  yield { kind: 'header', offset: 0, bytes: WALG_HEADER_BYTES };
  let offset = WALG_HEADER_BYTES;
  while (offset < source.size) {
    const fault = reader.parseAt(offset);
    if (fault !== undefined) {
      yield { kind: 'damaged', offset, bytes: source.size - offset, reason: describeFault(fault) };
      return;
    }
    const frame = { ...reader.frame };
    writeUint64(lsnBytes, 0, frame.lsn);
    const isIntact = crc32(reader.readData(), crc32(lsnBytes)) === frame.crc;
    yield {
      kind: isIntact ? 'valid' : 'damaged',
      offset,
      bytes: frame.byteLength,
      frame,
      ...(isIntact ? {} : { reason: describeFault('data-checksum') }),
    };
    offset += frame.byteLength;
  }
}
