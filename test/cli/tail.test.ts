import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeLog, openLog, range, temporaryLog } from '../main/support.js';
import { Running, ringwalOk } from './support.js';

test('tail prints the newest entries', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, range(1, 300).map(String), { maxFileSize: 4096 });
  assert.equal(await ringwalOk(t, ['tail', log]), `${range(291, 300).join('\n')}\n`);
  assert.equal(await ringwalOk(t, ['tail', '-n', '2', log, '-l']), '299\t299\n300\t300\n');
  assert.equal(await ringwalOk(t, ['tail', '-n', '0', log]), '');
  assert.equal(await ringwalOk(t, ['tail', '-n', '400', log]), `${range(1, 300).join('\n')}\n`);
  assert.equal(await ringwalOk(t, ['tail', '--from', '299', log]), '299\n300\n');
});

test('tail -f prints entries as they become durable, over rotations and a restart of the writer', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['1', '2', '3']);
  const running = new Running(t, ['tail', '-f', '-n', '1', log]);
  await running.says('3\n');
  const first = await openLog(t, log, { maxFileSize: 4096 });
  for (const i of range(4, 500)) await first.append(String(i));
  await first.close();
  const second = await openLog(t, log);
  await second.append('501', { durable: true });
  await running.says('501\n');
  running.process.kill('SIGINT');
  const { code, stdout, stderr } = await running.ended;
  assert.deepEqual([code, stderr], [130, '']);
  assert.equal(stdout, `${range(3, 501).join('\n')}\n`);
  await second.close();
});

test('tail -f of an empty log waits for its first entry', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  const running = new Running(t, ['tail', '-f', log]);
  await wal.append('at last', { durable: true });
  await running.says('at last\n');
});
