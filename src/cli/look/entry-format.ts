import { isUtf8 } from 'node:buffer';
import type { WalEntry } from '../../index.js';
import type { Output } from '../terminal/output.js';
import { harmless, hexDump } from '../text/text.js';

export const ENTRY_FORMATS = ['text', 'json', 'hex', 'raw', 'nul', 'length-prefixed'] as const;

/**
 *   text              the data and a newline; on a terminal control characters are shown, not sent
 *   json              one object per line: lsn, and text or, if it is not UTF-8, base64
 *   hex               the LSN, and below it the data as hexdump -C prints it
 *   raw               the data
 *   nul               the data and a zero byte
 *   length-prefixed   uint32 LE length, the data
 */
export type EntryFormat = (typeof ENTRY_FORMATS)[number];

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = Buffer.from('\n');
const NUL = Buffer.alloc(1);

export interface EntryWriterOptions {
  readonly format: EntryFormat;
  /** With text: print the LSN and a tab before the data. */
  readonly withLsn?: boolean | undefined;
}

/** Prints entries, many at a time, as fast as standard output takes them. */
export class EntryWriter {
  readonly #out: Output;
  readonly #pieces: (entry: WalEntry) => readonly Uint8Array[];
  #chunk: Uint8Array[] = [];
  #bytes = 0;

  constructor(out: Output, { format, withLsn = false }: EntryWriterOptions) {
    this.#out = out;
    this.#pieces = piecesFor(format, withLsn, out.isTerminal);
  }

  /** False = the caller must wait for [room]. */
  write(entry: WalEntry): boolean {
    for (const piece of this.#pieces(entry)) {
      this.#chunk.push(piece);
      this.#bytes += piece.length;
    }
    return this.#bytes < CHUNK_BYTES;
  }

  async flush(): Promise<void> {
    if (this.#bytes > 0) this.#out.write(Buffer.concat(this.#chunk, this.#bytes));
    this.#chunk = [];
    this.#bytes = 0;
    await this.#out.room();
  }
}

function piecesFor(
  format: EntryFormat,
  withLsn: boolean,
  isTerminal: boolean,
): (entry: WalEntry) => readonly Uint8Array[] {
  switch (format) {
    case 'text':
      return ({ lsn, data }) => {
        const text = isTerminal ? Buffer.from(harmless(Buffer.from(data).toString())) : data;
        return withLsn ? [Buffer.from(`${lsn}\t`), text, NEWLINE] : [text, NEWLINE];
      };
    case 'json':
      return (entry) => [Buffer.from(`${JSON.stringify(entryAsJson(entry))}\n`)];
    case 'hex':
      return ({ lsn, data }) => [
        Buffer.from(
          [`entry ${lsn}, ${data.length} ${data.length === 1 ? 'byte' : 'bytes'}`, ...hexDump(data), ''].join(
            '\n',
          ),
        ),
      ];
    case 'raw':
      return ({ data }) => [data];
    case 'nul':
      return ({ data }) => [data, NUL];
    case 'length-prefixed':
      return ({ data }) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(data.length);
        return [length, data];
      };
  }
}

function entryAsJson({ lsn, data }: WalEntry): object {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return isUtf8(bytes) ? { lsn, text: bytes.toString() } : { lsn, base64: bytes.toString('base64') };
}
