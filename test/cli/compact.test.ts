import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, range, snapshot, temporaryLog } from '../main/support.js';
import { ringwal, ringwalOk } from './support.js';

const ENTRIES = range(1, 200).map((lsn) => `entry ${lsn} `.padEnd(200, '.'));

test('compact --drop drops the entries that a file names, --dry-run only says how many there are', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ENTRIES, { maxFileSize: 4096 });
  const drop = join(temporaryDirectory(t), 'drop.txt');
  writeFileSync(drop, '1-50\n60\n\n90 - 120\n500\n');
  const before = snapshot(log);
  const shown = await ringwalOk(t, ['compact', log, '--drop', drop, '--dry-run']);
  assert.match(shown, /82 entries of the listed ones are in the log/);
  assert.deepEqual(snapshot(log), before);
  const report = JSON.parse(
    await ringwalOk(t, [
      'compact',
      log,
      '-d',
      drop,
      '--min-garbage',
      '0',
      '--max-file-size',
      '4KiB',
      '--json',
    ]),
  );
  assert.equal(report.entriesDropped, 82);
  assert.equal((await ringwal(t, ['get', log, '60'])).code, 1);
  assert.match(await ringwalOk(t, ['get', log, '61']), /^entry 61 /);
  assert.match(await ringwalOk(t, ['verify', log]), /intact|clean|no damage/i);
  assert.match(await ringwalOk(t, ['compact', log, '-d', drop]), /Nothing was changed/);
});

test('compact and erase want to know which entries, and refuse a line that names none', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two']);
  const file = join(temporaryDirectory(t), 'lsns.txt');
  writeFileSync(file, '1\ntwo\n');
  for (const [args, why] of [
    [['compact', log], /Use --drop FILE/],
    [['erase', log], /Use --entries FILE/],
    [['compact', log, '--drop', file], /line 2 must be an LSN/],
    [['erase', log, '--entries', file], /line 2 must be an LSN/],
    [['compact', log, '--drop', file, '--min-garbage', '2'], /number from 0 to 1/],
  ] as const) {
    const { code, stderr } = await ringwal(t, args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, why);
  }
});

test('erase asks, erases the newest entry too, and says what is left', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two', 'three']);
  const file = join(temporaryDirectory(t), 'lsns.txt');
  writeFileSync(file, '3\n');
  const asked = await ringwal(t, ['erase', log, '--entries', file]);
  assert.equal(asked.code, 2, asked.stderr);
  assert.match(asked.stderr, /Cannot ask for confirmation/);
  assert.match(await ringwalOk(t, ['erase', log, '--entries', file, '--yes']), /1 entry dropped/);
  assert.equal(await ringwalOk(t, ['cat', log]), 'one\ntwo\n');
  writeFileSync(file, '1-3\n');
  const rest = await ringwal(t, ['erase', log, '--entries', file, '--yes']);
  assert.equal(rest.code, 1, rest.stderr);
  assert.match(rest.stdout, /Entries 1 to 2 are still in the log/);
});
