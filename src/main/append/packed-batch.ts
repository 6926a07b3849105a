import {
  BATCH,
  BATCH_MARKER_BYTES,
  PACKED_PAYLOAD_MAX,
  RECORD_HEADER_BYTES,
  recordBytes,
} from '../../ring/layout.js';
import { lengthOf } from '../../ring/view-fields.js';

/** A batch as one run of records, as it would lie in the ring; `undefined` if a part is too long for that. */
export function packBatch(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | undefined {
  if (parts.some((part) => lengthOf(part) > PACKED_PAYLOAD_MAX)) return undefined;
  const bytes = parts.reduce((sum, part) => sum + recordBytes(lengthOf(part)), BATCH_MARKER_BYTES);
  const records = new Uint8Array(bytes);
  const words = new Int32Array(records.buffer);
  words[0] = BATCH;
  words[1] = parts.length;
  let at = BATCH_MARKER_BYTES;
  for (const part of parts) {
    words[at >> 2] = lengthOf(part);
    records.set(part, at + RECORD_HEADER_BYTES);
    at += recordBytes(lengthOf(part));
  }
  return records;
}
