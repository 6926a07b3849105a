import { crc32 } from 'node:zlib';

/** A file of wal-go's later format. Its header has the LSN before its first entry. */
export function walgFile(firstLsn: number, entries: readonly string[], version = 1): Buffer {
  const header = Buffer.from('57414c47010010000000000000000000', 'hex');
  header[4] = version;
  header.writeBigUInt64LE(BigInt(firstLsn - 1), 8);
  const frames = entries.map((entry, at) => {
    const lsn = Buffer.alloc(8);
    lsn.writeBigUInt64LE(BigInt(firstLsn + at));
    const data = Buffer.from(entry);
    const crc = crc32(data, crc32(lsn));
    const body = [
      8,
      ...varint(firstLsn + at),
      ...(data.length > 0 ? [18, ...varint(data.length), ...data] : []),
      24,
      ...varint(crc),
    ];
    const size = Buffer.alloc(4);
    size.writeUInt32LE(body.length);
    return Buffer.concat([size, Buffer.from(body)]);
  });
  return Buffer.concat([header, ...frames]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}
