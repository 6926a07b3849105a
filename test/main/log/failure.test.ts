import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WalError } from '#ringwal';
import {
  Faults,
  fill,
  openLog,
  range,
  runChild,
  SMALL_RING,
  temporaryLog,
  texts,
  until,
  walError,
} from '../support.js';

test('a failed sync ends the log: whoever waits is told, nothing more is taken, a new open works', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const errors: WalError[] = [];
  const wal = await openLog(t, directory, {
    workerUrl: faults.workerUrl,
    onError: (error) => errors.push(error),
  });
  await wal.append('safe', { durable: true });
  faults.give('fail-sync', 'EIO');
  const failed = walError('ERR_WAL_SYNC_FAILED', { cause: 'EIO' });
  const pending = [wal.append('a', { durable: true }), wal.append('b', { durable: true }), wal.sync()];
  for (const each of pending) await assert.rejects(each, failed);
  faults.recall('fail-sync');
  await assert.rejects(wal.append('c'), failed);
  await assert.rejects(wal.sync(), failed);
  await assert.rejects(wal.ready(), failed);
  assert.throws(() => wal.tryAppend('c'), failed);
  assert.throws(() => wal.flushSync(), failed);
  assert.equal(wal.durableLsn, 1);
  await assert.rejects(wal.close(), failed);
  await wal.close();
  assert.deepEqual(errors, []);
  const again = await openLog(t, directory);
  assert.deepEqual((await texts(again.entries())).slice(0, 1), ['safe']);
  assert.equal(again.durableLsn, again.lastLsn);
  assert.ok(again.recovery.rewrittenBytes >= 0);
});

test('a sync that fails in the background is told to who has no promise for what it would have covered', async (t) => {
  const faults = new Faults(t);
  const errors: WalError[] = [];
  const onError = (error: WalError) => errors.push(error);
  const options = { workerUrl: faults.workerUrl, onError, syncInterval: 20 };
  const wal = await openLog(t, temporaryLog(t), options);
  await wal.append('safe', { durable: true });
  faults.give('fail-sync', 'EIO');
  for (const n of range(1, 5)) wal.tryAppend(`nobody waits ${n}`);
  await until(() => errors.length > 0);
  faults.recall('fail-sync');
  assert.equal(errors.length, 1);
  walError('ERR_WAL_SYNC_FAILED', { cause: 'EIO' })(errors[0]);
  assert.match(
    errors[0]?.message ?? '',
    /^Entries 2 to 6 were written and are not known to be durable\. Cannot sync /,
  );
  await assert.rejects(wal.close(), walError('ERR_WAL_SYNC_FAILED'));
  assert.equal(errors.length, 1);
});

test('a failed sync of the lone durable append that the writer syncs itself ends the log too', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl });
  await wal.append('safe', { durable: true });
  faults.give('fail-sync', 'ENOSPC');
  const failed = walError('ERR_WAL_SYNC_FAILED', { cause: 'ENOSPC' });
  await assert.rejects(wal.append('a', { durable: true }), failed);
  faults.recall('fail-sync');
  await assert.rejects(wal.append('b'), failed);
  await assert.rejects(wal.close(), failed);
});

test('flushSync() throws the failure', async (t) => {
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, onError: () => {} });
  faults.give('fail-sync', 'EIO');
  wal.tryAppend('a');
  wal.tryAppend('b');
  assert.throws(() => wal.flushSync(), walError('ERR_WAL_SYNC_FAILED', { cause: 'EIO' }));
  assert.throws(() => wal.flushSync(), walError('ERR_WAL_SYNC_FAILED', { cause: 'EIO' }));
  faults.recall('fail-sync');
  await assert.rejects(wal.close(), walError('ERR_WAL_SYNC_FAILED'));
});

test('a failed write ends the log; what was written before stays acknowledged', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const errors: WalError[] = [];
  const wal = await openLog(t, directory, {
    workerUrl: faults.workerUrl,
    onError: (error) => errors.push(error),
  });
  assert.equal(await wal.append('written'), 1);
  faults.give('fail-write', 'EIO');
  assert.ok(wal.tryAppend('forgotten'));
  const failed = walError('ERR_WAL_IO', { cause: 'EIO' });
  await assert.rejects(wal.append('a'), failed);
  await assert.rejects(wal.append('b'), failed);
  assert.deepEqual([errors.length, wal.stats().lost], [1, 1]);
  failed(errors[0]);
  faults.recall('fail-write');
  await assert.rejects(wal.close(), failed);
  const again = await openLog(t, directory);
  assert.deepEqual(await texts(again.entries()), ['written']);
});

for (const code of ['ENOSPC', 'EDQUOT']) {
  test(`a full disk (${code}) rejects what is not written, spends no LSN, and the log works on`, async (t) => {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const errors: WalError[] = [];
    const wal = await openLog(t, directory, {
      workerUrl: faults.workerUrl,
      ringSize: SMALL_RING,
      maxFileSize: 4096,
      onError: (error) => errors.push(error),
    });
    const full = walError('ERR_WAL_IO', { cause: code });
    let lsn = 0;
    const kept: string[] = [];
    for (let round = 0; round < 3; round++) {
      assert.equal(await wal.append(`round ${round}`, { durable: true }), ++lsn);
      kept.push(`round ${round}`);
      faults.give('hold-write');
      const lost = wal.tryAppend('fire and forget');
      const rejected = [
        wal.append('a'),
        wal.append('b', { durable: true }),
        wal.appendBatch(range(1, 10).map((i) => fill(1000, i))),
        wal.append(fill(SMALL_RING, 1)),
        wal.appendBatch(['x', fill(SMALL_RING, 1)]),
        wal.sync(),
      ];
      faults.give('fail-write', code);
      faults.recall('hold-write');
      for (const each of rejected) await assert.rejects(each, full);
      assert.ok(lost);
      assert.deepEqual([wal.lastLsn, errors.length], [lsn, round + 1]);
      full(errors[round]);
      wal.tryAppend('again');
      assert.throws(() => wal.flushSync(), full);
      errors.length = round + 1;
      faults.recall('fail-write');
      // Reading goes on.
      assert.deepEqual(await texts(wal.entries()), kept);
    }
    assert.equal(await wal.append('room again', { durable: true }), ++lsn);
    assert.deepEqual(await texts(wal.entries()), [...kept, 'room again']);
    await wal.close();
    const again = await openLog(t, directory);
    assert.deepEqual([again.recovery.verdict, again.lastLsn], ['clean', lsn]);
    assert.deepEqual(await texts(again.entries()), [...kept, 'room again']);
  });
}

test('a failure that no promise tells is a warning where there is no onError', async (t) => {
  const faults = new Faults(t);
  const ended = await runChild(
    t,
    `import { writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl) });
    process.on('warning', (warning) => console.log(warning.name, warning.code));
    writeFileSync(new URL('fail-write', workerUrl), 'ENOSPC');
    wal.tryAppend('x');
    await wal.sync().catch((error) => console.log('sync', error.code));
    await wal.close();`,
    [temporaryLog(t), faults.workerUrl.href],
  );
  assert.deepEqual(ended.stdout.trim().split('\n').sort(), ['WalError ERR_WAL_IO', 'sync ERR_WAL_IO']);
  assert.match(ended.stderr, /WalError.*1 entry without a promise was not written/s);
});

test('what fails at the end of a process is told on its way out', async (t) => {
  const faults = new Faults(t);
  const directories = [temporaryLog(t), temporaryLog(t)];
  const ended = await runChild(
    t,
    `import { writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [workerUrl, first, second] = process.argv.slice(1);
    const failing = await Wal.open(first, {
      workerUrl: new URL(workerUrl),
      onError(error) { console.log(error.code); throw new Error('from onError'); },
    });
    const sound = await Wal.open(second, { syncInterval: 60_000 });
    writeFileSync(new URL('fail-write', workerUrl), 'EIO');
    failing.tryAppend('lost');
    sound.tryAppend('kept');
    try {
      process.emit('exit', 0);
    } catch (error) {
      console.log(error.message, sound.durableLsn);
    }`,
    [faults.workerUrl.href, ...directories],
  );
  assert.match(ended.stdout, /^ERR_WAL_IO\nfrom onError 1\n/, ended.stderr);
  const sound = await openLog(t, directories[1] as string);
  assert.deepEqual(await texts(sound.entries()), ['kept']);
});
