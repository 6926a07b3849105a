/**
 * Somebody removes or replaces the lock file of an open log: another writer can lock a new one then. The log ends where it would
 * notice that its directory is gone, and at no cost to appends: a look that it makes anyway looks at the lock's name too.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskLock } from '../../../src/files/disk.js';
import type { Operation, SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { LOCK_FILE, STATE_FILE_ASIDE, STATS_FILE } from '../../../src/format/segment-name.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';

const LOCK = `${DIRECTORY}/${LOCK_FILE}`;

const HARMS: Readonly<Record<string, (disk: SimulatedDisk) => void>> = {
  removed: (disk) => disk.unlink(LOCK),
  replaced: (disk) => {
    disk.unlink(LOCK);
    disk.plant(LOCK, Buffer.from('1\n'));
  },
  renamed: (disk) => disk.rename(LOCK, `${DIRECTORY}/elsewhere`),
};

const OCCASIONS: Readonly<Record<string, (log: TestLog) => void>> = {
  'the next rotation': (log) => {
    for (let at = 0; at < 3; at++) appendDurably(log, 600);
  },
  'the next idle time': (log) => {
    appendDurably(log);
    log.sleep(2 * log.options.syncInterval);
  },
  checkpoint: (log) => {
    log.lane.command('checkpoint', 1);
    log.run();
  },
  truncateAfter: (log) => {
    log.lane.command('truncateAfter', 1);
    log.run();
  },
  close: (log) => {
    log.lane.close();
    assert.equal(log.run().kind, 'closed');
    log.lane.hear();
  },
};

for (const [what, harm] of Object.entries(HARMS)) {
  for (const [occasion, meet] of Object.entries(OCCASIONS)) {
    test(`a log whose lock file was ${what} ends by ${occasion}, and changes nothing more by its name`, () => {
      const { log, disk } = lockedLog();
      const state = Buffer.from(disk.contents(`${DIRECTORY}/ringwal.state`));
      harm(disk);
      meet(log);
      const { failure } = log.lane.all('failed')[0] ?? assert.fail('it goes on');
      assert.deepEqual([failure.code, failure.cause?.code, failure.path], ['ERR_WAL_IO', 'ENOENT', LOCK]);
      assert.match(failure.message, /another|other writers/);
      assert.ok(state.equals(disk.contents(`${DIRECTORY}/ringwal.state`)), 'the state file is as it was');
      assert.deepEqual(log.segments, [0]);
      log.dispose();
    });
  }
}

test('under a load that makes no segment it ends once the other writer has removed its figures', () => {
  const { log, disk } = lockedLog();
  log.sleep(2000);
  appendDurably(log);
  assert.ok(log.files.names().includes(STATS_FILE));
  disk.unlink(LOCK);
  disk.unlink(`${DIRECTORY}/${STATS_FILE}`);
  for (let at = 0; at < 30 && log.lane.all('failed').length === 0; at++) {
    // Never at rest for an interval.
    log.sleep(log.options.syncInterval / 2);
    appendDurably(log);
  }
  assert.equal(log.lane.all('failed')[0]?.failure.path, LOCK);
  // It has not taken the name of the other one's.
  assert.ok(!log.files.names().includes(STATS_FILE));
  disk.plant(`${DIRECTORY}/${STATS_FILE}`, Buffer.from('of the other'));
  log.lane.close();
  log.run();
  assert.equal(Buffer.from(disk.contents(`${DIRECTORY}/${STATS_FILE}`)).toString(), 'of the other');
  log.dispose();
});

test('durable appends look at no name, and a rotation looks at a fixed few', () => {
  const { log, disk } = lockedLog();
  const looks: string[] = [];
  disk.onOperation(({ kind, path }: Operation) => {
    if (kind === 'stat' || kind === 'identity') looks.push(`${kind} ${path.slice(DIRECTORY.length + 1)}`);
    return undefined;
  });
  for (let at = 0; at < 5; at++) appendDurably(log);
  assert.equal(looks.length, 0);
  while (log.segments.length === 1) appendDurably(log, 600);
  const directory = '';
  const names = looks.filter((look) => look.startsWith('stat')).map((look) => look.slice(5));
  assert.deepEqual(names, [
    // Before the segment is created.
    directory,
    'wal-0',
    LOCK_FILE,
    // Before the state file is written.
    directory,
    'wal-1',
    LOCK_FILE,
    // Before it takes the old one's name, since the sync took its time.
    directory,
    STATE_FILE_ASIDE,
  ]);
  log.close();
});

function lockedLog(): { log: TestLog; disk: SimulatedDisk } {
  const disk = newDisk();
  new TestLog({ disk }).close();
  const lock: DiskLock = disk.lock(LOCK) ?? assert.fail('nobody has it');
  const log = new TestLog({ disk, lock, options: { maxFileSize: 1000 } });
  log.syncer.isPrompt = true;
  appendDurably(log);
  log.sleep(2 * log.options.syncInterval);
  appendDurably(log);
  return { log, disk };
}

function appendDurably(log: TestLog, bytes = 10): void {
  log.lane.append(new Uint8Array(bytes), Level.durable);
  log.run();
}
