import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { Wal, type WalOptions } from '#ringwal';
import { collect, freshLog, openLog, temporaryLog, walError } from '../support.js';

const REFUSED: Record<string, unknown[]> = {
  durable: [1, 'true', null],
  maxFileSize: [4095, 2 ** 30 + 1, 0, -1, 5000.5, Number.NaN, '65536', null, Number.POSITIVE_INFINITY],
  maxFiles: [0, -1, 1.5, '3', null, Number.NaN],
  maxTotalSize: [0, -1, 1.5, '3', null],
  maxAge: [0, -1, 1.5, '3', null],
  syncInterval: [0, 60_001, -1, 1.5, '200', null, Number.POSITIVE_INFINITY],
  commitDelay: [-1, 1001, '1', null, Number.NaN],
  commit: ['none', true, null, ''],
  busyPoll: [1, 'yes', null],
  ringSize: [0, 65_535, 65_537, 32_768, 2 ** 31, 100_000, '65536', null],
  maxPending: [0, -1, 1.5, '1', null],
  maxUnsettled: [0, -1, 1.5, '1', null],
  maxEntrySize: [0, -1, 2 ** 30 + 1, 1.5, '1', null],
  timeResolution: [-1, 3_600_001, 0.5, '100', null, Number.NaN, Number.POSITIVE_INFINITY],
  recovery: ['lenient', true, null],
  fileMode: [-1, 0o1000, 1.5, '600', null],
  directoryMode: [-1, 0o1000, 1.5, '700', null],
  readOnly: [1, 'yes', null],
  workerUrl: [5, null, {}, 'worker.js', 'https://example.org/worker.js'],
  signal: [{}, null, 'abort', new AbortController()],
  onError: [5, null, {}],
};

for (const [name, values] of Object.entries(REFUSED)) {
  test(`the option ${name} refuses what is out of range, by its name, and makes nothing`, async (t) => {
    const directory = temporaryLog(t);
    for (const value of values) {
      const refusal = walError('ERR_WAL_OPTION', { message: new RegExp(name) });
      await assert.rejects(
        Wal.open(directory, { [name]: value } as WalOptions),
        refusal,
        `${name}: ${String(value)}`,
      );
    }
    assert.ok(!existsSync(directory));
  });
}

test('unknown options, and options that are none, are refused', async (t) => {
  const directory = temporaryLog(t);
  const refusal = walError('ERR_WAL_OPTION');
  await assert.rejects(
    Wal.open(directory, { maxFilesize: 65536 } as WalOptions),
    walError('ERR_WAL_OPTION', { message: /maxFilesize/ }),
  );
  for (const options of [null, 5, 'durable', [1], () => {}]) {
    await assert.rejects(Wal.open(directory, options as unknown as WalOptions), refusal);
  }
  for (const path of ['', undefined, null, 5, {}, 'a\0b', new URL('https://example.org/')]) {
    await assert.rejects(Wal.open(path as string), walError('ERR_WAL_OPTION', { message: /directory/ }));
    await assert.rejects(Wal.verify(path as string), walError('ERR_WAL_OPTION', { message: /directory/ }));
  }
  assert.ok(!existsSync(directory));
});

test('the ends of every range, and undefined, are taken', async (t) => {
  const low: WalOptions = {
    durable: false,
    maxFileSize: 4096,
    maxFiles: 1,
    maxTotalSize: 1,
    maxAge: 1,
    syncInterval: 1,
    commitDelay: 0,
    commit: 'interval',
    busyPoll: false,
    ringSize: 65_536,
    maxPending: 1,
    maxUnsettled: 1,
    maxEntrySize: 1,
    timeResolution: 0,
    recovery: 'strict',
    fileMode: 0o600,
    directoryMode: 0o700,
    onError: () => {},
  };
  const high: WalOptions = {
    durable: true,
    maxFileSize: 2 ** 30,
    maxFiles: Number.POSITIVE_INFINITY,
    maxTotalSize: Number.POSITIVE_INFINITY,
    maxAge: Number.POSITIVE_INFINITY,
    syncInterval: 60_000,
    commitDelay: 1000,
    commit: 'group',
    busyPoll: true,
    maxPending: Number.MAX_SAFE_INTEGER,
    maxUnsettled: 0x7fff_ffff,
    maxEntrySize: 2 ** 30,
    timeResolution: 3_600_000,
    fileMode: 0o777,
    directoryMode: 0o777,
  };
  const none = Object.fromEntries(Object.keys(REFUSED).map((name) => [name, undefined])) as WalOptions;
  for (const options of [low, high, none]) {
    const wal = await freshLog(t, options);
    assert.equal(await wal.append('x'), 1);
    assert.deepEqual(await collect(wal.entries()).then((found) => found.length), 1);
    await wal.close();
  }
});

test('what is neither bytes nor text is refused and nothing of it is taken', async (t) => {
  const wal = await freshLog(t);
  const refusal = walError('ERR_WAL_OPTION');
  for (const data of [
    undefined,
    null,
    5,
    {},
    [],
    [1, 2],
    new ArrayBuffer(4),
    true,
    Symbol('x'),
    () => {},
    5n,
  ]) {
    const bad = data as unknown as Uint8Array;
    await assert.rejects(wal.append(bad), refusal);
    await assert.rejects(wal.append(bad, { durable: true }), refusal);
    assert.throws(() => wal.tryAppend(bad), refusal);
    await assert.rejects(wal.appendBatch(['fine', bad]), refusal);
  }
  for (const entries of ['abc', undefined, null, 5, new Set(['a']), {}, new Array(3), new Uint8Array(3)]) {
    await assert.rejects(wal.appendBatch(entries as unknown as string[]), refusal);
  }
  assert.equal(wal.stats().accepted, 0);
  assert.equal(await wal.append('x'), 1);
});

test('bad options of a call are refused and nothing is taken', async (t) => {
  const wal = await freshLog(t);
  const refusal = walError('ERR_WAL_OPTION');
  for (const options of [
    null,
    5,
    true,
    { durable: 1 },
    { durable: null },
    { commit: 'x' },
    { sync: true },
    { signal: 1 },
  ]) {
    await assert.rejects(wal.append('x', options as never), refusal);
    await assert.rejects(wal.appendBatch(['x'], options as never), refusal);
  }
  for (const options of [null, 5, { signal: 5 }, { signal: null }, { timeout: 5 }]) {
    await assert.rejects(wal.sync(options as never), refusal);
    await assert.rejects(wal.ready(0, options as never), refusal);
  }
  for (const bytes of [-1, 1.5, '1', null, Number.NaN, Symbol('x')]) {
    await assert.rejects(wal.ready(bytes as never), refusal);
  }
  for (const timeout of [-1, Number.NaN, '5', null, {}, Symbol('x')]) {
    assert.throws(() => wal.flushSync(timeout as never), refusal);
  }
  assert.equal(wal.stats().accepted, 0);
});

test('bad LSNs and read options are refused', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x');
  const reader = await Wal.open(wal.directory, { readOnly: true });
  const refusal = walError('ERR_WAL_OPTION');
  for (const log of [wal, reader]) {
    for (const lsn of [
      0,
      -1,
      1.5,
      '1',
      null,
      undefined,
      Number.NaN,
      2 ** 53,
      Number.POSITIVE_INFINITY,
      1n,
      {},
    ]) {
      await assert.rejects(log.get(lsn as number), refusal, String(lsn));
      if (lsn === undefined) continue;
      await assert.rejects(collect(log.entries({ from: lsn as number })), refusal);
      await assert.rejects(collect(log.entries({ to: lsn as number })), refusal);
      await assert.rejects(collect(log.batches({ from: lsn as number })), refusal);
    }
    for (const options of [null, 5, { form: 1 }, { signal: 5 }, { signal: null }]) {
      await assert.rejects(collect(log.entries(options as never)), refusal);
      await assert.rejects(collect(log.batches(options as never)), refusal);
    }
  }
});

test('a refused call does not harm the next one', async (t) => {
  const directory = temporaryLog(t);
  await assert.rejects(Wal.open(directory, { ringSize: 5 }));
  const wal = await openLog(t, directory);
  await assert.rejects(wal.append(5 as never));
  assert.equal(await wal.append('x', { durable: true }), 1);
});
