import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fill, openLog, temporaryLog } from '../main/support.js';
import { ringwal, ringwalOk } from './support.js';

/** A log of ten entries with snapshots at 4 and 8. */
async function logWithSnapshots(t: TestContext): Promise<string> {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  for (let lsn = 1; lsn <= 10; lsn++) await wal.append(`entry ${lsn}`, { durable: lsn === 10 });
  await wal.writeSnapshot(4, [Buffer.from('four')], { format: 'v1' });
  await wal.writeSnapshot(8, [fill(3_000_000, 1)], { format: 'v2' });
  await wal.close();
  return log;
}

function damage(log: string, lsn: number): void {
  const path = join(log, `ringwal.snapshot-${lsn}`);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(100_000) ^ 1, 100_000);
  writeFileSync(path, bytes);
}

test('snapshot list prints the snapshots, newest first', async (t) => {
  const log = await logWithSnapshots(t);
  assert.match(
    await ringwalOk(t, ['snapshot', 'list', log]),
    /^8 {2}2\.86 MiB {2}20\d\d-.*Z {2}v2\n4 +4 B {2}20\d\d-.*Z {2}v1\n$/,
  );
  const { snapshots } = JSON.parse(await ringwalOk(t, ['snapshot', 'list', log, '--json']));
  assert.deepEqual(
    snapshots.map(({ lsn, format, bytes }: Record<string, unknown>) => [lsn, format, bytes]),
    [
      [8, 'v2', 3_000_000],
      [4, 'v1', 4],
    ],
  );
  assert.equal((await ringwal(t, ['snapshot', 'list', log, '5'])).code, 1);
});

test('snapshot cat prints the data of the newest one, or of another, while somebody has the log open', async (t) => {
  const log = await logWithSnapshots(t);
  await openLog(t, log);
  const { code, bytes } = await ringwal(t, ['snapshot', 'cat', log]);
  assert.equal(code, 0);
  assert.deepEqual(bytes, fill(3_000_000, 1));
  assert.equal(await ringwalOk(t, ['snapshot', 'cat', log, '4']), 'four');
  const missing = await ringwal(t, ['snapshot', 'cat', log, '5']);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /no snapshot at 5. It has snapshots at 8, 4\./);
});

test('snapshot verify names a damaged one and ends with 1; cat of it prints no damaged chunk', async (t) => {
  const log = await logWithSnapshots(t);
  assert.match(await ringwalOk(t, ['snapshot', 'verify', log]), /2 snapshots, all valid\n$/);
  damage(log, 8);
  const verified = await ringwal(t, ['snapshot', 'verify', log]);
  assert.equal(verified.code, 1);
  assert.match(
    verified.stdout,
    /^8 {2}unusable {2}its chunk 0 .*\n4 {2}valid .*\n1 snapshot of 2 cannot be used\n$/,
  );
  const { snapshots } = JSON.parse((await ringwal(t, ['snapshot', 'verify', log, '--json'])).stdout);
  assert.deepEqual(
    snapshots.map(({ lsn, isValid }: Record<string, unknown>) => [lsn, isValid]),
    [
      [8, false],
      [4, true],
    ],
  );
  assert.equal((await ringwal(t, ['snapshot', 'verify', log, '4'])).code, 0);
  const printed = await ringwal(t, ['snapshot', 'cat', log]);
  assert.deepEqual([printed.code, printed.stdout], [1, '']);
});

test('snapshot rm removes one, and wants to know which', async (t) => {
  const log = await logWithSnapshots(t);
  for (const [args, why] of [
    [[], /its LSN is missing/],
    [['8'], /Cannot ask for confirmation/],
  ] as const) {
    const { code, stderr } = await ringwal(t, ['snapshot', 'rm', log, ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, why);
  }
  assert.equal((await ringwal(t, ['snapshot', 'rm', log, '5', '--yes'])).code, 1);
  damage(log, 8);
  assert.equal(await ringwalOk(t, ['snapshot', 'rm', log, '8', '--yes']), 'The snapshot at 8 is removed.\n');
  assert.equal(
    await ringwalOk(t, ['snapshot', 'rm', log, '4', '-y', '--json']),
    '{"lsn":4,"removed":true}\n',
  );
  assert.equal(await ringwalOk(t, ['snapshot', 'list', log]), 'no snapshots\n');
  assert.equal((await ringwal(t, ['snapshot', 'eat', log])).code, 2);
});
