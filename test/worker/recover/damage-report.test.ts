import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assessDamage, type LsnRange } from '../../../src/format/damage.js';
import { judgeLog } from '../../../src/format/verdict.js';
import { listLog } from '../../../src/worker/directory/log-listing.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { DIRECTORY } from '../support/test-log.js';
import { DAMAGES, damagedLog, diskOf } from './damaged-logs.js';

const count = (ranges: readonly LsnRange[]) =>
  ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);

for (const damage of DAMAGES) {
  test(`what verify calls lost is what no repair can keep: ${damage.name}`, () => {
    const disk = diskOf(damagedLog(damage).image);
    const { segments: files } = listLog(disk, DIRECTORY);
    const judgement = judgeLog({ segments: files, state: readState(disk, DIRECTORY), full: true });
    assert.equal(judgement.row, damage.row);
    const { lost, inDoubt, segments } = assessDamage(files, judgement);
    assert.equal(count(lost), damage.salvage.lost);
    // Salvage keeps what is in doubt, and before it what the log holds without a gap.
    const kept = damage.salvage.kept.flatMap(([first, last]) =>
      last > judgement.lastLsn ? [{ first: Math.max(first, judgement.lastLsn + 1), last }] : [],
    );
    assert.deepEqual(inDoubt, kept);
    const isComplete = segments.length > 0 && segments.every(({ number }, at) => number === at);
    if (isComplete && damage.row !== 4) assert.ok(segments.some(({ verdict }) => verdict === 'corrupt'));
    for (const { verdict, badOffset } of segments) assert.equal(badOffset === undefined, verdict === 'clean');
  });
}
