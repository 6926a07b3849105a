import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal, type WalError } from '#ringwal';
import { SmallDisk } from '../log/small-disk.js';
import { fill, lsns, openLog, range, temporaryLog, text, until, walError } from '../support.js';

const READY_FILES = ['ringwal.next', 'ringwal.spare'];
const SETTINGS = [
  { preallocate: 'ahead' },
  { preallocate: 'zero' },
  { preallocate: 'recycle' },
  { preallocate: 'recycle', maxFiles: 2 },
] as const;

for (const setting of SETTINGS) {
  const name = `preallocate: '${setting.preallocate}'${'maxFiles' in setting ? ' and retention' : ''}`;

  test(`a log with ${name} reads back as it was written, from here and from outside, while it is open and closed`, async (t) => {
    const directory = temporaryLog(t);
    const options = { maxFileSize: 32 * 1024, ...setting };
    const wal = await openLog(t, directory, options);
    const followed: number[] = [];
    const isPurged = (error: unknown) => (error as WalError).code === 'ERR_WAL_PURGED';
    const stop = new AbortController();
    const follower = (async () => {
      try {
        for await (const { lsn } of Wal.follow(directory, { signal: stop.signal })) followed.push(lsn);
      } catch (error) {
        if (!stop.signal.aborted && !isPurged(error)) throw error;
      }
    })();
    for (let i = 1; i <= 300; i++) {
      assert.equal(await wal.append(`${i} `.padEnd(900, 'x'), { durable: i % 3 === 0 }), i);
      if (i % 50 === 0) {
        await wal.sync();
        const view = await Wal.open(directory, { readOnly: true });
        assert.equal(view.recovery.verdict, 'clean');
        assert.equal(view.lastLsn, i);
        await view.close();
        const report = await Wal.verify(directory);
        assert.deepEqual([report.verdict, report.lastLsn], ['clean', i]);
      }
    }
    const { firstLsn } = wal;
    if ('maxFiles' in setting) assert.ok(firstLsn > 100);
    else {
      assert.equal(firstLsn, 1);
      await until(() => followed.length === 300);
    }
    stop.abort();
    await follower;
    assert.deepEqual(followed, range(1, followed.length));
    assert.deepEqual(await lsns(wal.entries()), range(firstLsn, 300));
    for (const lsn of [firstLsn, 250, 300])
      assert.ok(text((await wal.get(lsn))?.data as Uint8Array).startsWith(`${lsn} `));
    await wal.close();

    for (const file of READY_FILES) assert.ok(!existsSync(join(directory, file)));
    const again = await openLog(t, directory, { ...options, preallocate: false });
    assert.deepEqual([again.recovery.verdict, again.recovery.cut, again.lastLsn], ['clean', undefined, 300]);
    for (const { path, bytes } of again.segments()) assert.equal(statSync(path).size, bytes);
    assert.deepEqual(await lsns(again.entries()), range(firstLsn, 300));
  });
}

test("with preallocate: 'zero' the next segment is there, all zeros, before it is needed", async (t) => {
  const directory = temporaryLog(t);
  const maxFileSize = 3 * 1024 * 1024;
  const wal = await openLog(t, directory, { maxFileSize, preallocate: 'zero' });
  await wal.append(fill(maxFileSize / 2, 1), { durable: true });
  const next = join(directory, 'ringwal.next');
  await until(() => existsSync(next) && statSync(next).size === maxFileSize);
  assert.ok(readFileSync(next).every((byte) => byte === 0));
  await wal.append(fill(maxFileSize - 1000, 2), { durable: true });
  assert.equal(statSync(join(directory, 'wal-1')).size, maxFileSize);
  await wal.close();
});

test('a next segment for which a disk that is really full has no room keeps no append from being written', async (t) => {
  const disk = SmallDisk.mount(t, 1024 * 1024);
  if (typeof disk === 'string') return t.skip(disk);
  const told: WalError[] = [];
  const directory = join(disk.root, 'log');
  const maxFileSize = 600 * 1024;
  const onError = (error: WalError) => told.push(error);
  const wal = await openLog(t, directory, { maxFileSize, preallocate: 'zero', ringSize: 64 * 1024, onError });
  // With the first segment's share of it there is no room for a second.
  for (let i = 1; i <= 900; i++) await wal.append(fill(1000, i), { durable: i % 10 === 0 });
  assert.equal(wal.durableLsn >= 900, true);
  assert.equal(wal.stats().rejected, 0);
  assert.ok(told.length <= 1);
  for (const error of told) walError('ERR_WAL_IO', { cause: 'ENOSPC' })(error);
  await assert.rejects(
    async () => {
      for (let i = 0; i < 1000; i++) await wal.append(fill(1000, i));
    },
    walError('ERR_WAL_IO', { cause: 'ENOSPC' }),
  );
  const { lastLsn } = wal;
  assert.deepEqual(await lsns(wal.entries()), range(1, lastLsn));
});

test('open refuses a preallocate that it does not know', async (t) => {
  for (const preallocate of [true, 'fallocate', 1, null]) {
    const options = { preallocate } as unknown as { preallocate: false };
    await assert.rejects(Wal.open(temporaryLog(t), options), walError('ERR_WAL_OPTION'));
  }
});
