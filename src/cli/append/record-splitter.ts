import { CliError, ExitCode } from '../errors/exit-code.js';

export const RECORD_FORMATS = ['lines', 'nul', 'length-prefixed'] as const;

/** How a stream of bytes is divided into entries. `length-prefixed`: a uint32 LE length, then that many bytes. */
export type RecordFormat = (typeof RECORD_FORMATS)[number];

/** Rules for the line ends of a text file; only for the format `lines`. */
export interface LineRules {
  /** A carriage return right before a newline is not part of the record. */
  readonly stripCarriageReturn: boolean;
  /** An empty line is not a record. */
  readonly skipEmptyLines: boolean;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LENGTH_BYTES = 4;

/**
 * Divides a stream, which may arrive in pieces of any size, into records. It holds one incomplete record of at most
 * `bytesMax` bytes.
 */
export class RecordSplitter {
  readonly #format: RecordFormat;
  readonly #bytesMax: number;
  readonly #rules: LineRules;
  /** The pieces of the incomplete record. */
  #pieces: Uint8Array[] = [];
  #pending = 0;
  #count = 0;

  constructor(format: RecordFormat, bytesMax: number, rules: LineRules) {
    this.#format = format;
    this.#bytesMax = bytesMax;
    this.#rules = rules;
  }

  /** The records that end in `chunk`, in order. A record that lies wholly in `chunk` is a view of it. */
  push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    return this.#format === 'length-prefixed' ? this.#byLength(chunk) : this.#byDelimiter(chunk);
  }

  /** Ends the input. The last record needs no delimiter. @throws if the input ends inside a record of a known length */
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
      `The input ends inside record ${this.#count}: ${wanted} should follow. The records before it are in the log.`,
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
    // The last byte may be a carriage return that is stripped.
    const strippedMax = this.#rules.stripCarriageReturn ? 1 : 0;
    this.#checkLength(this.#pending + chunk.length - from - strippedMax);
    this.#keep(chunk.subarray(from));
  }

  /** Number of bytes to strip from the end of the current record, which ends with `rest`. */
  #strippedBytes(rest: Uint8Array): number {
    if (!this.#rules.stripCarriageReturn) return 0;
    const last = rest.length > 0 ? rest : this.#pieces.at(-1);
    return last?.at(-1) === CARRIAGE_RETURN ? 1 : 0;
  }

  /** The current record, which ends with `rest`. */
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
      // The length may be known only now, and it may be 0.
      if (this.#missing() > 0) continue;
      yield this.#take().subarray(LENGTH_BYTES);
    }
    this.#keep(rest);
  }

  /** Bytes missing until the length, and then the record, is complete. */
  #missing(): number {
    if (this.#pending < LENGTH_BYTES) return LENGTH_BYTES - this.#pending;
    this.#join();
    const length = readLength(this.#pieces[0] as Uint8Array);
    this.#checkLength(length);
    return LENGTH_BYTES + length - this.#pending;
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    // A copy, because the caller's chunk may be part of much larger pooled memory.
    this.#pieces.push(Buffer.from(piece));
    this.#pending += piece.length;
  }

  #join(): void {
    // The first piece must contain the whole length. The pieces are joined again when the record is complete.
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
      `Record ${this.#count + 1} of the input is longer than ${this.#bytesMax} bytes (--max-entry-size, at most 1GiB), or the input is not in the format "${this.#format}". The records before it are in the log.`,
    );
  }
}

function readLength(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).readUInt32LE();
}
