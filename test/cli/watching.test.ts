import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLog, temporaryLog } from '../main/support.js';
import { jsonLines, Running } from './support.js';

test('stats --watch tells again and again how a log grows, until it is interrupted', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await wal.append('one', { durable: true });
  const running = new Running(t, ['stats', log, '--watch', '0.05', '--json']);
  await running.says('"lastLsn":1');
  await wal.append('two', { durable: true });
  await running.says('"lastLsn":2');
  await running.says(/"lastLsn":2.*\n.*"entriesPerSecond":0,.*\n/);
  running.process.kill('SIGINT');
  const { code, stdout, stderr } = await running.ended;
  assert.deepEqual([code, stderr], [130, '']);
  const readings = jsonLines<{ entriesPerSecond?: number; lastLsn: number }>(stdout);
  assert.equal(readings[0]?.entriesPerSecond, undefined);
  assert.ok(readings.some(({ entriesPerSecond = 0 }) => entriesPerSecond > 0));
});
