/** What `console.log` prints of a log, its lanes and its readers. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { Wal } from '#ringwal';
import { Faults, freshLog, makeLog, openLog, temporaryLog, walError } from '../support.js';

function noColors(value: unknown): string {
  return inspect(value, { colors: false, breakLength: Number.POSITIVE_INFINITY });
}

test('a log is printed with its directory, its state and its LSNs, and nothing else', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  const fields = (state: string, lsns: string) =>
    `Wal { directory: '${directory}', state: '${state}', ${lsns} }`;
  assert.equal(noColors(wal), fields('open', 'firstLsn: 0, lastLsn: 0, durableLsn: 0'));
  await wal.appendBatch(['a', 'b'], { durable: true });
  assert.equal(noColors(wal), fields('open', 'firstLsn: 1, lastLsn: 2, durableLsn: 2'));
  assert.equal(format('%o', wal).split('\n')[0], 'Wal {');
  const closed = wal.close();
  assert.match(noColors(wal), /state: 'closing'/);
  await closed;
  assert.equal(noColors(wal), fields('closed', 'firstLsn: 1, lastLsn: 2, durableLsn: 2'));
});

test('inside other objects a log is printed as deep as they are', async (t) => {
  const wal = await freshLog(t);
  assert.match(noColors({ a: wal }), /^\{ a: Wal \{ directory: '.*', state: 'open', .* \} \}$/);
  assert.equal(
    inspect({ a: { b: { c: wal } } }, { depth: 2 }).replace(/\s+/g, ' '),
    '{ a: { b: { c: [Wal] } } }',
  );
});

test('a log that has failed is printed with the code of the failure', async (t) => {
  const faults = new Faults(t);
  const wal = await freshLog(t, { workerUrl: faults.workerUrl });
  faults.give('fail-sync', 'EIO');
  await assert.rejects(wal.append('a', { durable: true }), walError('ERR_WAL_SYNC_FAILED'));
  assert.match(noColors(wal), /state: 'failed \(ERR_WAL_SYNC_FAILED\)'/);
});

test('a reader is printed as a log is, and says it where it can no longer read', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b']);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.equal(
    noColors(reader),
    `WalReader { directory: '${directory}', state: 'open', firstLsn: 1, lastLsn: 2, durableLsn: 2 }`,
  );
  rmSync(directory, { recursive: true });
  assert.equal(noColors(reader), "WalReader { unreadable: 'ERR_WAL_IO' }");
  await reader.close();
  assert.match(noColors(reader), /state: 'closed'/);
});

test('a lane is printed with the directory of its log, its state and its figures', async (t) => {
  const wal = await freshLog(t);
  const lane = await Wal.attach(wal.attachment());
  await lane.append('a');
  assert.match(noColors(lane), /^WalLane \{ directory: '.*', state: 'open', accepted: 1, lost: 0, .* \}$/);
  await lane.close();
  assert.match(noColors(lane), /state: 'closed'/);
});

test('messages speak of an empty log as empty', async (t) => {
  const wal = await freshLog(t);
  for (const call of [wal.truncateAfter(5), wal.truncateBefore(5), wal.checkpoint(5)]) {
    await assert.rejects(call, walError('ERR_WAL_OPTION', { message: /the log is empty\.$/ }));
  }
  await wal.append('a');
  await assert.rejects(
    wal.truncateAfter(5),
    walError('ERR_WAL_OPTION', { message: /the log holds entries 1 to 1\.$/ }),
  );
});
