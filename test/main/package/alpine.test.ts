import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { openLog, range, temporaryLog, texts, walError, workerAfter } from '../support.js';

const require = createRequire(import.meta.url);
const ALPINE = require.resolve('../../files/alpine.cjs');

test('on Alpine a log is locked, written, flushed and opened again', {
  skip: process.platform !== 'linux',
}, async (t) => {
  // This thread looks at the locks of the log's threads, by an addon that it has not loaded yet.
  require(ALPINE);
  assert.throws(() => require('fs-native-extensions'), { code: 'ADDON_NOT_FOUND' });
  const workerUrl = workerAfter(temporaryDirectory(t), `import ${JSON.stringify(ALPINE)};`);
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { workerUrl });
  await assert.rejects(
    Wal.open(directory, { workerUrl }),
    walError('ERR_WAL_LOCKED', { message: /: this process has it open/ }),
  );
  await wal.append('1', { durable: true });
  // The refused attempt and each look, a reader's too, open and close the lock file: that drops no lock.
  assert.equal(wal.tryAppend('2'), true);
  wal.flushSync();
  await assert.rejects(Wal.open(directory, { workerUrl }), walError('ERR_WAL_LOCKED'));
  await wal.close();
  const again = await openLog(t, directory, { workerUrl });
  assert.deepEqual(await texts(again.entries()), range(1, 2).map(String));
});
