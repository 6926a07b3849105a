import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { decodeState, encodeState, type LogState } from '../../../src/format/state-file.js';
import {
  fill,
  lsns,
  makeLog,
  openLog,
  range,
  segmentNames,
  snapshot,
  temporaryLog,
  walError,
} from '../support.js';

/** A closed log of 12 entries, three in each of its segments, with a flipped byte in the middle of entry `lsn`. */
async function damagedLog(t: TestContext, lsn = 5): Promise<string> {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    { maxFileSize: 4096 },
  );
  const path = join(directory, `wal-${Math.floor((lsn - 1) / 3)}`);
  const bytes = readFileSync(path);
  let offset = 0;
  for (let skip = (lsn - 1) % 3; skip > 0; skip--) offset += bytes.readInt32LE(offset) + 4;
  bytes[offset + 600] ^= 0x10;
  writeFileSync(path, bytes);
  return directory;
}

for (const [mode, kept, lost] of [
  ['truncate', range(1, 4), 8],
  ['salvage', [1, 2, 3, 4, ...range(7, 12)], 2],
] as const) {
  test(`repair ${mode} keeps what its dry run said, and the log opens, takes work and is clean`, async (t) => {
    // All entries of a segment are of one group, unless the writer was fast: then more of them is left.
    const directory = await damagedLog(t);
    const before = snapshot(directory);
    const dry = await Wal.repair(directory, { mode, dryRun: true });
    assert.deepEqual(snapshot(directory), before);
    assert.deepEqual([dry.mode, dry.dryRun, dry.verdict, dry.sideFiles], [mode, true, 'corrupt', []]);
    const report = await Wal.repair(directory, { mode });
    assert.deepEqual({ ...report, dryRun: true, sideFiles: [] }, dry);
    assert.equal(report.firstLsn, 1);
    for (const path of report.sideFiles) assert.ok(existsSync(path), path);
    assert.ok(report.sideFiles.length > 0);

    const after = snapshot(directory);
    const again = await Wal.repair(directory, { mode });
    assert.notEqual(again.verdict, 'corrupt');
    assert.deepEqual(again.sideFiles, []);
    assert.deepEqual(snapshot(directory), after);

    const wal = await openLog(t, directory);
    const found = await lsns(wal.entries());
    assert.deepEqual(
      found.filter((lsn) => lsn !== 6),
      kept,
    );
    assert.equal(report.lostLsns, found.includes(6) ? lost - 1 : lost);
    for await (const { lsn, data } of wal.entries()) assert.ok(fill(1200, lsn).equals(data), `entry ${lsn}`);
    assert.equal(await wal.append('new', { durable: true }), (found.at(-1) ?? 0) + 1);
    await wal.close();
    const verified = await Wal.verify(directory);
    assert.deepEqual([verified.verdict, verified.lastLsn], ['clean', (found.at(-1) ?? 0) + 1]);
  });
}

for (const [recovery, expected] of [
  ['point-in-time', range(1, 3)],
  ['skip-corrupt', [...range(1, 3), ...range(7, 12)]],
] as const) {
  test(`open with recovery: '${recovery}' keeps what can be kept, and says what it did`, async (t) => {
    const directory = await damagedLog(t);
    rmSync(join(directory, 'wal-1'));
    cpSync(join(directory, 'wal-0'), join(directory, 'copy'));
    await assert.rejects(Wal.open(directory), walError('ERR_WAL_CORRUPT'));
    const wal = await openLog(t, directory, { recovery });
    assert.deepEqual(await lsns(wal.entries()), expected);
    assert.equal(wal.recovery.repair?.lastLsn, expected.at(-1));
    assert.equal(wal.recovery.repair?.verdict, 'corrupt');
    assert.deepEqual(wal.recovery.foreignFiles, ['copy']);
    const lsn = await wal.append('new', { durable: true });
    assert.equal(lsn, (expected.at(-1) ?? 0) + 1);
    await wal.close();
    const reopened = await openLog(t, directory);
    assert.equal(reopened.recovery.verdict, 'clean');
    assert.equal(reopened.recovery.repair, undefined);
    assert.deepEqual(await lsns(reopened.entries()), [...expected, lsn]);
    await reopened.close();
    assert.equal((await Wal.verify(directory)).verdict, 'clean');
  });
}

test('every read of a salvaged log knows the entries that are gone', async (t) => {
  const directory = await damagedLog(t);
  rmSync(join(directory, 'wal-2'));
  rmSync(join(directory, 'wal-1'));
  await Wal.repair(directory, { mode: 'salvage' });
  const wal = await openLog(t, directory);
  assert.equal(await wal.get(5), undefined);
  assert.equal((await wal.get(10))?.lsn, 10);
  assert.deepEqual(await lsns(wal.entries({ from: 2, to: 7 })), [2, 3]);
  assert.deepEqual(await lsns(wal.entries({ from: 5, to: 11 })), [10, 11]);
  await wal.truncateAfter(7);
  assert.equal(wal.lastLsn, 3);
  assert.equal(await wal.append('again', { durable: true }), 4);
  await wal.close();
  assert.equal((await Wal.verify(directory)).verdict, 'clean');
});

test('repair refuses a log that is open, what is no log directory, and wrong options', async (t) => {
  const directory = await damagedLog(t, 11);
  const other = temporaryLog(t);
  await assert.rejects(Wal.repair(other, { mode: 'truncate' }), walError('ERR_WAL_IO', { cause: 'ENOENT' }));
  for (const options of [{ mode: 'delete' }, { mode: 'truncate', dryRun: 1 }, null]) {
    await assert.rejects(Wal.repair(directory, options as never), walError('ERR_WAL_OPTION'));
  }
  const wal = await openLog(t, directory, { recovery: 'point-in-time' });
  const before = snapshot(directory);
  await assert.rejects(Wal.repair(directory, { mode: 'truncate' }), walError('ERR_WAL_LOCKED'));
  assert.deepEqual(snapshot(directory), before);
  // A dry run only looks.
  assert.equal((await Wal.repair(directory, { mode: 'truncate', dryRun: true })).dryRun, true);
  await wal.close();
});

test("repair leaves wal-go's later format untouched", async (t) => {
  const directory = temporaryLog(t);
  mkdirSync(directory);
  writeFileSync(join(directory, 'wal-0'), Buffer.from('57414c47010010000100000000000000', 'hex'));
  const before = snapshot(directory);
  for (const dryRun of [true, false]) {
    for (const mode of ['truncate', 'salvage'] as const) {
      await assert.rejects(Wal.repair(directory, { mode, dryRun }), walError('ERR_WAL_UNSUPPORTED'));
    }
  }
  for (const recovery of ['strict', 'point-in-time', 'skip-corrupt'] as const) {
    await assert.rejects(Wal.open(directory, { recovery }), walError('ERR_WAL_UNSUPPORTED'));
  }
  assert.deepEqual(snapshot(directory), before);
});

test('readers see a log whose truncateAfter was interrupted as cut, until the next open has finished it', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((seed) => fill(1200, seed)),
    { maxFileSize: 4096 },
  );
  // What a crash leaves right after the intent was recorded: entry 5 is the last to stay, the second in its segment.
  const bytes = readFileSync(join(directory, 'wal-1'));
  const first = bytes.readInt32LE(0) + 4;
  const offset = first + bytes.readInt32LE(first) + 4;
  const statePath = join(directory, 'ringwal.state');
  const state = decodeState(readFileSync(statePath)) as LogState;
  const pendingCut = { segment: 1, offset, lsn: 5 };
  writeFileSync(statePath, encodeState({ ...state, watermark: 5, pendingCut }));
  const before = snapshot(directory);

  const verified = await Wal.verify(directory);
  assert.deepEqual([verified.verdict, verified.lastLsn], ['clean', 5]);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual([reader.lastLsn, reader.durableLsn], [5, 5]);
  assert.deepEqual(await lsns(reader.entries()), range(1, 5));
  assert.equal(await reader.get(6), undefined);
  assert.deepEqual(
    reader.segments().map(({ number, lastLsn }) => [number, lastLsn]),
    [
      [0, 3],
      [1, 5],
    ],
  );
  for (const mode of ['truncate', 'salvage'] as const) {
    const report = await Wal.repair(directory, { mode, dryRun: true });
    assert.deepEqual([report.verdict, report.lastLsn], ['clean', 5]);
  }
  assert.deepEqual(snapshot(directory), before);

  const wal = await openLog(t, directory);
  assert.deepEqual(await lsns(wal.entries()), range(1, 5));
  assert.deepEqual(segmentNames(directory), ['wal-0', 'wal-1']);
  assert.equal(await wal.append('six', { durable: true }), 6);
  assert.deepEqual(await lsns(reader.entries()), range(1, 6));
  await reader.close();
  await wal.close();
});

test('side files lie beside the log under names that it knows, and hold what was cut', async (t) => {
  const directory = await damagedLog(t, 11);
  const damaged = readFileSync(join(directory, 'wal-3'));
  const { sideFiles } = await Wal.repair(directory, { mode: 'truncate' });
  assert.equal(sideFiles.length, 1);
  assert.match(basename(sideFiles[0] ?? ''), /^ringwal\.cut-3-11-[0-9a-f]+$/);
  const kept = readFileSync(join(directory, 'wal-3'));
  assert.ok(Buffer.concat([kept, readFileSync(sideFiles[0] ?? '')]).equals(damaged));
  const wal = await openLog(t, directory);
  assert.deepEqual(wal.recovery.foreignFiles, []);
  await wal.close();
});

test('a directory that shrank while nobody looked is repaired to what is left of it', async (t) => {
  const directory = await damagedLog(t);
  truncateSync(join(directory, 'wal-1'), 0);
  truncateSync(join(directory, 'wal-3'), 100);
  const report = await Wal.repair(directory, { mode: 'salvage' });
  assert.deepEqual([report.firstLsn, report.lastLsn, report.lostLsns], [1, 9, 6]);
  const wal = await openLog(t, directory);
  assert.deepEqual(await lsns(wal.entries()), [1, 2, 3, 7, 8, 9]);
  await wal.close();
});
