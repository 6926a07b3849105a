import { CODEC_NAMES } from '../../format/block.js';
import type { Frame } from '../../format/frame.js';
import type { Colors } from '../terminal/output.js';
import { hexDump, integer, lsnRange, preciseTime, visibleLength, wrap } from '../text/text.js';
import type { Piece } from './frame-walk.js';

/** Default number of bytes shown of a frame, as far as there is room. */
const HEX_BYTES = 12;
/** More bytes are shown of damage, because they matter most. */
const DAMAGE_BYTES = 64;
/** From this width on there is room for all fields beside the bytes. */
const WIDE = 100;
const INDENT = '  ';
/** Smallest frame: a size word, an LSN, a checksum. */
const FRAME_BYTES_MIN = 8;
/** Determines the width of the LSN column if the LSNs are not known. */
const LSN_USUAL = 9_999_999;

/**
 * Formats the pieces of a segment file, one line for each, for a window of a given width. Text that does not fit goes
 * on the next line.
 */
export class FrameTable {
  readonly #width: number;
  readonly #hexBytes: number | undefined;
  readonly #colors: Colors;
  readonly #offsetWidth: number;
  readonly #sizeWidth: number;
  readonly #lsnWidth: number;

  /**
   * @param file its size, and its first LSN if it is known
   * @param hexBytes number of bytes shown of each frame, even if they do not fit into its line
   */
  constructor(
    file: { readonly bytes: number; readonly firstLsn: number | undefined },
    width: number,
    hexBytes: number | undefined,
    colors: Colors,
  ) {
    this.#width = width;
    this.#hexBytes = hexBytes;
    this.#colors = colors;
    const digits = integer(file.bytes).length;
    this.#offsetWidth = Math.max('offset'.length, digits);
    this.#sizeWidth = Math.min(8, Math.max('bytes'.length, digits));
    const highestLsn = file.firstLsn === undefined ? LSN_USUAL : file.firstLsn + file.bytes / FRAME_BYTES_MIN;
    this.#lsnWidth = Math.max('LSN'.length, integer(highestLsn).length);
  }

  /** The maximum number of bytes shown of a piece. */
  static bytesShown({ kind }: Piece, hexBytes = HEX_BYTES): number {
    return kind === 'damaged' ? Math.max(hexBytes, DAMAGE_BYTES) : hexBytes;
  }

  get header(): string {
    const { line } = this.#row(' ', 'offset', 'bytes', 'LSN', 'data', 'fields');
    return this.#colors.dim(`${this.#padded(line)}  hex`.slice(0, this.#width));
  }

  /** `head`: the first bytes of the piece. */
  lines({ kind, offset, bytes: size, frame, reason }: Piece, head: Uint8Array): string[] {
    const { red, yellow, dim } = this.#colors;
    const { line, below } = this.#row(
      kind === 'damaged' ? '✗' : kind === 'unproven' ? '?' : ' ',
      integer(offset),
      integer(size),
      frame === undefined ? '' : integer(frame.lsn),
      frame === undefined ? '' : integer(frame.dataEnd - frame.dataStart),
      frame === undefined ? NAMES[kind] : fieldsOf(frame),
    );
    const dump = () => hexDump(head, offset, this.#width < 80 ? 8 : 16).map((each) => INDENT + dim(each));
    if (kind === 'damaged') {
      const what = frame === undefined ? 'no frame' : 'the frame is not valid';
      return [red(line), ...[...below, ...this.#wrapped(`${what}: ${reason}`)].map(red), ...dump()];
    }
    const padded = this.#padded(line);
    const hex = this.#hexFor(head, size, this.#width - visibleLength(padded) - INDENT.length);
    const whole = hex === undefined || hex === '' ? line.trimEnd() : padded + INDENT + dim(hex);
    const lines = [kind === 'unproven' ? yellow(whole) : whole, ...below];
    return hex === undefined ? [...lines, ...dump()] : lines;
  }

  #row(mark: string, offset: string, size: string, lsn: string, data: string, fields: string) {
    const numbers = [
      mark,
      offset.padStart(this.#offsetWidth),
      size.padStart(this.#sizeWidth),
      lsn.padStart(this.#lsnWidth),
      data.padStart(Math.max('data'.length, this.#sizeWidth)),
    ].join(' ');
    const line = `${numbers}${INDENT}${fields}`;
    if (visibleLength(line) <= this.#width) return { line, below: [] };
    return { line: numbers, below: this.#wrapped(fields) };
  }

  #padded(line: string): string {
    const numbers = 1 + this.#offsetWidth + 2 * this.#sizeWidth + this.#lsnWidth + 4;
    return line.padEnd(numbers + INDENT.length + (this.#width < WIDE ? 20 : 34));
  }

  /** As many bytes as fit into `room`; `undefined` if the requested number does not fit. */
  #hexFor(head: Uint8Array, size: number, room: number): string | undefined {
    const most = Math.max(0, Math.floor((room + 1) / 3));
    const fitting = size > Math.min(most, head.length) ? Math.max(0, Math.floor((room - 1) / 3)) : most;
    if (this.#hexBytes !== undefined && fitting < head.length) return undefined;
    const shown = head.subarray(0, fitting);
    if (shown.length === 0) return '';
    const hex = [...shown].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    return shown.length < size ? `${hex} …` : hex;
  }

  #wrapped(text: string): string[] {
    return wrap(text, this.#width - 2 * INDENT.length).map((each) => INDENT + INDENT + each);
  }
}

const NAMES: Readonly<Record<Piece['kind'], string>> = {
  valid: '',
  damaged: 'damaged',
  unproven: '',
  free: 'free: zeros to the end',
  header: "header of wal-go's later format",
};

function fieldsOf(frame: Frame): string {
  const { syncedLsn, batchRemaining, timeMs, skipped, segment, block, unknownCritical } = frame;
  const fields: string[] = [];
  if (block !== undefined)
    fields.push(
      `${CODEC_NAMES[block.codec]} block: ${lsnRange(frame.lsn, frame.lastLsn)}, ${integer(block.rawBytes)} bytes`,
    );
  if (segment !== undefined) fields.push(`segment ${segment.number}${segment.recycled ? ' recycled' : ''}`);
  if (syncedLsn >= 0) fields.push(`synced ${integer(syncedLsn)}`);
  if (batchRemaining > 0) fields.push(`batch: ${integer(batchRemaining)} to come`);
  if (timeMs > 0) fields.push(preciseTime(timeMs));
  if (skipped > 0) fields.push(`skipped ${integer(skipped)}`);
  if (unknownCritical > 0) fields.push(`field ${unknownCritical} is not known`);
  return fields.join(', ');
}
