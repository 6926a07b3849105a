/**
 * An entry of Raft as bytes. Its index is the LSN.
 *
 *   byte  bytes  name
 *      0      8  term   big endian
 *      8      1  type   a command, a change of the configuration, …: the library's own number
 *      9         data
 */
const HEAD_BYTES = 9;

export function encodeEntry({ term, type = 0, data = '' }) {
  const content = Buffer.from(data);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + content.length);
  bytes.writeBigUInt64BE(BigInt(term), 0);
  bytes.writeUInt8(type, 8);
  content.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** `data` is a view of `bytes`. */
export function decodeEntry(bytes) {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    term: Number(view.readBigUInt64BE(0)),
    type: view.readUInt8(8),
    data: view.subarray(HEAD_BYTES),
  };
}
