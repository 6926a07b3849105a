import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { entries, LogBuilder } from '../../format/log-builder.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, TestLog } from '../support/test-log.js';

const SEGMENT = `${DIRECTORY}/wal-0`;
/** So many seeds decide what a power cut leaves. */
const FATES = 50;

test('a name that a killed process created is made durable before anything behind it is acknowledged', () => {
  for (let seed = 0; seed < FATES; seed++) {
    const disk = newDisk(seed);
    killAt(disk, 'write', () => {
      const log = new TestLog({ disk });
      log.lane.append('never written');
      log.run();
    });
    assert.equal(disk.contents(SEGMENT).length, 0, 'the segment was created');

    const log = new TestLog({ disk });
    log.lane.append('acknowledged', Level.durable);
    log.run();
    log.finishSync();
    assert.equal(log.lane.acknowledged('durable').get(1), 1);
    disk.powerCut();
    assert.deepEqual(new TestLog({ disk }).texts, ['acknowledged'], `seed ${seed}`);
  }
});

test('a cut that a killed process had not synced is synced before the next append', () => {
  for (let seed = 0; seed < FATES; seed++) {
    const disk = newDisk(seed);
    writeTornLog(disk);
    killAt(disk, 'sync', () => new TestLog({ disk }));
    assert.equal(disk.contents(SEGMENT).length, 512, 'the cut was made');

    const log = new TestLog({ disk });
    log.lane.append(sectorOf('D'));
    log.run();
    disk.powerCut();
    const kept = new TestLog({ disk }).texts.map((text) => text[0]).join('');
    assert.match(kept, /^AD?$/, `seed ${seed}: a stale frame stands behind a new one`);
  }
});

test('a cut whose sync failed is made anew by the next open: a second sync alone proves nothing', () => {
  for (const failedSync of ['ext4', 'xfs', 'btrfs'] as const) {
    for (let seed = 0; seed < FATES; seed++) {
      const disk = new SimulatedDisk({ seed, failedSync });
      writeTornLog(disk);
      disk.failNext('sync', 'EIO', { path: SEGMENT });
      assert.throws(() => new TestLog({ disk }), /Cannot sync/);

      const log = new TestLog({ disk });
      log.lane.append(sectorOf('D'));
      log.run();
      disk.powerCut();
      const kept = new TestLog({ disk }).texts.map((text) => text[0]).join('');
      assert.match(kept, /^AD?$/, `${failedSync}, seed ${seed}`);
    }
  }
});

test('behind a first segment that lost its content nothing is kept: the log has no gap at its start', () => {
  const disk = newDisk();
  const [, later] = new LogBuilder().group(entries(5), 0).newSegment().group(entries(5), 0).build();
  disk.plant(SEGMENT, new Uint8Array(0));
  disk.plant(`${DIRECTORY}/wal-1`, later as Uint8Array);
  const { report, start } = new TestLog({ disk }).recovered;
  assert.equal(start.lastLsn, 0);
  assert.equal(report.verdict, 'torn');
  assert.equal(report.cut?.sideFiles.length, 1);
});

test('what recovery sets aside is durable before the log goes on', () => {
  for (let seed = 0; seed < FATES; seed++) {
    const disk = newDisk(seed);
    const options = { maxFileSize: 1000 };
    const log = new TestLog({ disk, options });
    log.lane.append('kept', Level.durable);
    log.run();
    log.finishSync();
    for (const letter of ['a', 'b']) log.lane.append(letter.repeat(900));
    log.run();
    const later = disk.contents(`${DIRECTORY}/wal-1`);
    disk.killProcess();
    disk.open(SEGMENT, 'r+').write(Buffer.from('damage'), 0, 6, 60);

    const [, sideFile] = new TestLog({ disk, options }).recovered.report.cut?.sideFiles ?? [];
    disk.powerCut();
    assert.ok(Buffer.from(later).equals(disk.contents(sideFile as string)), `seed ${seed}`);
  }
});

test('a file that becomes shorter while it is recovered refuses the log, and nothing hangs', () => {
  const recover = (shrinksAfter: number): number => {
    const disk = newDisk();
    const log = new TestLog({ disk });
    log.lane.append('written');
    log.run();
    disk.killProcess();
    let reads = 0;
    disk.onOperation(({ kind, path }) => {
      if (kind !== 'read' || path !== SEGMENT) return undefined;
      reads += 1;
      return reads > shrinksAfter ? { bytes: 0 } : undefined;
    });
    new TestLog({ disk });
    return reads;
  };
  const reads = recover(Number.POSITIVE_INFINITY);
  for (let after = 0; after < reads; after++) assert.throws(() => recover(after), { code: 'EIO' });
});

test('no power cut takes the name of a segment and leaves the next one', () => {
  for (let seed = 0; seed < FATES; seed++) {
    const disk = newDisk(seed);
    const log = new TestLog({ disk, options: { maxFileSize: 100 } });
    for (const letter of ['a', 'b']) log.lane.append(letter.repeat(60));
    log.step();
    disk.powerCut();
    const [first] = new TestLog({ disk }).frames;
    assert.equal(first?.lsn ?? 1, 1, `seed ${seed}`);
  }
});

test('a segment in which nothing is kept ages from the moment that it is used anew', () => {
  const disk = newDisk();
  disk.plant(SEGMENT, Buffer.from('torn'));
  const log = new TestLog({ disk, options: { maxFileSize: 100, maxAge: 1000 } });
  log.syncer.isPrompt = true;
  log.lane.append('a'.repeat(60));
  log.run();
  assert.equal(log.frames[0]?.stamp?.createdMs, disk.now());
  log.advance(2000);
  for (const letter of ['b', 'c']) {
    log.lane.append(letter.repeat(60), Level.durable);
    log.run();
  }
  assert.deepEqual(log.segments, [1, 2]);
  log.close();
});

for (const code of ['EACCES', 'EROFS']) {
  test(`while ${code} keeps recovery from its work, appends reject and the log can be closed`, () => {
    const disk = newDisk();
    const before = new TestLog({ disk });
    before.lane.append('kept', Level.written);
    before.run();
    disk.killProcess();
    disk.failNext('open', code, { path: 'ringwal.state.aside', times: 3 });

    const log = new TestLog({ disk });
    assert.equal(log.recovered.report.postponed, code);
    log.lane.append('lost');
    log.run();
    assert.deepEqual(log.lane.rejected, [1]);
    const id = log.lane.sync();
    log.run();
    assert.equal(log.lane.all('sync-rejected')[0]?.id, id);
    assert.equal(log.lane.all('failed').length, 0);

    log.lane.append('next');
    log.run();
    assert.deepEqual(log.texts, ['kept', 'next']);
    log.close();
  });
}

test('a second recovery finds a clean log and nothing to do', () => {
  const disk = newDisk();
  writeTornLog(disk);
  assert.equal(new TestLog({ disk }).recovered.report.verdict, 'torn');
  const { report } = new TestLog({ disk }).recovered;
  assert.equal(report.verdict, 'clean');
  assert.equal(report.cut, undefined);
  assert.equal(report.rewrittenBytes, 0);
  assert.equal(report.watermark, report.lastLsn);
});

/** Three groups of one sector each on the medium. The second one is rotten, and only the first is known to be durable. */
function writeTornLog(disk: SimulatedDisk): void {
  const log = new TestLog({ disk });
  log.lane.append(sectorOf('A'), Level.durable);
  log.run();
  log.finishSync();
  log.sleep(log.options.syncInterval);
  log.finishSync();
  assert.equal(log.state?.watermark, 1);
  for (const letter of ['B', 'C']) {
    log.lane.append(sectorOf(letter));
    log.run();
  }
  log.sleep(log.options.syncInterval);
  log.finishSync();
  assert.equal(log.frames.length, 3);
  for (const { offset, byteLength } of log.frames)
    assert.equal(offset + byteLength, 512 * (offset / 512 + 1));
  disk.killProcess();
  disk.rot(SEGMENT, 700);
}

/** Text of which the frame, the first of a group, fills a sector. The first one after an open holds a Segment too. */
function sectorOf(letter: string): string {
  return letter.repeat('AD'.includes(letter) ? 463 : 490);
}

/** Kills the process right before the next operation of this kind on the segment. */
function killAt(disk: SimulatedDisk, kind: 'write' | 'sync', work: () => void): void {
  disk.failNext(kind, { crash: true, bytes: 0 }, { path: SEGMENT });
  try {
    work();
  } catch (error) {
    assert.equal((error as Error).name, 'SimulatedCrash');
  }
  disk.killProcess();
}
