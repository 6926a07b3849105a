import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { collect, lsns, openLog, range, SMALL_RING, segmentNames, temporaryLog, texts } from '../support.js';

/**
 * A log as a killed process leaves it: the file of a writer that goes on, copied with a watermark of 0 or more.
 * `ends[i]` is the offset behind entry i.
 */
async function killedLog(
  t: Parameters<typeof temporaryLog>[0],
  entries: readonly string[],
): Promise<{ directory: string; ends: number[] }> {
  const directory = temporaryLog(t);
  const copy = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000 });
  const ends = [0];
  for (const entry of entries) {
    await wal.append(entry);
    ends.push(wal.segments().at(-1)?.bytes ?? 0);
  }
  cpSync(directory, copy, { recursive: true });
  return { directory: copy, ends };
}

test('a log that is cut at any byte of its last frames keeps every whole entry, reports the cut and keeps the cut bytes', async (t) => {
  const entries = ['first', 'b\0\0', 'c'];
  const { directory, ends } = await killedLog(t, entries);
  const bytes = readFileSync(join(directory, 'wal-0'));
  const state = readFileSync(join(directory, 'ringwal.state'));
  assert.equal(bytes.length, ends[3]);
  const parent = temporaryDirectory(t);

  const openCutAt = async (cutAt: number) => {
    const cut = join(parent, String(cutAt));
    mkdirSync(cut);
    writeFileSync(join(cut, 'wal-0'), bytes.subarray(0, cutAt));
    writeFileSync(join(cut, 'ringwal.state'), state);
    const whole = ends.findLastIndex((end) => end <= cutAt);
    const kept = ends[whole] as number;
    const wal = await Wal.open(cut, { ringSize: SMALL_RING });
    const { verdict, row, lastLsn } = wal.recovery;
    assert.equal(lastLsn, whole, `cut at ${cutAt}`);
    assert.deepEqual([wal.lastLsn, wal.durableLsn], [whole, whole]);
    const lost = bytes.subarray(kept, cutAt);
    const sideFiles = readdirSync(cut).filter((name) => name.startsWith('ringwal.cut-'));
    if (lost.every((byte) => byte === 0)) {
      assert.deepEqual([verdict, row, wal.recovery.cut, sideFiles], ['clean', 5, undefined, []]);
    } else {
      assert.deepEqual([verdict, row], ['torn', 6]);
      const report = wal.recovery.cut ?? assert.fail();
      assert.deepEqual(
        [report.path, report.offset, report.bytes, report.lsn, report.removedSegments],
        [join(cut, 'wal-0'), kept, lost.length, whole + 1, []],
      );
      assert.ok(report.reason.length > 0);
      assert.deepEqual(
        report.sideFiles,
        sideFiles.map((name) => join(cut, name)),
      );
      assert.equal(sideFiles.length, 1);
      assert.match(sideFiles[0] as string, new RegExp(`^ringwal\\.cut-0-${whole + 1}-[0-9a-z]+$`));
      assert.ok(readFileSync(join(cut, sideFiles[0] as string)).equals(lost), `cut at ${cutAt}`);
    }
    assert.equal(await wal.append('next', { durable: true }), whole + 1);
    await wal.close();
    const again = await Wal.open(cut, { readOnly: true });
    assert.deepEqual([again.recovery.verdict, again.lastLsn], ['clean', whole + 1]);
    assert.deepEqual(await texts(again.entries()), [...entries.slice(0, whole), 'next']);
  };
  const cuts = range((ends[2] as number) - 3, bytes.length - 1);
  while (cuts.length > 0) await Promise.all(cuts.splice(0, 4).map(openCutAt));
});

test('a log that is cut at any byte reads up to its last whole entry', async (t) => {
  const entries = ['first', 'b\0\0', 'c'];
  const { directory, ends } = await killedLog(t, entries);
  const path = join(directory, 'wal-0');
  const bytes = readFileSync(path);
  for (let cutAt = 0; cutAt <= bytes.length; cutAt++) {
    writeFileSync(path, bytes.subarray(0, cutAt));
    const whole = ends.findLastIndex((end) => end <= cutAt);
    const reader = await Wal.open(directory, { readOnly: true });
    assert.deepEqual([reader.lastLsn, reader.firstLsn], [whole, Math.min(1, whole)], `cut at ${cutAt}`);
    assert.deepEqual(await texts(reader.entries()), entries.slice(0, whole));
    const { verdict, lastLsn } = await Wal.verify(directory);
    assert.deepEqual([verdict, lastLsn], [reader.recovery.verdict, whole]);
  }
});

test('a log of which not even the first frame is whole begins anew at LSN 1', async (t) => {
  const { directory } = await killedLog(t, ['only']);
  const path = join(directory, 'wal-0');
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, bytes.length - 1));
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.firstLsn, wal.lastLsn, wal.recovery.verdict], [0, 0, 'torn']);
  assert.deepEqual(await collect(wal.entries()), []);
  assert.deepEqual(await wal.appendBatch(['a', 'b']), { first: 1, last: 2 });
  assert.deepEqual(await texts(wal.entries()), ['a', 'b']);
  assert.equal((await wal.get(2))?.lsn, 2);
});

test('of an unfinished batch nothing is kept', async (t) => {
  const directory = temporaryLog(t);
  const copy = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000 });
  await wal.append('before');
  const { bytes } = wal.segments()[0] ?? assert.fail();
  await wal.appendBatch(['x', 'y', 'z']);
  cpSync(directory, copy, { recursive: true });
  const path = join(copy, 'wal-0');
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  const reader = await Wal.open(copy, { readOnly: true });
  assert.deepEqual(await texts(reader.entries()), ['before']);
  const reopened = await openLog(t, copy);
  assert.deepEqual([reopened.lastLsn, reopened.recovery.cut?.offset], [1, bytes]);
  assert.deepEqual(await texts(reopened.entries()), ['before']);
});

test('an unfinished batch that spans segments goes with all of them', async (t) => {
  const directory = temporaryLog(t);
  const copy = temporaryLog(t);
  const wal = await openLog(t, directory, { syncInterval: 60_000, maxFileSize: 4096 });
  await wal.append('before');
  // As it was in the middle of the batch: once that is whole, what was sealed for it is synced, and the state file says so.
  mkdirSync(copy);
  cpSync(join(directory, 'ringwal.state'), join(copy, 'ringwal.state'));
  await wal.appendBatch(range(1, 10).map((i) => String(i).padEnd(3000)));
  for (const name of segmentNames(directory)) cpSync(join(directory, name), join(copy, name));
  const names = segmentNames(copy);
  const last = join(copy, names.at(-1) as string);
  writeFileSync(last, readFileSync(last).subarray(0, -1));
  const reopened = await openLog(t, copy);
  assert.deepEqual([reopened.lastLsn, segmentNames(copy)], [1, ['wal-0']]);
  const { cut } = reopened.recovery;
  assert.deepEqual(
    cut?.removedSegments,
    names.slice(1).map((name) => join(copy, name)),
  );
  assert.equal(cut?.sideFiles.length, names.length);
  assert.equal(await reopened.append('after'), 2);
  assert.deepEqual(await texts(reopened.entries()), ['before', 'after']);
});

test('zeros behind the last entry are cut without a word', async (t) => {
  const { directory, ends } = await killedLog(t, ['a', 'b']);
  const path = join(directory, 'wal-0');
  writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(100_000)]));
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.lastLsn, wal.recovery.verdict, wal.recovery.cut], [2, 'clean', undefined]);
  await wal.close();
  assert.equal(readFileSync(path).length, ends[2]);
});

test('entries that a killed process had only written are made durable by the next open', async (t) => {
  const { directory, ends } = await killedLog(t, ['a', 'b', 'c']);
  const before = readFileSync(join(directory, 'wal-0'));
  const wal = await openLog(t, directory);
  assert.deepEqual([wal.recovery.watermark, wal.lastLsn, wal.durableLsn], [0, 3, 3]);
  assert.equal(wal.recovery.rewrittenBytes, ends[3]);
  await wal.close();
  assert.ok(readFileSync(join(directory, 'wal-0')).equals(before));
});

test('lost or foreign state files lose no entry', async (t) => {
  const { directory } = await killedLog(t, ['a', 'b', 'c']);
  const state = join(directory, 'ringwal.state');
  const intact = readFileSync(state);
  for (const content of [
    Buffer.alloc(0),
    Buffer.from('hello'),
    intact.subarray(0, -1),
    Buffer.alloc(100_000, 1),
  ]) {
    writeFileSync(state, content);
    const wal = await openLog(t, directory);
    assert.deepEqual(await lsns(wal.entries()), [1, 2, 3]);
    await wal.close();
  }
});
