import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { cleanUp } from '../../cleanup.js';
import { collect, fill, makeLog, openLog, range, temporaryLog, walError } from '../support.js';

/** Makes `call` fail, for files below `directory`, with a system error of this code; answers what takes it back. */
function failCalls(t: TestContext, call: 'read' | 'readSync', code: string): () => void {
  const original = fs[call] as (...rest: unknown[]) => unknown;
  const failing = (...rest: unknown[]) => {
    const error = Object.assign(new Error(`${code}: made to fail, ${call}`), { code, syscall: call });
    const done = rest.at(-1);
    if (typeof done !== 'function') throw error;
    setImmediate(() => done(error));
  };
  const replace = (implementation: unknown) => {
    Object.assign(fs, { [call]: implementation });
    syncBuiltinESMExports();
  };
  replace(failing);
  const restore = () => replace(original);
  cleanUp(t, restore);
  return restore;
}

/** A closed log of 24 entries of 100 KB: four chunks in each of its three segments, of which two are read before the third is asked for. */
async function largeLog(t: TestContext): Promise<string> {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 24).map((seed) => fill(100_000, seed)),
    { maxFileSize: 850_000 },
  );
  return directory;
}

for (const readOnly of [false, true]) {
  const kind = readOnly ? 'a read-only log' : 'a log';
  test(`a read error of the system reaches the reader of ${kind} as ERR_WAL_IO with cause, path and LSN`, async (t) => {
    const directory = await largeLog(t);
    const log = readOnly ? await Wal.open(directory, { readOnly: true }) : await openLog(t, directory);
    const path = join(directory, 'wal-1');
    const restore = failCalls(t, 'read', 'EIO');
    await assert.rejects(log.get(10), walError('ERR_WAL_IO', { path, lsn: 10, cause: 'EIO' }));
    await assert.rejects(
      collect(log.entries({ from: 11 })),
      walError('ERR_WAL_IO', { path, lsn: 11, cause: 'EIO' }),
    );
    restore();

    const batches = log.batches({ from: 9 });
    let next = 9 + ((await batches.next()).value as unknown[]).length;
    failCalls(t, 'read', 'EIO');
    // It was read ahead, with the first one.
    next += ((await batches.next()).value as unknown[]).length;
    assert.ok(next < 16);
    await assert.rejects(batches.next(), walError('ERR_WAL_IO', { path, lsn: next, cause: 'EIO' }));
    await log.close();
  });
}

test('a read error of the system reaches the reader of a single segment as ERR_WAL_IO', async (t) => {
  const path = join(await largeLog(t), 'wal-0');
  const restore = failCalls(t, 'read', 'EIO');
  await assert.rejects(collect(Wal.readSegment(path)), walError('ERR_WAL_IO', { path, cause: 'EIO' }));
  restore();
  const entries = Wal.readSegment(path);
  assert.equal((await entries.next()).value?.lsn, 1);
  failCalls(t, 'read', 'EIO');
  let lsn = 1;
  await assert.rejects(
    async () => {
      for await (const entry of entries) lsn = entry.lsn;
    },
    (error) => walError('ERR_WAL_IO', { path, lsn: lsn + 1, cause: 'EIO' })(error),
  );
});

test('a read error of the system reaches who asks a read-only log for its figures as ERR_WAL_IO', async (t) => {
  const directory = await largeLog(t);
  const reader = await Wal.open(directory, { readOnly: true });
  const restore = failCalls(t, 'readSync', 'EIO');
  assert.throws(() => reader.durableLsn, walError('ERR_WAL_IO', { cause: 'EIO' }));
  restore();
  assert.equal(reader.durableLsn, 24);
  await reader.close();
});
