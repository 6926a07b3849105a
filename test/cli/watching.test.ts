import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, openLog, temporaryLog } from '../main/support.js';
import { jsonLines, noTerminal, onTerminal, Running, ringwal } from './support.js';

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

test('stats --watch counts what was written, also where retention removes as much', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { maxFileSize: 4096, maxFiles: 2 });
  for (let i = 0; i < 4; i++) await wal.append('x'.repeat(3000), { durable: true });
  const running = new Running(t, ['stats', log, '--watch', '0.05', '--json']);
  await running.says('"lastLsn":4');
  await wal.append('x'.repeat(3000), { durable: true });
  await running.says('"lastLsn":5');
  const readings = jsonLines<{ bytesPerSecond?: number }>(
    running.stdout.slice(0, running.stdout.lastIndexOf('\n')),
  );
  // The bytes of an entry may be seen one reading before it is.
  assert.ok(readings.some(({ bytesPerSecond = 0 }) => bytesPerSecond > 0));
});

test('top takes the directory, or the process that writes there', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await wal.append('one', { durable: true });
  const targets = process.platform === 'linux' ? [log, String(process.pid)] : [log];
  for (const target of targets) {
    const running = new Running(t, ['top', target, '--json', '--interval', '0.05']);
    await running.says(/"lastLsn":1.*\n.*"entriesPerSecond":0.*\n/);
    running.process.kill('SIGINT');
    const { code, stderr } = await running.ended;
    assert.deepEqual([code, stderr], [130, '']);
  }
});

test('top takes a number for a directory where one has that name', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const folder = temporaryDirectory(t);
  const name = String(process.pid);
  await makeLog(join(folder, name), ['one', 'two']);
  const wal = await openLog(t, temporaryLog(t));
  await wal.append('of the process', { durable: true });
  for (const target of [name, `./${name}`]) {
    const running = new Running(t, ['top', target, '--json'], {}, folder);
    await running.says('"lastLsn":2');
    running.process.kill('SIGINT');
    await running.ended;
  }
  const elsewhere = new Running(t, ['top', name, '--json'], {}, temporaryDirectory(t));
  await elsewhere.says('"lastLsn":1');
  elsewhere.process.kill('SIGINT');
  await elsewhere.ended;
  const nobody = await ringwal(t, ['top', '999999999']);
  assert.equal(nobody.code, 4);
  assert.match(
    nobody.stderr,
    /process 999999999 has open: there is no such process, and no directory with that name/,
  );
});

test('top of a process without a log, and without a terminal', async (t) => {
  const log = temporaryLog(t);
  await (await openLog(t, log)).close();
  const piped = await ringwal(t, ['top', log]);
  assert.equal(piped.code, 2);
  assert.match(piped.stderr, /Cannot show a screen: standard output is not a terminal/);
  if (process.platform !== 'linux') return;
  const other = await ringwal(t, ['top', String(process.pid)]);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /Process \d+ has no log open\./);
});

for (const { key, code } of [
  { key: 'q', code: 0 },
  { key: '\x03', code: 130 },
]) {
  const pressed = JSON.stringify(key);
  test(`top gives the terminal back when ${pressed} is pressed, and ends with ${code}`, {
    skip: noTerminal,
  }, async (t) => {
    const log = temporaryLog(t);
    const wal = await openLog(t, log);
    await wal.append('one', { durable: true });
    const ended = await onTerminal(t, ['top', log], { answers: key, asked: 'wal-0' });
    assert.equal(ended.code, code, ended.screen);
    // It goes to the other screen of the terminal, and comes back.
    assert.ok(ended.screen.startsWith('\x1b[?1049h'), ended.screen);
    assert.ok(ended.screen.endsWith('\x1b[?1049l'), ended.screen);
    assert.match(ended.screen, /not known durable/);
  });
}
