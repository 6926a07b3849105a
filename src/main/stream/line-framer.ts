import { Buffer } from 'node:buffer';
import type { EntryData } from '../append/entry-data.js';
import type { LineRules } from '../options/log-stream-options.js';

/** The framer drops a buffer that grew beyond this size for one long line. */
const KEPT_BYTES_MAX = 64 * 1024;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = Buffer.alloc(0);

export interface LineReceiver {
  /** A line without its newline. The receiver copies bytes before it returns. */
  onLine(line: EntryData): void;
  /** A line was longer than `bytesMax`; the framer has kept nothing of it. */
  onTooLong(): void;
}

/**
 * Joins pieces to lines. Pieces are text, bytes, or a mix of both. They may end anywhere, even within a character.
 * The framer holds the unfinished line, up to `bytesMax` bytes (for text: UTF-16 units).
 */
export class LineFramer {
  readonly #receiver: LineReceiver;
  readonly #stripsCarriageReturn: boolean;
  readonly #skipsEmptyLines: boolean;
  /** The limit of a line, plus one if its last byte may be a carriage return that is stripped. */
  readonly #heldMax: number;
  /** The unfinished line: the first `#length` bytes of `#bytes`, then `#text`, which may end within a character. */
  #bytes = NOTHING;
  #length = 0;
  #text = '';
  /** The unfinished line is longer than `#heldMax`. */
  #isTooLong = false;

  constructor(bytesMax: number, rules: LineRules, receiver: LineReceiver) {
    this.#stripsCarriageReturn = rules.stripCarriageReturn;
    this.#skipsEmptyLines = rules.emptyLines === 'skip';
    this.#heldMax = this.#stripsCarriageReturn ? bytesMax + 1 : bytesMax;
    this.#receiver = receiver;
  }

  /** There is no unfinished line. */
  get isBetweenLines(): boolean {
    return this.#text === '' && this.#length === 0 && !this.#isTooLong;
  }

  /** Bytes held of the unfinished line. */
  get heldBytes(): number {
    return this.#length + Buffer.byteLength(this.#text);
  }

  write(piece: EntryData): void {
    let from = 0;
    if (typeof piece === 'string') {
      for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
        this.#endLine(piece.slice(from, end), true);
        from = end + 1;
      }
      if (from < piece.length) this.#keep(piece.slice(from));
      return;
    }
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
      this.#endLine(piece.subarray(from, end), true);
      from = end + 1;
    }
    if (from < piece.length) this.#keep(piece.subarray(from));
  }

  /** Ends the input: an unfinished line ends here. A carriage return at its end is data. */
  end(): void {
    if (!this.isBetweenLines) this.#endLine('', false);
  }

  #endLine(rest: EntryData, hasNewline: boolean): void {
    if (this.isBetweenLines) {
      this.#deliver(rest, hasNewline);
      return;
    }
    this.#keep(rest);
    const isTooLong = this.#isTooLong;
    if (this.#length > 0) this.#keepTextAsBytes();
    const line = this.#length === 0 ? this.#text : this.#bytes.subarray(0, this.#length);
    this.#forget();
    if (isTooLong) this.#receiver.onTooLong();
    else this.#deliver(line, hasNewline);
  }

  #deliver(whole: EntryData, hasNewline: boolean): void {
    const line = this.#stripsCarriageReturn && hasNewline ? withoutCarriageReturn(whole) : whole;
    if (this.#skipsEmptyLines && line.length === 0) return;
    this.#receiver.onLine(line);
  }

  #keep(piece: EntryData): void {
    if (this.#isTooLong) return;
    if (typeof piece === 'string') {
      this.#text += piece;
    } else {
      this.#keepTextAsBytes();
      this.#keepBytes(piece);
    }
    if (this.#text.length + this.#length <= this.#heldMax) return;
    this.#forget();
    this.#isTooLong = true;
  }

  #keepTextAsBytes(): void {
    if (this.#text !== '') this.#keepBytes(Buffer.from(this.#text));
    this.#text = '';
  }

  #keepBytes(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  #forget(): void {
    this.#text = '';
    this.#length = 0;
    this.#isTooLong = false;
    // A line may still be a view of the buffer, so only the reference is dropped.
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = NOTHING;
  }
}

function withoutCarriageReturn(line: EntryData): EntryData {
  const last = line.length - 1;
  if (typeof line === 'string') return line.charCodeAt(last) === CARRIAGE_RETURN ? line.slice(0, last) : line;
  return line[last] === CARRIAGE_RETURN ? line.subarray(0, last) : line;
}
