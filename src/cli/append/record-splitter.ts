import { CliError, ExitCode } from '../errors/exit-code.js';

export const RECORD_FORMATS = ['lines', 'nul', 'length-prefixed'] as const;

/** How a stream of bytes is divided into entries. `length-prefixed`: uint32 LE length, then so many bytes. */
export type RecordFormat = (typeof RECORD_FORMATS)[number];

/** What becomes of the line ends of a text file; of the format `lines` only. */
export interface LineRules {
  /** A carriage return right before a newline is not part of the record. */
  readonly stripCarriageReturn: boolean;
  /** A line without a byte is no record. */
  readonly skipEmptyLines: boolean;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LENGTH_BYTES = 4;

/**
 * Divides a stream, whatever the pieces are that it comes in. Holds one record that is not complete, of at most
 * `bytesMax` bytes.
 */
export class RecordSplitter {
  readonly #format: RecordFormat;
  readonly #bytesMax: number;
  readonly #rules: LineRules;
  /** What came of the record under way. */
  #pieces: Uint8Array[] = [];
  #pending = 0;
  #count = 0;

  constructor(format: RecordFormat, bytesMax: number, rules: LineRules) {
    this.#format = format;
    this.#bytesMax = bytesMax;
    this.#rules = rules;
  }

  /** The records that end in `chunk`, in order; views of it where they lie in it whole. */
  push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    return this.#format === 'length-prefixed' ? this.#byLength(chunk) : this.#byDelimiter(chunk);
  }

  /** Nothing follows. The last record needs no delimiter. @throws where one was announced that did not come */
  end(): Uint8Array | undefined {
    if (this.#pending === 0) return undefined;
    if (this.#format !== 'length-prefixed') {
      this.#checkLength(this.#pending);
      return this.#take();
    }
    const held = this.#take();
    const wanted = held.length < LENGTH_BYTES ? 'its length' : `${readLength(held)} bytes`;
    throw new CliError(
      ExitCode.usage,
      `The input ends inside record ${this.#count}: ${wanted} should follow at its end. What came before it is in the log.`,
    );
  }

  *#byDelimiter(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    const delimiter = this.#format === 'nul' ? 0 : NEWLINE;
    let from = 0;
    for (let end = chunk.indexOf(delimiter); end >= 0; end = chunk.indexOf(delimiter, from)) {
      const rest = chunk.subarray(from, end);
      from = end + 1;
      const stripped = this.#strippedBytes(rest);
      this.#checkLength(this.#pending + rest.length - stripped);
      const whole = this.#complete(rest);
      const record = stripped === 0 ? whole : whole.subarray(0, whole.length - stripped);
      if (record.length > 0 || !this.#rules.skipEmptyLines) yield record;
    }
    // The last byte may be a carriage return that goes.
    const strippedMax = this.#rules.stripCarriageReturn ? 1 : 0;
    this.#checkLength(this.#pending + chunk.length - from - strippedMax);
    this.#keep(chunk.subarray(from));
  }

  /** Bytes at the end of the record under way, which ends with `rest`, that are not part of it. */
  #strippedBytes(rest: Uint8Array): number {
    if (!this.#rules.stripCarriageReturn) return 0;
    const last = rest.length > 0 ? rest : this.#pieces.at(-1);
    return last?.at(-1) === CARRIAGE_RETURN ? 1 : 0;
  }

  /** The record under way, which ends with `rest`. */
  #complete(rest: Uint8Array): Uint8Array {
    if (this.#pending === 0) {
      this.#count += 1;
      return rest;
    }
    this.#keep(rest);
    return this.#take();
  }

  *#byLength(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let rest = chunk;
    while (rest.length > 0) {
      const missing = this.#missing();
      if (rest.length < missing) break;
      this.#keep(rest.subarray(0, missing));
      rest = rest.subarray(missing);
      // The length may be known only now, and what it announces may be nothing.
      if (this.#missing() > 0) continue;
      yield this.#take().subarray(LENGTH_BYTES);
    }
    this.#keep(rest);
  }

  /** Bytes until the record, or first its length, is complete. */
  #missing(): number {
    if (this.#pending < LENGTH_BYTES) return LENGTH_BYTES - this.#pending;
    this.#join();
    const length = readLength(this.#pieces[0] as Uint8Array);
    this.#checkLength(length);
    return LENGTH_BYTES + length - this.#pending;
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    // A copy: the caller's chunk may be pooled memory that is much larger.
    this.#pieces.push(Buffer.from(piece));
    this.#pending += piece.length;
  }

  #join(): void {
    // The length at least must be in the first piece. Pieces are joined once more when the record is complete.
    if ((this.#pieces[0]?.length ?? 0) < LENGTH_BYTES) this.#pieces = [Buffer.concat(this.#pieces)];
  }

  #take(): Uint8Array {
    const [first] = this.#pieces;
    const record = this.#pieces.length === 1 ? (first as Uint8Array) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#pending = 0;
    this.#count += 1;
    return record;
  }

  #checkLength(length: number): void {
    if (length <= this.#bytesMax) return;
    throw new CliError(
      ExitCode.usage,
      `Record ${this.#count + 1} of the input is longer than ${this.#bytesMax} bytes (--max-entry-size, at most 1GiB), or the input is not in the format "${this.#format}". What came before it is in the log.`,
    );
  }
}

function readLength(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).readUInt32LE();
}
