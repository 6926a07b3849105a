import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import type { Wal } from '#ringwal';
import {
  collect,
  fill,
  freshLog,
  lsns,
  makeLog,
  openLog,
  range,
  segmentNames,
  temporaryLog,
  until,
  walError,
} from '../support.js';

/** Three entries of this size fill a segment of 4 KiB. */
const BYTES = 1200;

async function appendEach(wal: Wal, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i++) assert.equal(await wal.append(fill(BYTES, i)), i);
  await wal.sync();
}

test('no segment is larger than maxFileSize unless it holds one large frame', async (t) => {
  const maxFileSize = 10_000;
  const wal = await freshLog(t, { maxFileSize, ringSize: 64 * 1024 });
  let entries = 0;
  for (let round = 0; round < 60; round++) {
    const size = (round * 977) % 4000;
    wal.tryAppend(fill(size, round));
    entries += 1;
    if (round % 9 === 0) {
      wal.tryAppend(fill(maxFileSize + round, round));
      entries += 1;
    }
    if (round % 11 === 0) {
      await wal.appendBatch(range(1, 10).map((i) => fill(i * 400, i)));
      entries += 10;
    }
    if (round % 13 === 0) {
      await wal.appendBatch(range(1, 30).map((i) => fill(i * 400, i)));
      entries += 30;
    }
  }
  await wal.sync();
  assert.equal(wal.lastLsn, entries);
  const segments = wal.segments();
  assert.deepEqual(
    segments.map(({ number }) => number),
    range(0, segments.length - 1),
  );
  assert.ok(segments.length > 20);
  for (const { path, firstLsn, lastLsn } of segments) {
    assert.ok(statSync(path).size <= maxFileSize || firstLsn === lastLsn, path);
  }
  assert.equal(wal.stats().rotations, segments.length - 1);
  assert.deepEqual(await lsns(wal.entries()), range(1, entries));
});

test('a frame that would pass maxFileSize goes to the next segment, one that fills it to its last byte does not', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096 });
  let full = 0;
  let passed = 0;
  for (let size = 2000; size < 2080; size++) {
    // Stands alone, so that the next one begins a segment.
    await wal.append(fill(5000, 0));
    const first = await wal.append(fill(2000, 1));
    const second = await wal.append(fill(size, 2));
    const [before, live] = wal.segments().slice(-2);
    if (live?.firstLsn === first) {
      assert.ok(live.bytes <= 4096);
      if (live.bytes === 4096) full += 1;
    } else {
      assert.deepEqual([before?.lastLsn, live?.firstLsn], [first, second]);
      passed += 1;
    }
  }
  assert.ok(full > 0 && passed > 0, `${full} full, ${passed} passed`);
});

test('maxFiles keeps so many segments, removes the oldest, and firstLsn moves on', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, maxFiles: 3 });
  let lastFirst = 1;
  for (let round = 0; round < 10; round++) {
    await appendEach(wal, round * 6 + 1, round * 6 + 6);
    assert.ok(wal.firstLsn >= lastFirst);
    lastFirst = wal.firstLsn;
  }
  await until(() => segmentNames(wal.directory).length <= 3);
  const segments = wal.segments();
  assert.ok(segments.length <= 3);
  assert.deepEqual(
    segmentNames(wal.directory),
    segments.map(({ number }) => `wal-${number}`),
  );
  assert.equal(wal.firstLsn, segments[0]?.firstLsn);
  assert.ok(wal.firstLsn > 40);
  assert.equal(wal.stats().segmentsRemoved, 20 - segments.length);
  assert.deepEqual(await lsns(wal.entries()), range(wal.firstLsn, 60));
  const purged = walError('ERR_WAL_PURGED', { lsn: wal.firstLsn - 1 });
  await assert.rejects(collect(wal.entries({ from: wal.firstLsn - 1 })), purged);
  await assert.rejects(collect(wal.batches({ from: wal.firstLsn - 1 })), purged);
  await assert.rejects(wal.get(wal.firstLsn - 1), purged);
  assert.equal((await wal.get(wal.firstLsn))?.lsn, wal.firstLsn);
});

test('maxTotalSize bounds the bytes of all segments', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, maxTotalSize: 12_000 });
  await appendEach(wal, 1, 60);
  await until(() => segmentNames(wal.directory).length <= 4);
  const bytes = wal.segments().reduce((sum, segment) => sum + segment.bytes, 0);
  assert.ok(bytes <= 12_000 + 4096, `${bytes} bytes`);
  assert.deepEqual(await lsns(wal.entries()), range(wal.firstLsn, 60));
});

test('maxAge removes what is older, at open as well, but never the live segment', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 12).map((i) => fill(BYTES, i)),
    { maxFileSize: 4096 },
  );
  const keeps = await openLog(t, directory, { maxFileSize: 4096, maxAge: 3_600_000 });
  await keeps.sync();
  assert.equal(keeps.firstLsn, 1);
  const newestMs = Math.max(...keeps.segments().map(({ createdMs }) => createdMs));
  await keeps.close();
  await until(() => Date.now() > newestMs + 1);
  const wal = await openLog(t, directory, { maxFileSize: 4096, maxAge: 1 });
  await until(() => segmentNames(directory).length === 1);
  assert.deepEqual([wal.firstLsn, wal.lastLsn, segmentNames(directory)], [10, 12, ['wal-3']]);
  assert.equal(wal.segments().length, 1);
  assert.deepEqual(await lsns(wal.entries()), [10, 11, 12]);
});

test('retention at open tells the log that it opens', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 60).map((i) => fill(BYTES, i)),
    { maxFileSize: 4096 },
  );
  for (let round = 0; round < 5; round++) {
    const wal = await openLog(t, directory, { maxFileSize: 4096, maxFiles: 15 - round * 3 });
    await until(() => segmentNames(directory).length === 15 - round * 3);
    assert.deepEqual(
      wal.segments().map(({ number }) => `wal-${number}`),
      segmentNames(directory),
    );
    assert.equal(wal.firstLsn, wal.segments()[0]?.firstLsn);
    assert.deepEqual(await lsns(wal.entries()), range(wal.firstLsn, 60));
    await wal.close();
  }
});

test('a segment that a reader has open is not removed, nor any behind it', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, maxFiles: 2 });
  await appendEach(wal, 1, 5);
  const reader = wal.entries();
  assert.equal((await reader.next()).value?.lsn, 1);
  await appendEach(wal, 6, 40);
  assert.equal(wal.firstLsn, 1);
  assert.ok(segmentNames(wal.directory).includes('wal-0'));
  const rest = await collect(reader);
  assert.deepEqual(
    rest.map(({ lsn }) => lsn),
    range(2, 5),
  );
  await appendEach(wal, 41, 46);
  await until(() => segmentNames(wal.directory).length <= 3);
  assert.ok(wal.firstLsn > 30);
});

test('reading on while retention removes what was read ends well or with ERR_WAL_PURGED', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, maxFiles: 3 });
  await appendEach(wal, 1, 9);
  let isDone = false;
  const reading = (async () => {
    while (!isDone) {
      let next = 0;
      try {
        for await (const { lsn, data } of wal.entries()) {
          assert.ok(next === 0 || lsn === next);
          assert.ok(fill(BYTES, lsn).equals(data));
          next = lsn + 1;
        }
      } catch (error) {
        walError('ERR_WAL_PURGED')(error);
      }
    }
  })();
  await appendEach(wal, 10, 300);
  isDone = true;
  await reading;
});

test('LSNs go on where retention has removed all but the live segment', async (t) => {
  const directory = temporaryLog(t);
  for (let round = 0; round < 4; round++) {
    const wal = await openLog(t, directory, { maxFileSize: 4096, maxFiles: 1 });
    await appendEach(wal, round * 7 + 1, round * 7 + 7);
    await wal.close();
  }
  const wal = await openLog(t, directory);
  assert.equal(wal.lastLsn, 28);
  assert.deepEqual(await lsns(wal.entries()), range(wal.firstLsn, 28));
});
