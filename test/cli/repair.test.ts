import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { snapshot, temporaryLog } from '../main/support.js';
import { noTerminal, onTerminal, plantDamaged, ringwal, ringwalOk } from './support.js';

const FLIPPED = 'a flipped byte in the payload of an entry in the middle of a group';

test('repair --dry-run shows what either mode keeps, and changes nothing', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const before = snapshot(log);
  const truncated = await ringwalOk(t, ['repair', log, '--dry-run']);
  assert.match(truncated, /keep entries 1 to 3 and give up 23 entries;/);
  const salvaged = await ringwalOk(t, ['repair', log, '--dry-run', '--mode', 'salvage']);
  assert.match(salvaged, /keep entries 1 to 26, as far as they are readable, and give up 5 entries;/);
  assert.deepEqual(snapshot(log), before);
});

test('repair asks, and without a terminal refuses to guess', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const before = snapshot(log);
  const { code, stderr } = await ringwal(t, ['repair', log], { input: 'y\n' });
  assert.equal(code, 2);
  assert.match(stderr, /Cannot ask for confirmation: .* is not a terminal\. Use --yes or --dry-run\./);
  assert.deepEqual(snapshot(log), before);
});

test('repair --yes does it, and the log opens', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const stdout = await ringwalOk(t, ['repair', log, '--mode', 'salvage', '--yes']);
  assert.match(stdout, /^Repaired\. The log holds entries 1 to 26; 5 entries were given up\.$/m);
  assert.match(stdout, /removed bytes are in ringwal\.cut-0-/);
  assert.equal((await ringwalOk(t, ['cat', log, '--json'])).split('\n').length, 21 + 1);
  assert.match(await ringwalOk(t, ['repair', log, '--yes']), /There is nothing to repair/);
});

test('repair --json prints the report of Wal.repair', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const dry = JSON.parse(await ringwalOk(t, ['repair', log, '--dry-run', '--json']));
  const { sideFiles, ...done } = JSON.parse(await ringwalOk(t, ['repair', log, '--yes', '--json']));
  assert.deepEqual([done.dryRun, done.lastLsn, done.lostLsns], [false, 3, 23]);
  assert.ok(sideFiles.length > 0);
  assert.deepEqual(dry.changedSegments, done.changedSegments);
});

for (const { answers, code, ends } of [
  { answers: 'n\n', code: 1, ends: /Nothing was changed\.\n$/ },
  { answers: '\n', code: 1, ends: /Nothing was changed\.\n$/ },
  { answers: '\x04', code: 1, ends: /\[y\/N\] .*\nNothing was changed\.\n$/ },
  { answers: 'y\n', code: 0, ends: /Repaired\..*removed bytes are in ringwal\.cut-/s },
  { answers: '\x03', code: 130, ends: /\[y\/N\] / },
]) {
  const typed = JSON.stringify(answers);
  test(`repair on a terminal where ${typed} is typed ends with ${code}`, { skip: noTerminal }, async (t) => {
    const log = plantDamaged(temporaryLog(t), FLIPPED);
    const ended = await onTerminal(t, ['repair', log], { answers });
    assert.match(ended.screen, ends);
    assert.equal(ended.code, code, ended.screen);
    assert.equal((await Wal.verify(log)).verdict, code === 0 ? 'clean' : 'corrupt');
  });
}
