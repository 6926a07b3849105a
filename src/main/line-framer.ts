import type { EntryData } from './entry-data.js';

/** A buffer that grew beyond this for one long line is let go behind it. */
const KEPT_BYTES_MAX = 64 * 1024;

const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

export interface LineReceiver {
  /** A line without its newline; bytes are to be copied before the call returns. */
  onLine(line: EntryData): void;
  /** A line that was longer than `bytesMax`, of which nothing was kept. */
  onTooLong(): void;
}

/**
 * Joins what is written to lines, whatever the pieces are: text, bytes, both in turn, cut in the middle of a character.
 * Holds the line that has no newline yet, up to `bytesMax` bytes of it (of text: UTF-16 units).
 */
export class LineFramer {
  readonly #receiver: LineReceiver;
  readonly #bytesMax: number;
  /** The line under way: the first `#length` of `#bytes`, and behind them `#text`, which may end within a character. */
  #bytes = NOTHING;
  #length = 0;
  #text = '';
  /** It has passed `bytesMax`. */
  #isTooLong = false;

  constructor(bytesMax: number, receiver: LineReceiver) {
    this.#bytesMax = bytesMax;
    this.#receiver = receiver;
  }

  /** No line is under way. */
  get isBetweenLines(): boolean {
    return this.#text === '' && this.#length === 0 && !this.#isTooLong;
  }

  write(piece: EntryData): void {
    let from = 0;
    if (typeof piece === 'string') {
      for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
        this.#endLine(piece.slice(from, end));
        from = end + 1;
      }
      if (from < piece.length) this.#keep(piece.slice(from));
      return;
    }
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
      this.#endLine(piece.subarray(from, end));
      from = end + 1;
    }
    if (from < piece.length) this.#keep(piece.subarray(from));
  }

  /** Nothing follows: a line that has no newline ends here. */
  end(): void {
    if (!this.isBetweenLines) this.#endLine('');
  }

  #endLine(rest: EntryData): void {
    if (this.isBetweenLines) {
      this.#receiver.onLine(rest);
      return;
    }
    this.#keep(rest);
    const isTooLong = this.#isTooLong;
    if (this.#length > 0) this.#keepTextAsBytes();
    const line = this.#length === 0 ? this.#text : this.#bytes.subarray(0, this.#length);
    this.#forget();
    if (isTooLong) this.#receiver.onTooLong();
    else this.#receiver.onLine(line);
  }

  #keep(piece: EntryData): void {
    if (this.#isTooLong) return;
    if (typeof piece === 'string') {
      this.#text += piece;
    } else {
      this.#keepTextAsBytes();
      this.#keepBytes(piece);
    }
    if (this.#text.length + this.#length <= this.#bytesMax) return;
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
    // A line may still be a view of it: only the reference goes.
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = NOTHING;
  }
}
