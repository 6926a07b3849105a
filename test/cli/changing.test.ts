import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeLog, openLog, range, snapshot, temporaryLog } from '../main/support.js';
import { ringwal, ringwalOk } from './support.js';

test('truncate --after takes the end off, and says before and after', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, range(1, 10).map(String));
  const before = snapshot(log);
  assert.match(
    await ringwalOk(t, ['truncate', log, '--after', '7', '--dry-run']),
    /holds entries 1 to 10 in 1 segment.*\n3 entries after 7 would be cut off/,
  );
  assert.deepEqual(snapshot(log), before);
  const stdout = await ringwalOk(t, ['truncate', log, '--after', '7', '--yes']);
  assert.match(stdout, /holds entries 1 to 10 in .*\n3 entries .*\nNow it holds entries 1 to 7 in 1 segment/);
  assert.equal(await ringwalOk(t, ['cat', log]), `${range(1, 7).join('\n')}\n`);
});

test('truncate --before makes the log begin there, inside of a segment too', async (t) => {
  const log = temporaryLog(t);
  await makeLog(
    log,
    range(1, 8).map((lsn) => String(lsn).repeat(3000)),
    { maxFileSize: 4096 },
  );
  const { before, after, done } = JSON.parse(
    await ringwalOk(t, ['truncate', log, '--before', '5', '--yes', '--json']),
  );
  assert.equal(done, true);
  assert.deepEqual([before.firstLsn, before.segments], [1, 8]);
  assert.deepEqual([after.firstLsn, after.lastLsn, after.segments], [5, 8, 4]);
  const small = temporaryLog(t);
  await makeLog(small, ['a', 'b', 'c', 'd']);
  assert.match(
    await ringwalOk(t, ['truncate', small, '--before', '3', '--yes']),
    /2 entries below 3 will be removed for good, and 0 segments with them\..*Now it holds entries 3 to 4/s,
  );
  assert.equal(await ringwalOk(t, ['cat', small]), 'c\nd\n');
  assert.equal((await ringwal(t, ['get', small, '2'])).code, 1);
});

test('truncate --after the entry before the first one empties the log, and says so', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['a', 'b', 'c', 'd']);
  await ringwalOk(t, ['truncate', log, '--before', '3', '--yes']);
  assert.match(
    await ringwalOk(t, ['truncate', log, '--after', '2', '--yes']),
    /2 entries after 2 will be cut off.*\nNow it holds entries none/,
  );
  assert.match((await ringwal(t, ['truncate', log, '--after', '9'])).stderr, /the log is empty/);
});

test('truncate wants to know where, and changes nothing without an answer', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two']);
  for (const [args, why] of [
    [[], /Cannot truncate: the place is missing. Use --before LSN or --after LSN/],
    [['--before', '1', '--after', '1'], /cannot be used with option '--before/],
    [['--after', '0'], /It must be an LSN/],
    [['--after', '1'], /Cannot ask for confirmation/],
    [['--after', '5', '--yes'], /Cannot truncate --after 5 on ".*": the log holds entries 1 to 2\./],
    [['--after', '3', '--dry-run'], /Cannot truncate --after 3 on ".*": the log holds entries 1 to 2\./],
    [['--before', '4', '--dry-run'], /Cannot truncate --before 4 on ".*": the log holds entries 1 to 2\./],
  ] as const) {
    const { code, stderr } = await ringwal(t, ['truncate', log, ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, why);
  }
  assert.equal(await ringwalOk(t, ['cat', log]), 'one\ntwo\n');
});

test('checkpoint prints the checkpoint and sets it', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two']);
  assert.equal(await ringwalOk(t, ['checkpoint', log]), '0\n');
  assert.equal(await ringwalOk(t, ['checkpoint', log, '2']), 'The checkpoint is 2; it was 0.\n');
  assert.equal(await ringwalOk(t, ['checkpoint', log]), '2\n');
  assert.equal(await ringwalOk(t, ['checkpoint', log, '1', '--json']), '{"before":2,"checkpointLsn":1}\n');
  const above = await ringwal(t, ['checkpoint', log, '3']);
  assert.equal(above.code, 2);
});

test('checkpoint --name prints, sets and removes that of a consumer, and inspect, stats and top show them', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two', 'three']);
  const named = ['checkpoint', log, '--name', 'mailer'];
  const missing = await ringwal(t, named);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /There is no checkpoint "mailer"/);
  assert.equal(
    await ringwalOk(t, ['checkpoint', log, '2', '--name', 'mailer', '--data', 'sent']),
    'The checkpoint "mailer" is 2; there was none.\n',
  );
  assert.equal(await ringwalOk(t, named), '2  sent\n');
  assert.equal(
    await ringwalOk(t, ['checkpoint', log, '1', '--name', 'mailer', '--json']),
    '{"name":"mailer","before":2,"checkpointLsn":1}\n',
  );
  assert.equal(
    await ringwalOk(t, [...named, '--json']),
    '{"name":"mailer","checkpointLsn":1,"data":"c2VudA=="}\n',
    'the data stay',
  );
  assert.match(await ringwalOk(t, ['inspect', log]), /^ {2}mailer +1 {2}sent$/m);
  const inspected = JSON.parse(await ringwalOk(t, ['inspect', log, '--json']));
  assert.deepEqual(inspected.checkpoints, [{ name: 'mailer', lsn: 1, data: 'c2VudA==' }]);
  assert.match(await ringwalOk(t, ['stats', log]), /^ {2}mailer +1, 2 behind$/m);
  for (const wrong of [
    ['--data', 'x'],
    ['--remove'],
    ['2', '--name', 'mailer', '--remove'],
    ['--name', 'mailer', '--data', 'x'],
    ['9', '--name', 'mailer'],
    ['1', '--name', ''],
  ])
    assert.equal((await ringwal(t, ['checkpoint', log, ...wrong])).code, 2, wrong.join(' '));
  assert.equal(await ringwalOk(t, [...named, '--remove']), 'Removed checkpoint "mailer".\n');
  assert.equal(await ringwalOk(t, [...named, '--remove']), 'There is no checkpoint "mailer".\n');
});

test('stats prints what another process can know', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await wal.append('one', { durable: true });
  await wal.append('two', { durable: true });
  const stdout = await ringwalOk(t, ['stats', log]);
  assert.match(stdout, /^entries {11}1 to 2$/m);
  assert.match(stdout, new RegExp(`^open for writing  process ${process.pid}$`, 'm'));
  const figures = JSON.parse(await ringwalOk(t, ['stats', log, '--json']));
  assert.deepEqual([figures.firstLsn, figures.lastLsn, figures.segments], [1, 2, 1]);
});
