import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMPACT_FILE_ASIDE } from '../../../src/format/segment-name.js';
import { diskOf, imageOf, intactLog, judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY } from '../support/test-log.js';
import { begin, install, openLog, write } from './support.js';

test('an append that meets a full disk takes the room of the new segment, which is then not installed', () => {
  const disk = diskOf(intactLog());
  const log = openLog(disk, { maxFileSize: 1024 * 1024 });
  const run = write(log, [0, 1, 2], [{ first: 5, last: 8 }]);
  const { cuts } = begin(log);
  assert.ok(disk.names(DIRECTORY).includes(COMPACT_FILE_ASIDE));
  const used = [...imageOf(disk).values()].reduce(
    (sum, { length }) => sum + Math.ceil(length / 512) * 512,
    0,
  );
  disk.capacityBytes = used + 512;
  const sequence = log.lane.append('x'.repeat(900), Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), 27);
  assert.ok(!disk.names(DIRECTORY).includes(COMPACT_FILE_ASIDE));
  const { installed, stale } = install(log, run, cuts);
  assert.equal(installed, false);
  assert.match(stale ?? '', /room/);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  log.close();
  const { verdict, lastLsn } = judgeFully(disk);
  assert.deepEqual([verdict, lastLsn], ['clean', 27]);
});
