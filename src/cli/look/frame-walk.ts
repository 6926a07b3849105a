import { BlockEntries } from '../../blocks/block-entries.js';
import { type ByteSource, contentEnd, isZeroFrom } from '../../format/bytes.js';
import { crc32 } from '../../format/crc32.js';
import { describeFault, type Frame, type FrameFault } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { parseWalgHeader, WALG_HEADER_BYTES } from '../../format/walg.js';
import { writeUint64 } from '../../format/wire.js';

/** A piece of a segment file. */
export interface Piece {
  /**
   * `valid`: a frame where it belongs. `damaged`: a frame, or bytes where one should be, that break a rule. `unproven`: bytes
   * after damage that look like a frame, and do not prove that it belongs there. `free`: zeros to the end. `header`: that of
   * wal-go's later format.
   */
  readonly kind: 'valid' | 'damaged' | 'unproven' | 'free' | 'header';
  readonly offset: number;
  readonly bytes: number;
  /** Why a damaged piece is damaged. */
  readonly reason?: string;
  /** A copy; absent if the bytes do not parse. */
  readonly frame?: Frame;
}

/** Bytes of data that may be checksummed for each byte of the file. Beyond that, offsets that claim much data are passed over. */
const CHECKSUM_BUDGET = 16;

/**
 * Everything in a segment file from its start to its end, valid or not, piece by piece. After damage the walk continues at the
 * next bytes that look like a frame; from a head on, frames are valid again.
 *
 * @param number n of the file, from its name; -1 = from its first frame
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
  readonly #cursor = new FrameCursor();
  #budgetBytes: number;
  /** After damage, until a head. */
  #isLost = false;

  constructor(source: ByteSource, number: number, logId: bigint | undefined) {
    this.#source = source;
    this.#cursor.start({ logId, expectedLsn: 0, batchRemaining: 0 }).enter(source, number);
    this.#budgetBytes = CHECKSUM_BUDGET * contentEnd(source);
  }

  *pieces(): Generator<Piece> {
    const cursor = this.#cursor;
    const { size } = cursor;
    while (cursor.offset < size) {
      const { offset } = cursor;
      const unparsed = cursor.parse();
      if (unparsed !== undefined) {
        if (isZeroFrom(this.#source, offset)) {
          yield { kind: 'free', offset, bytes: size - offset };
          return;
        }
        if (!this.#findFrame(offset + 1)) cursor.seek(size);
        const bytes = cursor.offset - offset;
        yield { kind: 'damaged', offset, bytes, reason: describeFault(unparsed) };
        this.#isLost = true;
        continue;
      }
      const frame = { ...cursor.frame };
      const bytes = frame.byteLength;
      if (this.#isLost && cursor.isHead()) this.#takeUpAgain();
      const fault = cursor.validate() ?? blockFault(cursor);
      if (fault === undefined && !this.#isLost) {
        yield { kind: 'valid', offset, bytes, frame };
        cursor.pass();
      } else {
        const isUnproven = this.#isLost && cursor.hasIntactData();
        if (isUnproven) yield { kind: 'unproven', offset, bytes, frame };
        else yield { kind: 'damaged', offset, bytes, frame, reason: describeFault(fault ?? 'data-checksum') };
        this.#isLost = true;
        // Its content has exactly the size that it claims: so the next frame, if there is one, follows it.
        cursor.expectAny();
        cursor.seek(offset + bytes);
      }
    }
  }

  #takeUpAgain(): void {
    this.#isLost = false;
    this.#cursor.expectAny();
  }

  /** Moves to the next bytes from `from` on that look like a frame; false = there are none. */
  #findFrame(from: number): boolean {
    const cursor = this.#cursor;
    const { frame } = cursor;
    for (let found = cursor.find(from); found; found = cursor.find(cursor.offset + 1)) {
      if (cursor.isHead()) return true;
      const length = frame.dataEnd - frame.dataStart;
      if (length > this.#budgetBytes) continue;
      this.#budgetBytes -= length;
      if (cursor.hasIntactData()) return true;
    }
    return false;
  }
}

/** A block that this Node cannot decode is taken for an intact one. */
function blockFault(cursor: FrameCursor): FrameFault | undefined {
  return BlockEntries.of(cursor) === 'damaged' ? 'block' : undefined;
}

/** Its frames have no checksum but that of the data: after damage nothing is looked for. */
function* walkWalg(source: ByteSource): Generator<Piece> {
  const cursor = new FrameCursor().enter(source, -1).seek(WALG_HEADER_BYTES);
  const lsnBytes = new Uint8Array(8);
  yield { kind: 'header', offset: 0, bytes: WALG_HEADER_BYTES };
  for (; cursor.offset < cursor.size; cursor.pass()) {
    const { offset } = cursor;
    const fault = cursor.parse();
    if (fault !== undefined) {
      yield { kind: 'damaged', offset, bytes: cursor.size - offset, reason: describeFault(fault) };
      return;
    }
    const frame = { ...cursor.frame };
    writeUint64(lsnBytes, 0, frame.lsn);
    const isIntact = crc32(cursor.readData(), crc32(lsnBytes)) === frame.crc;
    yield {
      kind: isIntact ? 'valid' : 'damaged',
      offset,
      bytes: frame.byteLength,
      frame,
      ...(isIntact ? {} : { reason: describeFault('data-checksum') }),
    };
  }
}
