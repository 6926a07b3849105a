import {
  BATCH,
  BATCH_MARKER_BYTES,
  PACKED_BYTES,
  PACKED_PAYLOAD_MAX,
  RECORD_HEADER_BYTES,
  recordBytes,
} from '../ring/layout.js';
import { type EntryData, viewBytes } from './entry-data.js';

/** Entries of up to [PACKED_PAYLOAD_MAX] bytes for one message beside the ring, laid out as they would be in it. */
export class PackedRecords {
  readonly #bytes = Buffer.alloc(PACKED_BYTES);
  readonly #words = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, PACKED_BYTES / 4);
  #end = 0;
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }

  hasRoom(length: number): boolean {
    return this.#end + recordBytes(length) <= PACKED_BYTES;
  }

  /** `length`: bytes of `data`, in UTF-8 where it is text. There is room for them. */
  add(data: EntryData, length: number): void {
    const at = this.#end;
    this.#words[at >> 2] = length;
    if (typeof data === 'string') this.#bytes.write(data, at + RECORD_HEADER_BYTES, length, 'utf8');
    else this.#bytes.set(viewBytes(data), at + RECORD_HEADER_BYTES);
    this.#end = at + recordBytes(length);
    this.#entries += 1;
  }

  /** The records, in memory of their own. */
  take(): Uint8Array<ArrayBuffer> {
    const records = new Uint8Array(this.#bytes.subarray(0, this.#end));
    this.clear();
    return records;
  }

  clear(): void {
    this.#end = 0;
    this.#entries = 0;
  }
}

/** A batch as one run of records; `undefined` where a part is too long for that. */
export function packBatch(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | undefined {
  if (parts.some((part) => part.length > PACKED_PAYLOAD_MAX)) return undefined;
  const bytes = parts.reduce((sum, part) => sum + recordBytes(part.length), BATCH_MARKER_BYTES);
  const records = new Uint8Array(bytes);
  const words = new Int32Array(records.buffer);
  words[0] = BATCH;
  words[1] = parts.length;
  let at = BATCH_MARKER_BYTES;
  for (const part of parts) {
    words[at >> 2] = part.length;
    records.set(part, at + RECORD_HEADER_BYTES);
    at += recordBytes(part.length);
  }
  return records;
}
