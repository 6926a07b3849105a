import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { Wal, type WalError } from '#ringwal';
import { fill, makeLog, openLog, range, segmentNames, snapshot, temporaryLog, walError } from '../support.js';

/** A closed log of 12 entries, three in each of its segments. */
async function fourSegments(t: Parameters<typeof temporaryLog>[0]): Promise<string> {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    { maxFileSize: 4096 },
  );
  assert.deepEqual(segmentNames(directory), ['wal-0', 'wal-1', 'wal-2', 'wal-3']);
  return directory;
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] ^= 0x10;
  writeFileSync(path, bytes);
}

/** Whether the directory has a lock file or, as one that was copied or that another program wrote, none. */
async function refusesUntouched(directory: string, refusal: (error: unknown) => true): Promise<void> {
  for (const isLockThere of [true, false]) {
    if (!isLockThere) rmSync(join(directory, 'ringwal.lock'), { force: true });
    const before = snapshot(directory);
    await assert.rejects(Wal.open(directory), refusal);
    await assert.rejects(Wal.open(directory, { readOnly: true }), refusal);
    assert.deepEqual(snapshot(directory), before);
  }
}

test('a damaged acknowledged entry refuses with path, offset and LSN, and nothing is changed', async (t) => {
  const directory = await fourSegments(t);
  const path = join(directory, 'wal-3');
  const wal = await openLog(t, directory);
  const { firstLsn } = wal.segments()[3] ?? assert.fail();
  await wal.close();
  assert.equal(firstLsn, 10);
  const frame = readFileSync(path).readInt32LE(0) + 4;
  flip(path, frame + 600);
  await refusesUntouched(directory, walError('ERR_WAL_CORRUPT', { path, offset: frame, lsn: 11 }));
  const report = await Wal.verify(directory);
  assert.deepEqual([report.verdict, report.row, report.lastLsn, report.watermark], ['corrupt', 2, 10, 12]);
  assert.deepEqual([report.trouble?.path, report.trouble?.offset, report.trouble?.lsn], [path, frame, 11]);
});

test('every single flipped bit in the last segment of a closed log is refused', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'bc', '']);
  const path = join(directory, 'wal-0');
  const intact = readFileSync(path);
  for (let offset = 0; offset < intact.length; offset += 3) {
    flip(path, offset);
    await assert.rejects(
      Wal.open(directory, { readOnly: true }),
      walError('ERR_WAL_CORRUPT'),
      `byte ${offset}`,
    );
    writeFileSync(path, intact);
  }
});

test('a truncated log that was closed is corrupt, not torn', async (t) => {
  const directory = await fourSegments(t);
  const path = join(directory, 'wal-3');
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  await refusesUntouched(directory, walError('ERR_WAL_CORRUPT', { path, lsn: 12 }));
  rmSync(path);
  await refusesUntouched(directory, walError('ERR_WAL_CORRUPT', { lsn: 10 }));
});

test('a missing segment is refused', async (t) => {
  const directory = await fourSegments(t);
  rmSync(join(directory, 'wal-1'));
  await refusesUntouched(directory, walError('ERR_WAL_CORRUPT', { path: join(directory, 'wal-1') }));
});

test('whatever reads a log with a missing segment names that one, and no other', async (t) => {
  for (const missing of [1, 2]) {
    const directory = await fourSegments(t);
    const path = join(directory, `wal-${missing}`);
    rmSync(path);
    const { trouble, lastLsn, lost } = await Wal.verify(directory);
    const lsn = missing * 3 + 1;
    assert.deepEqual(trouble, { path, offset: 0, lsn, reason: 'its segment is missing' });
    assert.deepEqual([lastLsn, lost], [lsn - 1, [{ first: lsn, last: lsn + 2 }]]);
    for (const open of [() => Wal.open(directory), () => Wal.open(directory, { readOnly: true })]) {
      const error: WalError = await open().then(
        () => assert.fail('it opens'),
        (reason) => reason,
      );
      assert.deepEqual([error.code, error.path, error.offset], ['ERR_WAL_CORRUPT', path, 0]);
      assert.match(error.message, new RegExp(`entry in "[^"]*/wal-${missing}": its segment is missing\\.`));
      assert.deepEqual(error.message.match(/wal-\d/g), [`wal-${missing}`]);
    }
  }
});

test('segments in each other’s place are refused', async (t) => {
  const directory = await fourSegments(t);
  renameSync(join(directory, 'wal-1'), join(directory, 'x'));
  renameSync(join(directory, 'wal-2'), join(directory, 'wal-1'));
  renameSync(join(directory, 'x'), join(directory, 'wal-2'));
  await refusesUntouched(directory, walError('ERR_WAL_CORRUPT'));
});

test('verify finds damage in segments that open does not read', async (t) => {
  const directory = await fourSegments(t);
  const intact = await Wal.verify(directory);
  assert.deepEqual(
    [intact.row, intact.verdict, intact.firstLsn, intact.lastLsn, intact.watermark, intact.trouble],
    [5, 'clean', 1, 12, 12, undefined],
  );
  assert.deepEqual(
    intact.segments.map(({ number, frames, firstLsn, lastLsn }) => [number, frames, firstLsn, lastLsn]),
    [
      [0, 3, 1, 3],
      [1, 3, 4, 6],
      [2, 3, 7, 9],
      [3, 3, 10, 12],
    ],
  );
  for (const { bytes, validBytes, path } of intact.segments) {
    assert.deepEqual([bytes, validBytes], [readFileSync(path).length, readFileSync(path).length]);
  }
  for (const { verdict, badOffset } of intact.segments)
    assert.deepEqual([verdict, badOffset], ['clean', undefined]);
  assert.deepEqual([intact.lost, intact.inDoubt], [[], []]);
  const path = join(directory, 'wal-1');
  flip(path, 2000);
  const before = snapshot(directory);
  const report = await Wal.verify(directory);
  assert.deepEqual(
    [report.verdict, report.lastLsn, report.trouble?.path, report.trouble?.lsn],
    ['corrupt', 4, path, 5],
  );
  assert.deepEqual(
    report.segments.map(({ verdict, frames, badOffset }) => [verdict, frames, badOffset]),
    [
      ['clean', 3, undefined],
      ['corrupt', 1, report.trouble?.offset],
      ['clean', 3, undefined],
      ['clean', 3, undefined],
    ],
  );
  assert.match(report.segments[1]?.reason ?? '', /checksum/);
  // 6 stands in the middle of a group, unless the writer was fast: then it can be found.
  const dry = { dryRun: true } as const;
  const lost = report.lost.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const inDoubt = report.inDoubt.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  assert.equal(report.lost[0]?.first, 5);
  assert.equal(lost, (await Wal.repair(directory, { mode: 'salvage', ...dry })).lostLsns);
  assert.equal(lost + inDoubt, (await Wal.repair(directory, { mode: 'truncate', ...dry })).lostLsns);
  assert.deepEqual(snapshot(directory), before);
  const wal = await openLog(t, directory);
  await assert.rejects(
    async () => {
      for await (const _ of wal.entries()) {
        // Up to the damage.
      }
    },
    walError('ERR_WAL_CORRUPT', { path, lsn: 5 }),
  );
});

test('verify reports a torn log, an empty one, foreign files and a bad state file', async (t) => {
  const empty = temporaryLog(t);
  mkdirSync(empty);
  const nothing = await Wal.verify(empty);
  assert.deepEqual([nothing.row, nothing.verdict, nothing.lastLsn, nothing.segments], [5, 'clean', 0, []]);
  await assert.rejects(Wal.verify(join(empty, 'missing')), walError('ERR_WAL_IO', { cause: 'ENOENT' }));

  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000 });
  await wal.append('a');
  await wal.append('b');
  const copy = temporaryLog(t);
  cpSync(directory, copy, { recursive: true });
  writeFileSync(join(copy, 'wal-0'), readFileSync(join(copy, 'wal-0')).subarray(0, -1));
  writeFileSync(join(copy, 'mine'), 'x');
  writeFileSync(join(copy, 'ringwal.state'), 'x');
  const before = snapshot(copy);
  const report = await Wal.verify(copy);
  assert.deepEqual([report.row, report.verdict, report.lastLsn, report.trouble?.lsn], [6, 'torn', 1, 2]);
  assert.deepEqual(report.foreignFiles, ['mine']);
  assert.ok((report.stateFault ?? '').length > 0);
  assert.deepEqual([report.lost, report.inDoubt], [[], [{ first: 2, last: 2 }]]);
  assert.deepEqual(
    [report.segments[0]?.verdict, report.segments[0]?.badOffset],
    ['torn', report.trouble?.offset],
  );
  assert.deepEqual(snapshot(copy), before);
});

test('verify of a log that is being written finds nothing wrong', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { maxFileSize: 16 * 1024 });
  let isDone = false;
  const looks = (async () => {
    for (let look = 0; look < 10; look++) {
      const { verdict } = await Wal.verify(directory);
      assert.ok(verdict === 'clean' || verdict === 'torn', verdict);
    }
    isDone = true;
  })();
  while (!isDone) {
    for (let i = 0; i < 20; i++) wal.tryAppend(fill(500, i));
    await wal.append('x', { durable: true });
  }
  await looks;
});

/**
 * The bytes of a frame that a later version might write: with critical field 16, in a log whose id is `logId`. With a
 * `syncedLsn` it is a head.
 */
function laterFrame(
  logId: Uint8Array,
  segment: number,
  offset: number,
  lsn: number,
  syncedLsn?: number,
): Buffer {
  const lsnField = Buffer.from([0x08, lsn]);
  const field4 = Buffer.from(syncedLsn === undefined ? [] : [0x20, syncedLsn]);
  const field16 = Buffer.from([0x82, 0x01, 0x02, 0xaa, 0xbb]);
  const crc = crc32(Buffer.from([lsn]));
  const varints: number[] = [0x18];
  for (let rest = crc; ; rest = Math.floor(rest / 128)) {
    varints.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) break;
  }
  const before = Buffer.concat([lsnField, Buffer.from(varints), field4, field16]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(before.length + 5);
  const place = Buffer.alloc(16);
  place.writeBigUInt64LE(BigInt(segment), 0);
  place.writeBigUInt64LE(BigInt(offset), 8);
  const frameCrc = Buffer.alloc(5);
  frameCrc[0] = 0x7d;
  frameCrc.writeUInt32LE(crc32(Buffer.concat([logId, place, size, before])), 1);
  return Buffer.concat([size, before, frameCrc]);
}

test('a frame with a critical field that is not known refuses, and nothing is cut', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000 });
  await wal.append('a');
  const copy = temporaryLog(t);
  cpSync(directory, copy, { recursive: true });
  const path = join(copy, 'wal-0');
  const bytes = readFileSync(path);
  // Field 8 in the first frame: tag, length, then log_id's tag and its 8 bytes.
  const at = bytes.indexOf(0x42, 8);
  assert.equal(bytes[at + 2], 0x09);
  const frame = laterFrame(bytes.subarray(at + 3, at + 11), 0, bytes.length, 2);
  for (const rest of [Buffer.alloc(0), Buffer.from('torn')]) {
    writeFileSync(path, Buffer.concat([bytes, frame, rest]));
    const refusal = walError('ERR_WAL_UNSUPPORTED', { path, offset: bytes.length });
    await refusesUntouched(copy, refusal);
    assert.equal((await Wal.verify(copy)).verdict, 'unsupported');
    await assert.rejects(async () => {
      for await (const { lsn } of Wal.readSegment(path)) assert.equal(lsn, 1);
    }, refusal);
  }
});

test('a head with a critical field that is not known is not passed over behind damage, in silence or otherwise', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000 });
  await wal.append('a');
  const copy = temporaryLog(t);
  cpSync(directory, copy, { recursive: true });
  const path = join(copy, 'wal-0');
  const bytes = readFileSync(path);
  const at = bytes.indexOf(0x42, 8);
  const damage = Buffer.from('what was entry 2');
  const offset = bytes.length + damage.length;
  const frame = laterFrame(bytes.subarray(at + 3, at + 11), 0, offset, 3, 0);
  writeFileSync(path, Buffer.concat([bytes, damage, frame]));
  const refusal = walError('ERR_WAL_UNSUPPORTED', { path, offset });
  await refusesUntouched(copy, refusal);
  const report = await Wal.verify(copy);
  assert.deepEqual([report.verdict, report.trouble?.offset, report.trouble?.lsn], ['unsupported', offset, 3]);
  for (const mode of ['truncate', 'salvage'] as const)
    await assert.rejects(Wal.repair(copy, { mode }), walError('ERR_WAL_UNSUPPORTED', { path }));
  for (const recovery of ['point-in-time', 'skip-corrupt'] as const)
    await assert.rejects(Wal.open(copy, { recovery }), refusal);
  const found: number[] = [];
  await assert.rejects(
    async () => {
      for await (const { lsn } of Wal.readSegment(path)) found.push(lsn);
    },
    walError('ERR_WAL_UNSUPPORTED', { path, offset, lsn: 3 }),
  );
  assert.deepEqual(found, [1]);
});
