import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { createFrame, type FrameFault } from '../../src/format/frame.js';
import { isWalg, parseWalgFrame, parseWalgHeader, WALG_HEADER_BYTES } from '../../src/format/walg.js';
import { concat, entries, flip, hex, judge, LogBuilder } from './log-builder.js';

const HEADER = hex('57414c47 0100 1000 0900000000000000');

/** A frame as wal-go's later version writes it. */
function walgFrame(lsn: number, data: Uint8Array): Uint8Array {
  const lsnBytes = new DataView(new ArrayBuffer(8));
  lsnBytes.setBigUint64(0, BigInt(lsn), true);
  const checksum = new DataView(new ArrayBuffer(4));
  checksum.setUint32(0, crc32(data, crc32(new Uint8Array(lsnBytes.buffer))), true);
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
  const entry = [
    0x08,
    ...varint(lsn),
    ...(data.length > 0 ? [0x12, ...varint(data.length), ...data] : []),
    0x18,
    ...varint(checksum.getUint32(0, true)),
  ];
  return Uint8Array.of(entry.length, 0, 0, 0, ...entry);
}

const FILE = concat([
  HEADER,
  walgFrame(10, hex('')),
  walgFrame(11, hex('aabbcc')),
  walgFrame(300, hex('01')),
]);

function readAll(bytes: Uint8Array): { entries: [number, string][]; fault: FrameFault | undefined } {
  const frame = createFrame();
  const read: [number, string][] = [];
  for (let at = WALG_HEADER_BYTES; at < bytes.length; at += frame.byteLength) {
    const fault = parseWalgFrame(bytes, at, bytes.length, frame);
    if (fault !== undefined) return { entries: read, fault };
    read.push([frame.lsn, Buffer.from(bytes.subarray(frame.dataStart, frame.dataEnd)).toString('hex')]);
  }
  return { entries: read, fault: undefined };
}

test("entries of wal-go's later format read back", () => {
  assert.ok(isWalg(FILE));
  assert.deepEqual(parseWalgHeader(FILE), { baseLsn: 9 });
  assert.deepEqual(readAll(FILE), {
    entries: [
      [10, ''],
      [11, 'aabbcc'],
      [300, '01'],
    ],
    fault: undefined,
  });
});

test("a damaged entry of wal-go's later format is not read", () => {
  assert.deepEqual(readAll(flip(FILE, FILE.length - 7)).fault, 'data-checksum');
  assert.deepEqual(readAll(FILE.subarray(0, -1)).fault, 'past-end');
});

test("a version of wal-go's later format that is not known is recognised and not read", () => {
  const newer = flip(FILE, 4, 0x03);
  assert.ok(isWalg(newer));
  assert.equal(parseWalgHeader(newer), undefined);
  assert.equal(parseWalgHeader(FILE.subarray(0, 15)), undefined);
});

test("no file of wal-go's first format and none of ours is taken for one of the later", () => {
  assert.ok(!isWalg(new Uint8Array(0)));
  assert.ok(!isWalg(hex('57414c')));
  assert.ok(!isWalg(new LogBuilder().group(entries(1), 0).build()[0]));
});

test("a file of wal-go's later format, anywhere, makes the log unsupported", () => {
  const segments = new LogBuilder().group(entries(3), 0).newSegment().group(entries(3), 3).build();
  for (const at of [0, 1, 2]) {
    const mixed = segments.toSpliced(at, 0, FILE);
    const { row, verdict, trouble } = judge(mixed);
    assert.deepEqual({ row, verdict }, { row: 1, verdict: 'unsupported' });
    assert.deepEqual(trouble, { segment: at, offset: 0, lsn: 0, reason: 'walg' });
  }
});
