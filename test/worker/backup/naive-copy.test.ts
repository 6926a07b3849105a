import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOCK_FILE, STATE_FILE } from '../../../src/format/segment-name.js';
import { judgeLog } from '../../../src/format/verdict.js';
import { layOut } from '../../../src/worker/directory/log-layout.js';
import { cleanUp } from '../../cleanup.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';
import { entriesIn } from './support.js';

const COPY = '/copy';

type Order = (names: readonly string[]) => string[];

/** What `cp -r` of a live log gives, copied file after file in this order, while the log grows after each. */
function copyNaively(log: TestLog, order: Order): { durableBefore: number; row: number; lastLsn: number } {
  const { disk } = log;
  const durableBefore = log.status.get('durableLsn');
  const names = order(disk.names(DIRECTORY).filter((name) => name !== LOCK_FILE));
  for (const name of names) {
    if (disk.stat(join(DIRECTORY, name)) !== undefined)
      disk.plant(join(COPY, name), disk.contents(join(DIRECTORY, name)));
    grow(log, 9);
  }
  const { files, state } = layOut(disk, COPY);
  const { row, lastLsn } = judgeLog({ segments: files, state, full: true });
  return { durableBefore, row, lastLsn };
}

function grow(log: TestLog, count: number): void {
  for (let at = 0; at < count; at++) log.lane.append(`grown ${'.'.repeat(20)}`, Level.durable);
  log.run();
  // The state file is written when the log has been idle for a while.
  log.sleep(1000);
}

function openLog(): TestLog {
  const disk = newDisk();
  disk.plantDirectory(COPY);
  const log = new TestLog({ disk, options: { maxFileSize: 600 } });
  log.syncer.isPrompt = true;
  grow(log, 30);
  return log;
}

const STATE_LAST: Order = (names) => [...names.filter((name) => name !== STATE_FILE), STATE_FILE];
const STATE_FIRST: Order = (names) => [STATE_FILE, ...names.filter((name) => name !== STATE_FILE)];

test('a plain copy of a live log that takes the state file last is refused: the copy promises entries that it does not have', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  const { row, lastLsn, durableBefore } = copyNaively(log, STATE_LAST);
  assert.equal(row, 2);
  assert.ok(lastLsn >= durableBefore);
});

test('a plain copy of a live log that takes the state file first, or not at all, opens with what was durable before', (t) => {
  const orders: Order[] = [STATE_FIRST, (names) => names.filter((name) => name !== STATE_FILE)];
  for (const order of orders) {
    const log = openLog();
    cleanUp(t, () => log.dispose());
    const { row, lastLsn, durableBefore } = copyNaively(log, order);
    assert.ok(row === 5 || row === 6, `row ${row}`);
    assert.ok(lastLsn >= durableBefore);
    assert.equal(entriesIn(log.disk, COPY, lastLsn).length, lastLsn);
  }
});

test('a plain copy of a live log that is cut meanwhile may be a mixture that nothing shows to be one', (t) => {
  let mixtures = 0;
  // The copy looks well if the new entries fill the segment up to the same LSN as the old ones did.
  for (let length = 15; length < 30; length++) {
    const log = openLog();
    cleanUp(t, () => log.dispose());
    const { disk } = log;
    const names = disk.names(DIRECTORY).filter((name) => name.startsWith('wal-'));
    for (const [at, name] of names.entries()) {
      disk.plant(join(COPY, name), disk.contents(join(DIRECTORY, name)));
      if (at !== 0) continue;
      log.lane.command('truncateAfter', 3);
      log.run();
      for (let entry = 0; entry < 30; entry++) log.lane.append(`other ${'.'.repeat(length)}`, Level.durable);
      log.run();
    }
    const { files, state } = layOut(disk, COPY);
    const { row, lastLsn } = judgeLog({ segments: files, state, full: true });
    if (row !== 5) continue;
    const words = entriesIn(disk, COPY, lastLsn).map(([, text]) => text.slice(0, 5));
    if (words[5] === 'grown' && words.includes('other')) mixtures += 1;
  }
  assert.ok(mixtures > 0);
});
