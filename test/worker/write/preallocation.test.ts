import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../src/files/simulation/simulated-disk.js';
import { NEXT_FILE, SPARE_FILE } from '../../../src/format/segment-name.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { readFrames } from '../support/segments.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';

const FATES = Array.from({ length: 20 }, (_, at) => at + 1);
const ZERO = { maxFileSize: 2000, preallocate: 'zero' } as const;
/** Longer than the 4 KiB that are zeroed: behind them the spare holds what it was. */
const RECYCLE = { maxFileSize: 8192, maxFiles: 1, preallocate: 'recycle' } as const;
/** With one of these a frame is 512 bytes long, or less if it begins no group. */
const FILLER = 472;

const path = (name: string) => `${DIRECTORY}/${name}`;

function record(log: TestLog): string[] {
  const done: string[] = [];
  log.disk.onOperation(({ kind, path: at }: Operation) => {
    done.push(`${kind} ${at.split('/').at(-1)}`);
    return undefined;
  });
  return done;
}

function append(log: TestLog, bytes: number, level: number = Level.durable): number {
  const sequence = log.lane.append(new Uint8Array(bytes).fill(7), level);
  log.run();
  return sequence;
}

/** Everything that is under way or due is done: the log is as quiet as it gets. */
function settle(log: TestLog): void {
  while (log.syncer.busy) log.finishSync();
}

/** Appends until the next segment is begun. */
function rotate(log: TestLog, bytes: number): void {
  const before = log.status.get('rotations');
  while (log.status.get('rotations') === before) {
    append(log, bytes);
    settle(log);
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

test("with 'zero' the next segment is filled and synced before it is needed, and nothing else is written at the rotation", () => {
  const log = new TestLog({ options: ZERO });
  append(log, 10);
  settle(log);
  assert.equal(log.disk.contents(path(NEXT_FILE)).length, ZERO.maxFileSize);
  assert.ok(isZero(log.disk.durableContents(path(NEXT_FILE))));
  assert.equal(log.disk.durableContents(path(NEXT_FILE)).length, ZERO.maxFileSize);
  const done = record(log);
  append(log, 1990);
  settle(log);
  assert.ok(done.includes(`rename ${NEXT_FILE}`));
  const renamed = done.indexOf(`rename ${NEXT_FILE}`);
  assert.ok(done.indexOf('truncate wal-0') < renamed);
  // Nothing of it is acknowledged before its name is durable.
  const synced = done.indexOf('datasync wal-1');
  assert.ok(done.slice(renamed, synced).includes('syncDirectory data'));
  log.close();
});

test('a log that has preallocated nothing is cut nowhere', () => {
  const log = new TestLog({ options: { maxFileSize: 2000 } });
  const done = record(log);
  for (let at = 0; at < 12; at++) append(log, 400);
  settle(log);
  log.close();
  assert.deepEqual(
    done.filter((each) => each.startsWith('truncate') || each.includes('ringwal.next')),
    [],
  );
});

test('the size of a segment that was made ready does not change while it is written, until it is sealed', () => {
  for (const options of [ZERO, RECYCLE]) {
    const log = new TestLog({ options });
    append(log, FILLER);
    settle(log);
    rotate(log, FILLER);
    rotate(log, FILLER);
    const [live] = log.segments.slice(-1);
    for (let at = 0; at < 2; at++) {
      append(log, 100);
      settle(log);
      assert.equal(log.disk.contents(path(`wal-${live}`)).length, options.maxFileSize);
    }
    rotate(log, FILLER);
    log.close();
    // Whole frames only.
    assert.ok(log.frames.length > 0);
    assert.deepEqual(
      log.files.names().filter((name) => name === NEXT_FILE || name === SPARE_FILE),
      [],
    );
  }
});

for (const preallocate of ['ahead', 'zero'] as const) {
  test(`a segment that grows has as many zeros ahead as frames were written, up to 512 KiB, with '${preallocate}'`, () => {
    const log = new TestLog({ options: { maxFileSize: 4 * 1024 * 1024, preallocate } });
    const sizes: number[] = [];
    for (let at = 0; at < 1000; at++) {
      const { length: sizeBefore } = log.files.names().includes('wal-0')
        ? log.disk.contents(path('wal-0'))
        : [];
      append(log, 2000);
      settle(log);
      const { length: size } = log.disk.contents(path('wal-0'));
      const bytes = log.status.get('liveBytes');
      assert.ok(size >= bytes);
      if (size !== sizeBefore) {
        assert.equal(size - bytes, Math.min(bytes, 512 * 1024));
        sizes.push(size);
      }
    }
    // It doubles, then it grows by steps: all other syncs found the size as it was.
    assert.ok(sizes.length <= 9 + 3, `${sizes.length} sizes`);
    assert.equal(log.files.names().includes(NEXT_FILE), preallocate === 'zero');
    log.disk.powerCut();
    const { report } = recoverLog(log.disk, log.options);
    assert.deepEqual([report.verdict, report.lastLsn, report.cut], ['clean', 1000, undefined]);
    log.dispose();
  });
}

test('what is written ahead goes on in the next segment as it was, and stays within its size', () => {
  const maxFileSize = 8192;
  const log = new TestLog({ options: { maxFileSize, preallocate: 'ahead' } });
  rotate(log, 1000);
  rotate(log, 1000);
  const [live] = log.segments.slice(-1);
  assert.equal(log.disk.contents(path(`wal-${live}`)).length, maxFileSize);
  log.close();
  const bytes = log.files
    .names()
    .filter((name) => name.startsWith('wal-'))
    .map((name) => log.disk.contents(path(name)));
  assert.ok(bytes.every((each) => each.length < maxFileSize && each.at(-1) !== 0));
});

test('a sync of zeros takes its time and does not make the disk slow', () => {
  const log = new TestLog({ options: { maxFileSize: 1024 * 1024, preallocate: 'ahead' } });
  for (const bytes of [1000, 10, 10]) {
    append(log, bytes);
    settle(log);
  }
  let zeroSyncs = 0;
  let { length: sizeSynced } = log.disk.contents(path('wal-0'));
  log.disk.onOperation(({ kind, path: at }) => {
    if (kind !== 'datasync') return undefined;
    const { length } = log.disk.contents(at);
    if (length !== sizeSynced) {
      zeroSyncs += 1;
      log.advance(5);
    }
    sizeSynced = length;
    return undefined;
  });
  const { length: jobs } = log.syncer.jobs;
  for (let at = 0; at < 20; at++) {
    for (let entry = 0; entry < 3; entry++) log.lane.append(new Uint8Array(200), Level.durable);
    log.run();
  }
  assert.ok(zeroSyncs > 1);
  assert.equal(log.syncer.jobs.length, jobs, 'the writer syncs all of them itself');
  assert.equal(log.status.get('durableLsn'), 63);
  log.disk.onOperation(undefined);
  log.close();
});

test('nor does one that the sync thread makes', () => {
  const log = new TestLog({ options: { maxFileSize: 1024 * 1024, preallocate: 'ahead' } });
  for (const bytes of [1000, 10, 10]) {
    append(log, bytes);
    settle(log);
  }
  const { length: size } = log.disk.contents(path('wal-0'));
  // Who waits only until his entry is written would wait for the writer's sync.
  for (let entry = 0; entry < 3; entry++) log.lane.append(new Uint8Array(500), Level.written);
  append(log, 10);
  assert.ok(log.syncer.busy);
  assert.ok(log.disk.contents(path('wal-0')).length > size + 1500, 'zeros ahead');
  log.advance(5);
  log.finishSync();
  const { length: jobs } = log.syncer.jobs;
  for (let entry = 0; entry < 2; entry++) log.lane.append('small', Level.durable);
  log.run();
  assert.equal(log.syncer.jobs.length, jobs);
  assert.equal(log.status.get('durableLsn'), 9);
  log.close();
});

test('nothing is written ahead of entries that nobody waits for', () => {
  const log = new TestLog({ options: { ...ZERO, maxFileSize: 1024 * 1024 } });
  append(log, 100, Level.written);
  log.sleep(1000);
  settle(log);
  assert.ok(log.disk.contents(path('wal-0')).length < 200);
  log.close();
});

test('a durable append does not wait for the file that is being filled', () => {
  const log = new TestLog({ options: { ...ZERO, maxFileSize: 8 * 1024 * 1024 } });
  append(log, 10);
  assert.ok(log.syncer.busy, 'a step is under way');
  const sequence = append(log, 20);
  assert.equal(log.lane.acknowledged('durable').get(sequence), 2);
  assert.ok(log.syncer.busy);
  const two = [log.lane.append('one', Level.durable), log.lane.append('two', Level.durable)];
  log.run();
  for (const each of two) assert.ok(log.lane.acknowledged('durable').has(each));
  settle(log);
  log.close();
});

test('a rotation does not wait for a file that is being filled: the next segment grows', () => {
  const log = new TestLog({ options: ZERO });
  append(log, 10);
  assert.ok(log.syncer.busy);
  append(log, 1990);
  assert.deepEqual(log.segments, [0, 1]);
  assert.ok(log.files.names().includes(NEXT_FILE) || log.syncer.busy);
  settle(log);
  rotate(log, 900);
  log.close();
  assert.ok(log.frames.every(({ stamp }) => stamp?.recycled !== true));
});

test('a log into which little is written makes little ready', () => {
  const maxFileSize = 64 * 1024 * 1024;
  const log = new TestLog({ options: { ...ZERO, maxFileSize } });
  append(log, 100);
  settle(log);
  assert.equal(log.disk.contents(path(NEXT_FILE)).length, 1024 * 1024);
  log.dispose();
});

test('a segment that retention removes becomes the next one, and its frames say so', () => {
  const log = new TestLog({ options: RECYCLE });
  const done = record(log);
  for (let at = 0; at < 5; at++) {
    append(log, FILLER);
    settle(log);
    rotate(log, FILLER);
  }
  const recycled = readFrames(log.files, log.status.get('lastLsn')).filter(
    ({ stamp }) => stamp !== undefined,
  );
  assert.equal(recycled.at(-1)?.stamp?.recycled, true);
  const renamed = done.findIndex((each) => /^rename wal-/.test(each));
  // Not one byte of it is changed before its old name is durably gone.
  const changed = done.indexOf(`write ${SPARE_FILE}`);
  assert.ok(renamed >= 0 && done.slice(renamed, changed).includes('syncDirectory data'));
  log.close();
  assert.equal(judgeFully(log.disk).verdict, 'clean');
});

/** A log whose live segment was another one before, of the same sizes: its frames stand behind the live ones, on a boundary. */
function recycledLog(seed: number): TestLog {
  const log = new TestLog({ disk: newDisk(seed), options: RECYCLE });
  // The first frame of a segment is longer than others: so every boundary is the same in both lives.
  append(log, FILLER);
  settle(log);
  for (let at = 0; at < 3; at++) rotate(log, FILLER);
  for (let at = 0; at < 9; at++) {
    append(log, FILLER);
    settle(log);
  }
  return log;
}

test('what a recycled file held before never follows on, whatever a power cut leaves of the frames written over it', () => {
  for (const fate of FATES) {
    const log = recycledLog(fate);
    const kept = log.status.get('lastLsn');
    const live = log.segments.at(-1);
    const bytes = log.disk.contents(path(`wal-${live}`));
    assert.equal(bytes.length, RECYCLE.maxFileSize);
    const isBehind = (at: number) => bytes[at] !== 0;
    assert.ok(Array.from({ length: 512 }, (_, at) => 7000 + at).some(isBehind), 'nothing stale is left');
    for (let at = 0; at < 4; at++) append(log, FILLER, Level.written);
    log.disk.powerCut();
    log.dispose();
    const next = new TestLog({ disk: log.disk, options: RECYCLE });
    const { report } = next.recovered;
    assert.ok(report.lastLsn >= kept && report.lastLsn <= kept + 4, `fate ${fate}: ${report.lastLsn}`);
    const frames = readFrames(next.files);
    assert.equal(frames.at(-1)?.lsn, report.lastLsn);
    append(next, FILLER);
    settle(next);
    next.disk.powerCut();
    next.dispose();
    const last = new TestLog({ disk: next.disk, options: RECYCLE });
    assert.equal(last.recovered.report.lastLsn, report.lastLsn + 1);
    last.close();
  }
});

test('a power cut that leaves nothing of a write in a recycled segment is a clean end, with nothing to keep', () => {
  const log = recycledLog(1);
  log.disk.powerCut();
  log.dispose();
  assert.equal(judgeFully(log.disk).verdict, 'clean');
  const { report } = recoverLog(log.disk, log.options);
  assert.deepEqual([report.verdict, report.row, report.cut], ['clean', 5, undefined]);
});

test('a file that was made ready and whose new name a power cut took is not used again as it is', () => {
  let lost = 0;
  for (const fate of FATES) {
    for (const options of [ZERO, RECYCLE]) {
      const log = options === ZERO ? new TestLog({ disk: newDisk(fate), options }) : recycledLog(fate);
      append(log, FILLER);
      settle(log);
      const before = log.status.get('rotations');
      while (log.status.get('rotations') === before) append(log, FILLER, Level.written);
      const live = log.segments.at(-1) as number;
      log.disk.powerCut();
      log.dispose();
      const names = log.disk.names(DIRECTORY);
      if (!names.includes(`wal-${live}`)) lost += 1;
      const next = new TestLog({ disk: log.disk, options });
      assert.ok(!next.files.names().includes(NEXT_FILE) && !next.files.names().includes(SPARE_FILE));
      const { lastLsn } = next.recovered.report;
      rotate(next, FILLER);
      rotate(next, FILLER);
      next.disk.powerCut();
      next.dispose();
      assert.ok(recoverLog(next.disk, next.options).report.lastLsn > lastLsn);
    }
  }
  assert.ok(lost > 0, 'no rename was lost');
});

test('a segment that was cut when it was sealed stays cut, though the process died before the sync and power went after recovery', () => {
  for (const options of [ZERO, RECYCLE]) {
    for (const fate of FATES) {
      const log = new TestLog({ disk: newDisk(fate), options });
      append(log, 100);
      settle(log);
      rotate(log, FILLER);
      const before = log.status.get('rotations');
      while (log.status.get('rotations') === before) append(log, FILLER, Level.written);
      const { files } = log;
      const texts = readFrames(files, log.status.get('lastLsn')).length;
      log.disk.killProcess();
      log.dispose();
      const next = new TestLog({ disk: log.disk, options });
      assert.equal(next.recovered.report.verdict, 'clean');
      assert.equal(readFrames(next.files).length, texts);
      next.disk.powerCut();
      next.dispose();
      const { report } = recoverLog(log.disk, log.options);
      assert.equal(report.verdict, 'clean', `fate ${fate}`);
      assert.equal(report.lastLsn, next.recovered.report.lastLsn);
    }
  }
});

for (const code of ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG']) {
  for (const kind of ['write', 'datasync', 'open'] as const) {
    test(`${code} from ${kind} while a file is filled costs nothing but the file, and is told once`, () => {
      const log = new TestLog({ options: ZERO });
      log.disk.failNext(kind, code, { path: NEXT_FILE, times: 100 });
      for (let at = 0; at < 3; at++) rotate(log, FILLER);
      assert.ok(!log.files.names().includes(NEXT_FILE));
      assert.deepEqual(
        log.lane.all('trouble').map(({ failure }) => failure.cause?.code),
        [code],
      );
      assert.deepEqual(log.lane.rejected, []);
      log.disk.clearFaults();
      rotate(log, FILLER);
      rotate(log, FILLER);
      log.close();
      assert.equal(log.lane.all('failed').length, 0);
    });
  }
}

test('a segment that was cut when it was sealed is durably so once the log is closed, though nothing found room behind it', () => {
  const log = new TestLog({ options: ZERO });
  append(log, FILLER);
  settle(log);
  const frameBytes = log.status.get('liveBytes');
  assert.ok(log.disk.durableContents(path('wal-0')).length > frameBytes, 'zeros ahead');
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-1', times: 2 });
  append(log, ZERO.maxFileSize - frameBytes);
  assert.equal(log.lane.all('rejected').length, 1);
  assert.deepEqual(log.segments, [0, 1]);
  log.close();
  assert.equal(log.disk.durableContents(path('wal-0')).length, frameBytes);
  assert.equal(log.frames.length, 1);
});

for (const isWhole of [false, true]) {
  test(`a file that is ${isWhole ? '' : 'half '}filled gives its room to an append that finds none`, () => {
    const maxFileSize = 2 * 1024 * 1024;
    const log = new TestLog({ options: { ...ZERO, maxFileSize } });
    append(log, 1000, Level.interval);
    if (isWhole) settle(log);
    else log.syncer.complete();
    log.run();
    const used = log.disk.usedBytes;
    assert.ok(used > 1024 * 1024);
    log.disk.capacityBytes = used;
    const last = append(log, 5000, Level.durable);
    settle(log);
    assert.ok(log.lane.acknowledged('durable').has(last));
    assert.deepEqual(log.lane.rejected, []);
    assert.ok(!log.files.names().includes(NEXT_FILE));
    assert.ok(log.disk.usedBytes < 512 * 1024);
    log.close();
  });
}

test('zeros ahead of the frames that find no room cost no append', () => {
  const log = new TestLog({ options: { ...ZERO, maxFileSize: 1024 * 1024 } });
  append(log, 6000, Level.interval);
  log.disk.capacityBytes = log.disk.usedBytes + 5000;
  const sequence = append(log, 1000);
  settle(log);
  assert.ok(log.lane.acknowledged('durable').has(sequence));
  assert.equal(log.disk.contents(path('wal-0')).length, log.status.get('liveBytes'));
  assert.deepEqual(log.lane.rejected, []);
  log.close();
});

for (const preallocate of [false, 'ahead', 'zero', 'recycle'] as const) {
  test(`open removes what a process before had made ready, with preallocate: ${preallocate}`, () => {
    const disk = newDisk();
    const log = new TestLog({ disk });
    append(log, 100);
    settle(log);
    log.close();
    disk.plant(path(NEXT_FILE), new Uint8Array(1000).fill(9));
    disk.plant(path(SPARE_FILE), new Uint8Array(5000).fill(9));
    // There is no room for anything else.
    disk.capacityBytes = disk.usedBytes;
    const next = new TestLog({ disk, options: { preallocate, maxFileSize: 4096 } });
    assert.deepEqual(
      next.files.names().filter((name) => name === NEXT_FILE || name === SPARE_FILE),
      [],
    );
    append(next, 200);
    settle(next);
    assert.deepEqual(next.lane.rejected, []);
    next.close();
  });
}

test('an entry that finds no room while a file is being filled is written once that has given up', () => {
  const log = new TestLog({ options: ZERO });
  append(log, 10);
  assert.equal(log.syncer.jobs.at(-1)?.fill?.name, NEXT_FILE);
  assert.ok(log.syncer.busy, 'it is being filled');
  log.disk.failNext('write', 'ENOSPC', { path: NEXT_FILE });
  log.disk.failNext('write', 'ENOSPC', { path: 'wal-0' });
  append(log, 10, Level.written);
  assert.equal(log.lane.all('rejected').length, 0);
  assert.equal(log.lane.acknowledged('written').get(2), 2);
  assert.ok(!log.files.names().includes(NEXT_FILE));
  settle(log);
  log.close();
});

test('a ready file that somebody removed or replaced by a segment of that name is done without', () => {
  const log = new TestLog({ options: ZERO });
  append(log, 10);
  settle(log);
  log.disk.unlink(path(NEXT_FILE));
  rotate(log, 900);
  assert.deepEqual(log.lane.rejected, []);
  log.close();
});

test('a ready file that finds no room for its new name is kept for the next segment, and goes with the log', () => {
  const log = new TestLog({ options: ZERO });
  append(log, 10);
  settle(log);
  log.disk.failNext('rename', 'ENOSPC', { path: NEXT_FILE });
  rotate(log, 900);
  assert.ok(log.files.names().includes(NEXT_FILE));
  assert.deepEqual(log.lane.rejected, []);
  rotate(log, 900);
  assert.ok(log.segments.length >= 3);
  log.close();
  assert.ok(!log.files.names().includes(NEXT_FILE));
});

test('truncateAfter keeps no room in its side files, and the log goes on', () => {
  for (const options of [ZERO, RECYCLE]) {
    const log = new TestLog({ options });
    for (let at = 0; at < 2; at++) rotate(log, 300);
    append(log, 100);
    append(log, 100);
    settle(log);
    const { lastLsn } = { lastLsn: log.status.get('lastLsn') };
    log.lane.command('truncateAfter', lastLsn - 1);
    log.run();
    const sides = log.files.names().filter((name) => name.startsWith('ringwal.cut-'));
    assert.equal(sides.length, 1);
    assert.ok(log.disk.contents(path(sides[0] as string)).length < 200);
    rotate(log, FILLER);
    log.close();
    assert.equal(judgeFully(log.disk).verdict, 'clean');
  }
});
