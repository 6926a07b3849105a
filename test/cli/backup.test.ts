import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, range, snapshot } from '../main/support.js';
import { ringwal, ringwalOk } from './support.js';

async function backedUp(t: TestContext): Promise<{ root: string; log: string; full: string; next: string }> {
  const root = temporaryDirectory(t);
  const [log, full, next] = [join(root, 'log'), join(root, 'full'), join(root, 'next')];
  await makeLog(
    log,
    range(1, 20).map((lsn) => `entry ${lsn}`),
  );
  await ringwalOk(t, ['backup', log, full]);
  const wal = await Wal.open(log);
  for (const lsn of range(21, 30)) await wal.append(`entry ${lsn}`);
  await wal.close();
  await ringwalOk(t, ['backup', log, next, '--since', full]);
  return { root, log, full, next };
}

test('backup copies a log that a process has open, and restore makes it again', async (t) => {
  const root = temporaryDirectory(t);
  const wal = await Wal.open(join(root, 'log'));
  try {
    for (const lsn of range(1, 50)) await wal.append(`entry ${lsn}`, { durable: true });
    const told = JSON.parse(await ringwalOk(t, ['backup', wal.directory, join(root, 'full'), '--json']));
    // Without the lock the backup may be a group behind.
    assert.ok(told.lastLsn >= 49);
    assert.equal(told.kind, 'full');
    const report = JSON.parse(
      await ringwalOk(t, ['restore', join(root, 'full'), join(root, 'new'), '--json']),
    );
    assert.equal(report.lastLsn, told.lastLsn);
    assert.match(await ringwalOk(t, ['cat', join(root, 'new')]), /^entry 1\nentry 2\n/);
  } finally {
    await wal.close();
  }
});

test('restore takes a chain up to an entry, and a dry run changes nothing', async (t) => {
  const { root, full, next } = await backedUp(t);
  const dir = join(root, 'new');
  const dry = await ringwalOk(t, ['restore', full, next, dir, '--to-lsn', '25', '--dry-run']);
  assert.match(dry, /It would restore entries 1 to 25 .*\n?.*26 to 30 .*left out/s);
  assert.equal(existsSync(dir), false);
  const done = await ringwalOk(t, ['restore', full, next, dir, '--to-lsn', '25']);
  assert.match(done, /Restored entries 1 to 25/);
  assert.match(done, /The new branch is [0-9a-f]{16}\. The last entry is 25\./);
  assert.equal((await ringwalOk(t, ['cat', dir])).split('\n').length, 26);
});

test('verify knows a backup, and says which file is damaged', async (t) => {
  const { full, next } = await backedUp(t);
  assert.match(
    await ringwalOk(t, ['verify', full]),
    /^full backup of .*\nwal-0 .*clean .*1 to 20 .*20 frames.*clean {2}The backup is as it was written\./s,
  );
  assert.match(
    await ringwalOk(t, ['verify', next]),
    /^incremental backup of .* continues one that ends with entry 20/,
  );
  const part = readdirSync(next).find((name) => name.startsWith('ringwal.part-')) as string;
  appendFileSync(join(next, part), 'x');
  const before = snapshot(next);
  const { code, stdout } = await ringwal(t, ['verify', next]);
  assert.equal(code, 1);
  assert.match(stdout, /damaged/);
  assert.ok(stdout.includes(part));
  const json = JSON.parse((await ringwal(t, ['verify', next, '--json'])).stdout);
  assert.deepEqual([json.verdict, json.backup.kind, json.damagedFiles.length], ['corrupt', 'incremental', 1]);
  assert.deepEqual(snapshot(next), before);
  assert.equal((await ringwal(t, ['verify', '--quiet', next])).code, 1);
});

test('what cannot be done is one message, the right exit code, and nothing half done', async (t) => {
  const { root, log, full, next } = await backedUp(t);
  const dir = join(root, 'new');
  mkdirSync(join(root, 'occupied'));
  mkdirSync(join(root, 'occupied', 'mine'));
  for (const [args, code, message] of [
    [['backup', log, full], 2, /it holds a backup already/],
    [['backup', log, join(root, 'occupied')], 2, /it holds "mine"/],
    [['backup', join(root, 'none'), dir], 4, /There is no/],
    [['backup', log, dir, '--since', log], 2, /is not a backup: it has no manifest/],
    [['restore', next, dir], 2, /it is an incremental backup/],
    [['restore', full], 2, /Name at least one backup/],
    [['restore', full, next, dir, '--to-lsn', '31'], 2, /they end with entry 30/],
    [['restore', full, next, dir, '--to-time', 'soon'], 2, /It must be a date and a time/],
    [['restore', full, next, dir, '--to-time', '2026-02-31T10:05Z'], 2, /There is no day 31 in 2026-02/],
    [['restore', full, dir, '--to-lsn', '1', '--to-time', '2026-01-01T00:00:00Z'], 2, /cannot be used with/],
    [['restore', full, join(root, 'occupied')], 2, /it is not empty/],
  ] as const) {
    const ended = await ringwal(t, [...args]);
    assert.deepEqual([ended.code, ended.stdout], [code, ''], `${args}: ${ended.stderr}`);
    assert.match(ended.stderr, message);
  }
  assert.deepEqual(readdirSync(root).sort(), ['full', 'log', 'next', 'occupied']);
});
