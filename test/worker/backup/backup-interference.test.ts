import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BACKUP_FILE, STATE_FILE } from '../../../src/format/segment-name.js';
import { encodeState } from '../../../src/format/state-file.js';
import { JobControl } from '../../../src/protocol/job-control.js';
import { backupOn } from '../../../src/worker/backup/backup.js';
import { cleanUp } from '../../cleanup.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, TestLog, type TestLogSettings } from '../support/test-log.js';
import {
  backUp,
  entriesIn,
  FIRST,
  FULL,
  failureIn,
  openClean,
  RESTORED,
  restoreTo,
  verifyIn,
} from './support.js';

type Entries = [lsn: number, text: string][];

/** A log that is open, of several segments, durable up to its last entry. */
function openLog(settings: TestLogSettings['options'] = {}): TestLog {
  const disk = newDisk();
  disk.plantDirectory('/backups');
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...settings } });
  log.syncer.isPrompt = true;
  fill(log, 'old', 24);
  return log;
}

function fill(log: TestLog, word: string, count: number): void {
  for (let at = 1; at <= count; at++) {
    log.lane.append(`${word} ${at} ${'.'.repeat(20)}`, Level.durable);
    if (at % 3 === 0) log.run();
  }
  log.run();
}

function command(log: TestLog, name: 'truncateAfter' | 'truncateBefore', lsn: number): void {
  const id = log.lane.command(name, lsn);
  log.run();
  log.lane.hear();
  assert.ok(log.lane.heard.some((message) => 'id' in message && message.id === id));
}

interface Interference {
  readonly name: string;
  readonly options?: TestLogSettings['options'];
  readonly act: (log: TestLog) => void;
}

const INTERFERENCES: readonly Interference[] = [
  { name: 'the log grows and rotates', act: (log) => fill(log, 'new', 12) },
  {
    name: 'the log is cut in the middle and grows again beyond its old end',
    act: (log) => {
      command(log, 'truncateAfter', 10);
      fill(log, 'new', 20);
    },
  },
  {
    name: 'the log is cut at the end of a segment and grows again',
    act: (log) => {
      const border = log.frames.find(
        ({ segment }, at, all) => segment > 1 && all[at - 1]?.segment !== segment,
      );
      command(log, 'truncateAfter', (border?.lsn ?? 2) - 1);
      fill(log, 'new', 20);
    },
  },
  {
    name: 'the last segment loses its end',
    act: (log) => command(log, 'truncateAfter', log.recovered.start.lastLsn + 23),
  },
  {
    name: 'retention removes the oldest segments',
    options: { maxFiles: 5 },
    act: (log) => fill(log, 'new', 12),
  },
  {
    name: 'retention removes every segment that was there',
    options: { maxFiles: 2 },
    act: (log) => fill(log, 'new', 40),
  },
  {
    name: 'retention takes the oldest segments for new ones',
    options: { maxFiles: 4, preallocate: 'recycle' },
    act: (log) => fill(log, 'new', 24),
  },
];

for (const { name, options, act } of INTERFERENCES) {
  for (const from of ['the process that writes the log', 'another process'] as const) {
    test(`a backup by ${from} is whole or fails by name if ${name}, at any moment`, (t) => {
      let outcomes = 0;
      for (let moment = 0; ; moment++) {
        const log = openLog(options);
        cleanUp(t, () => log.dispose());
        const status = from === 'another process' ? undefined : log.statusMemory;
        const states: Entries[] = [entriesIn(log.disk, DIRECTORY, log.status.get('lastLsn'))];
        const start = log.disk.counts.operations;
        let isDone = false;
        log.disk.onOperation(({ index }) => {
          if (isDone || index < start + moment) return undefined;
          isDone = true;
          act(log);
          states.push(entriesIn(log.disk, DIRECTORY, log.status.get('lastLsn')));
          return undefined;
        });
        const failure = failureOrUndefined(() => backUp(log.disk, FULL, { status }));
        log.disk.clearFaults();
        if (failure === undefined) {
          const { verdict, trouble } = verifyIn(log.disk, FULL);
          assert.deepEqual([verdict, trouble], ['clean', undefined], `moment ${moment}`);
          const { lastLsn } = restoreTo(log.disk, [FULL]);
          assert.equal(openClean(log.disk, RESTORED).lastLsn, lastLsn);
          assertOneState(entriesIn(log.disk, RESTORED), states);
        } else {
          assert.match(failure.code, /^ERR_WAL_(PURGED|TRUNCATED)$/, failure.message);
          assert.equal(log.disk.stat(join(FULL, BACKUP_FILE)), undefined);
        }
        outcomes += 1;
        if (!isDone) break;
      }
      assert.ok(outcomes > 30, 'there were moments enough');
    });
  }
}

/** A run of entries that the log had at one moment, and no mixture. */
function assertOneState(found: Entries, states: readonly Entries[]): void {
  assert.ok(found.length > 0);
  const isPartOf = (state: Entries) => {
    const from = state.findIndex(([lsn]) => lsn === found[0]?.[0]);
    return (
      from >= 0 &&
      found.every(([lsn, text], at) => state[from + at]?.[0] === lsn && state[from + at]?.[1] === text)
    );
  };
  // What retention removed later may be in the backup together with what came later.
  const merged = new Map(states.flat());
  const isContinuous = states.every((state) => state.every(([lsn, text]) => merged.get(lsn) === text));
  assert.ok(
    states.some(isPartOf) || (isContinuous && isPartOf([...merged])),
    `a mixture: ${JSON.stringify(found.map(([lsn, text]) => `${lsn} ${text.slice(0, 6)}`))}`,
  );
}

test('a backup ends with the watermark, and not with what was written after it', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  log.syncer.isPrompt = false;
  for (let at = 0; at < 5; at++) log.lane.append('written, not durable', Level.written);
  log.run();
  assert.ok(log.status.get('lastLsn') > 24);
  assert.equal(backUp(log.disk, FULL, { status: log.statusMemory }).lastLsn, 24);
  restoreTo(log.disk, [FULL]);
  assert.equal(openClean(log.disk, RESTORED).lastLsn, 24);
});

test('a cut whose intent is recorded counts, though the writer has not lowered its watermark yet', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  const { segment, offset, byteLength } =
    log.frames.find(({ lsn }) => lsn === 10) ?? assert.fail('no entry 10');
  const pendingCut = { segment, offset: offset + byteLength, lsn: 10 };
  const state = log.state ?? assert.fail('no state file');
  log.disk.plant(join(DIRECTORY, STATE_FILE), encodeState({ ...state, watermark: 10, pendingCut }));
  assert.equal(log.status.get('durableLsn'), 24);
  assert.equal(backUp(log.disk, FULL, { status: log.statusMemory }).lastLsn, 10);
  restoreTo(log.disk, [FULL]);
  assert.equal(openClean(log.disk, RESTORED).lastLsn, 10);
});

test('an incremental backup fails by name if retention has removed what would have to be in it', (t) => {
  const log = openLog({ maxFiles: 2 });
  cleanUp(t, () => log.dispose());
  backUp(log.disk, FULL, { status: log.statusMemory });
  fill(log, 'new', 60);
  const failure = failureIn(() => backUp(log.disk, FIRST, { since: FULL, status: log.statusMemory }));
  assert.equal(failure.code, 'ERR_WAL_PURGED');
  assert.equal(failure.lsn, 25);
  assert.match(failure.message, /full backup/);
  assert.equal(log.disk.stat(FIRST), undefined);
});

test('an incremental backup fails by name after a cut, even if the log has grown again to the same place', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  backUp(log.disk, FULL, { status: log.statusMemory });
  command(log, 'truncateAfter', 10);
  fill(log, 'new', 30);
  const failure = failureIn(() => backUp(log.disk, FIRST, { since: FULL, status: log.statusMemory }));
  assert.equal(failure.code, 'ERR_WAL_OPTION');
  assert.match(failure.message, /full backup/);
});

test('a backup that is stopped leaves nothing, at any moment', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  const before = log.disk.paths();
  for (let moment = 0; ; moment++) {
    const control = new JobControl();
    const start = log.disk.counts.operations;
    log.disk.onOperation(({ index }) => {
      if (index >= start + moment) control.stop();
      return undefined;
    });
    const answer = backupOn(log.disk, {
      directory: DIRECTORY,
      target: FULL,
      since: undefined,
      link: false,
      control: control.buffer,
      status: log.statusMemory,
    });
    log.disk.clearFaults();
    if (!('stopped' in answer)) {
      assert.ok(!('failure' in answer));
      assert.ok(moment > 30);
      break;
    }
    assert.deepEqual(log.disk.paths(), before, `moment ${moment}`);
    assert.equal(log.disk.stat(FULL), undefined);
  }
});

test('a linked backup takes no room for sealed segments, and is refused where files are used again', (t) => {
  const log = openLog();
  cleanUp(t, () => log.dispose());
  const used = log.disk.usedBytes;
  const report = backUp(log.disk, FULL, { link: true, status: log.statusMemory });
  assert.ok(report.linkedBytes > 0 && log.disk.usedBytes - used < report.linkedBytes + 4096);
  fill(log, 'new', 12);
  assert.equal(verifyIn(log.disk, FULL).verdict, 'clean');
  restoreTo(log.disk, [FULL]);
  assert.equal(openClean(log.disk, RESTORED).lastLsn, 24);

  const recycling = openLog({ maxFiles: 3, preallocate: 'recycle' });
  cleanUp(t, () => recycling.dispose());
  fill(recycling, 'new', 40);
  const failure = failureIn(() => backUp(recycling.disk, FULL, { link: true }));
  assert.equal(failure.code, 'ERR_WAL_OPTION');
  assert.match(failure.message, /recycle/);
});

test('retention does not write into a segment that a linked backup has', (t) => {
  const log = openLog({ maxFiles: 3 });
  log.close();
  const { disk } = log;
  backUp(disk, FULL, { link: true });
  const recycling = new TestLog({ disk, options: { maxFileSize: 400, maxFiles: 3, preallocate: 'recycle' } });
  cleanUp(t, () => recycling.dispose());
  recycling.syncer.isPrompt = true;
  fill(recycling, 'new', 60);
  assert.ok(recycling.status.get('removed') > 3);
  assert.equal(verifyIn(disk, FULL).verdict, 'clean');
});

function failureOrUndefined(run: () => unknown): ReturnType<typeof failureIn> | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return failureIn(() => {
      throw error;
    });
  }
}
