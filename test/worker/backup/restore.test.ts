import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { encodeFrame } from '../../../src/format/encode.js';
import { frameChecksumSeed } from '../../../src/format/frame.js';
import { STATE_FILE, segmentName } from '../../../src/format/segment-name.js';
import { decodeState, emptyState, encodeState } from '../../../src/format/state-file.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { dataOf, diskOf, type Image, imageOf, intactLog, walgoLog } from '../recover/damaged-logs.js';
import { DIRECTORY, OPTIONS } from '../support/test-log.js';
import {
  backUp,
  entriesIn,
  FIRST,
  FULL,
  failureIn,
  framesIn,
  openClean,
  RESTORED,
  restoreTo,
  SECOND,
  verifyIn,
} from './support.js';

const CHAIN = [FULL, FIRST, SECOND];

/** [intactLog], backed up three times as it grew: up to entry 12, 18 and 26. The first cut is inside wal-1, the second between files. */
function chainOf(change: (image: Image) => void = () => {}): SimulatedDisk {
  const image = intactLog();
  change(image);
  const disk = diskOf(image);
  disk.plantDirectory('/backups');
  disk.unlink(join(DIRECTORY, STATE_FILE));
  const ends = framesIn(disk, DIRECTORY);
  const grown = (lastLsn: number) => {
    // The state file stays: it is the one that says the branch.
    for (const name of disk.names(DIRECTORY)) if (name !== STATE_FILE) disk.unlink(join(DIRECTORY, name));
    const last = ends.findLast(({ lsn }) => lsn <= lastLsn);
    for (const [name, bytes] of image) {
      const number = Number(name.replace('wal-', ''));
      if (name === STATE_FILE || number > (last?.segment ?? -1)) continue;
      const isLast = number === last?.segment;
      disk.plant(join(DIRECTORY, name), isLast ? bytes.subarray(0, last.offset + last.byteLength) : bytes);
    }
    recoverLog(disk, OPTIONS);
  };
  grown(10);
  assert.equal(backUp(disk, FULL).lastLsn, 10);
  grown(18);
  assert.equal(backUp(disk, FIRST, { since: FULL }).lastLsn, 18);
  grown(26);
  assert.equal(backUp(disk, SECOND, { since: join(FIRST, 'ringwal.backup') }).lastLsn, 26);
  return disk;
}

/** The last LSN at or below `lsn` that is not inside a batch of [intactLog]. */
function wholeBefore(lsn: number): number {
  if (lsn >= 6 && lsn < 8) return 5;
  if (lsn >= 13 && lsn < 16) return 12;
  return lsn === 23 ? 22 : lsn;
}

test('a log is restored to each of its entries, and opens clean with that one as the last', () => {
  for (let lsn = 1; lsn <= 26; lsn++) {
    const disk = chainOf();
    const report = restoreTo(disk, CHAIN, { to: { lsn } });
    const expected = wholeBefore(lsn);
    assert.deepEqual(
      [report.firstLsn, report.lastLsn, report.backupLastLsn, report.dryRun],
      [1, expected, 26, false],
    );
    assert.deepEqual(
      entriesIn(disk, RESTORED),
      Array.from({ length: expected }, (_, at) => [at + 1, Buffer.from(dataOf(at + 1)).toString()]),
    );
    assert.equal(openClean(disk, RESTORED).lastLsn, expected);
  }
});

test('a prefix of the chain restores the log as it was when the last of its backups was made', () => {
  const disk = chainOf();
  assert.equal(restoreTo(disk, [FULL]).lastLsn, 10);
  assert.equal(restoreTo(disk, [FULL, FIRST], { directory: '/logs/other' }).lastLsn, 18);
  assert.equal(openClean(disk, '/logs/other').lastLsn, 18);
});

test('an entry above the last one, or below the first one, is refused by name', () => {
  const disk = chainOf();
  const beyond = failureIn(() => restoreTo(disk, CHAIN, { to: { lsn: 27 } }));
  assert.equal(beyond.code, 'ERR_WAL_OPTION');
  assert.match(beyond.message, /entry 27 .* end with entry 26/);
  const late = diskOf(new Map([...intactLog()].filter(([name]) => name !== 'wal-0')));
  late.plantDirectory('/backups');
  backUp(late, FULL);
  assert.equal(failureIn(() => restoreTo(late, [FULL], { to: { lsn: 3 } })).code, 'ERR_WAL_PURGED');
  // Entries 7 and 8 are the end of a batch that begins before the backup.
  assert.equal(failureIn(() => restoreTo(late, [FULL], { to: { lsn: 7 } })).code, 'ERR_WAL_PURGED');
  assert.equal(restoreTo(late, [FULL], { to: { lsn: 9 } }).firstLsn, 7);
  assert.equal(late.stat(`${RESTORED}.restoring`), undefined);
});

test('a dry run says what would be restored and changes nothing', () => {
  const disk = chainOf();
  const before = disk.paths();
  const dry = restoreTo(disk, CHAIN, { to: { lsn: 14 }, dryRun: true });
  assert.deepEqual(disk.paths(), before);
  assert.equal(disk.stat(RESTORED), undefined);
  const real = restoreTo(disk, CHAIN, { to: { lsn: 14 } });
  const { branch, ...rest } = real;
  assert.match(branch ?? '', /^[0-9a-f]{16}$/);
  assert.deepEqual({ ...dry, dryRun: false, durationMs: 0 }, { ...rest, durationMs: 0 });
});

test('two restores of one backup have different branches and the id of the log', () => {
  const disk = chainOf();
  const one = restoreTo(disk, CHAIN);
  const other = restoreTo(disk, CHAIN, { directory: '/logs/other' });
  assert.notEqual(one.branch, other.branch);
  assert.equal(one.logId, other.logId);
  for (const { directory, branch } of [one, other]) {
    assert.equal(openClean(disk, directory).branch.toString(16).padStart(16, '0'), branch);
  }
});

test('what is no chain is refused, and the message names the backup that does not fit', () => {
  const disk = chainOf();
  const other = diskOf(intactLog(), 2);
  other.plantDirectory('/backups');
  for (const [backups, place, reason] of [
    [[FIRST, SECOND], FIRST, /it is an incremental backup.*ends with entry 10/],
    [
      [FULL, SECOND],
      SECOND,
      /ends with entry 18.*"\/backups\/full", is a backup .* ends with entry 10.*missing/,
    ],
    [[FULL, SECOND, FIRST], SECOND, /missing, or the order is wrong/],
    [[FULL, FIRST, FIRST], FIRST, /missing, or the order is wrong/],
    [[FULL, FULL], FULL, /it is a full backup, and continues none/],
    [[DIRECTORY], DIRECTORY, /not a backup: it has no manifest/],
    [['/backups/none'], '/backups/none', /there is nothing of that name/],
  ] as const) {
    const failure = failureIn(() => restoreTo(disk, backups));
    assert.deepEqual([failure.code, failure.path], ['ERR_WAL_OPTION', place]);
    assert.match(failure.message, reason);
  }
  assert.deepEqual(disk.names('/logs'), ['data']);
});

test('a backup of another log, or of another branch of the log, does not continue a chain', () => {
  const disk = chainOf();
  for (const [change, reason] of [
    [{ logId: 7n, branch: 9n }, /another log/],
    [{ branch: 9n }, /another branch/],
  ] as const) {
    for (const name of disk.names(DIRECTORY)) disk.unlink(join(DIRECTORY, name));
    const image = intactLog();
    const found = decodeState(image.get(STATE_FILE) as Uint8Array);
    assert.ok('logId' in found);
    const { logId, branch } = { logId: found.logId, ...change };
    const frame = (lsn: number, fileOffset: number, isFirst: boolean) =>
      encodeFrame({
        lsn,
        data: Buffer.from(`other ${lsn}`),
        syncedLsn: lsn - 1,
        segment: isFirst ? { logId, number: 0, createdMs: 1, recycled: false, branch } : undefined,
        checksumSeed: frameChecksumSeed(logId, 0),
        fileOffset,
      });
    const one = frame(1, 0, true);
    disk.plant(join(DIRECTORY, 'wal-0'), Buffer.concat([one, frame(2, one.length, false)]));
    disk.plant(join(DIRECTORY, STATE_FILE), encodeState({ ...emptyState(logId), branch, watermark: 2 }));
    const suffix = change.branch === branch && 'logId' in change ? 'log' : 'branch';
    const [full, next] = [`/backups/full-${suffix}`, `/backups/next-${suffix}`];
    backUp(disk, full);
    backUp(disk, next, { since: full });
    const restored = failureIn(() => restoreTo(disk, [FULL, next]));
    assert.equal(restored.code, 'ERR_WAL_OPTION');
    assert.equal(restored.path, next);
    assert.match(restored.message, reason);
    const continued = failureIn(() => backUp(disk, '/backups/x', { since: FULL }));
    assert.equal(continued.code, 'ERR_WAL_OPTION');
    assert.match(continued.message, suffix === 'log' ? /another log/ : /was cut since/);
  }
});

test('a flipped bit in any file of a backup is found by verifyBackup, and a restore that needs the file fails by name', () => {
  const intact = chainOf();
  for (const backup of CHAIN) {
    for (const name of intact.names(backup)) {
      if (name === 'ringwal.lock') continue;
      const path = join(backup, name);
      const size = intact.contents(path).length;
      for (const offset of [0, size >> 1, size - 1]) {
        const disk = chainOf();
        disk.rot(path, offset, 4);
        const { verdict, damagedFiles } = verifyIn(disk, backup);
        assert.deepEqual([verdict, damagedFiles.map((file) => file.path)], ['corrupt', [path]]);
        // The state of an earlier backup is not needed.
        if (name === STATE_FILE && backup !== SECOND) continue;
        const failure = failureIn(() => restoreTo(disk, CHAIN));
        assert.deepEqual([failure.code, failure.path], ['ERR_WAL_CORRUPT', path], failure.message);
        assert.deepEqual(disk.names('/logs'), ['data']);
      }
    }
  }
});

test('a file of a backup that is missing, longer or shorter is found before anything is written', () => {
  for (const change of [
    (disk: SimulatedDisk, path: string) => disk.unlink(path),
    (disk: SimulatedDisk, path: string) =>
      disk.plant(path, Buffer.concat([disk.contents(path), Buffer.alloc(1)])),
    (disk: SimulatedDisk, path: string) => disk.plant(path, disk.contents(path).subarray(1)),
  ]) {
    const disk = chainOf();
    const path = join(FIRST, disk.names(FIRST).find((name) => name.startsWith('ringwal.part-')) as string);
    change(disk, path);
    const failure = failureIn(() => restoreTo(disk, CHAIN, { dryRun: true }));
    assert.deepEqual([failure.code, failure.path], ['ERR_WAL_CORRUPT', path]);
    assert.deepEqual(
      verifyIn(disk, FIRST).damagedFiles.map((file) => file.path),
      [path],
    );
    assert.equal(verifyIn(disk, FULL).verdict, 'clean');
  }
});

test('a directory that is not empty is refused, and an empty one is taken', () => {
  const disk = chainOf();
  disk.plantDirectory(RESTORED);
  disk.plant(join(RESTORED, 'notes.txt'), Buffer.from('mine'));
  const failure = failureIn(() => restoreTo(disk, CHAIN));
  assert.equal(failure.code, 'ERR_WAL_OPTION');
  assert.match(failure.message, /"notes.txt"/);
  assert.deepEqual(disk.names('/logs'), ['data', 'restored']);
  disk.unlink(join(RESTORED, 'notes.txt'));
  restoreTo(disk, CHAIN);
  assert.equal(openClean(disk, RESTORED).lastLsn, 26);
  assert.equal(failureIn(() => restoreTo(disk, CHAIN, { directory: FULL })).code, 'ERR_WAL_OPTION');
});

test('what an interrupted restore left is removed, and a foreign file in its place is named', () => {
  const disk = chainOf();
  const aside = `${RESTORED}.restoring`;
  disk.plantDirectory(aside);
  disk.plant(join(aside, 'wal-0'), Buffer.from('half'));
  disk.plant(join(aside, 'notes.txt'), Buffer.from('mine'));
  const failure = failureIn(() => restoreTo(disk, CHAIN));
  assert.deepEqual([failure.code, failure.path], ['ERR_WAL_OPTION', aside]);
  assert.match(failure.message, /"notes.txt"/);
  assert.deepEqual(disk.names(aside), ['notes.txt', 'wal-0']);
  disk.unlink(join(aside, 'notes.txt'));
  restoreTo(disk, CHAIN);
  assert.equal(openClean(disk, RESTORED).lastLsn, 26);
  assert.equal(disk.stat(aside), undefined);
});

test('two restores to one directory at a time are refused by the lock', () => {
  const disk = chainOf();
  const aside = `${RESTORED}.restoring`;
  disk.plantDirectory(aside);
  const lock = disk.lock(join(aside, 'ringwal.lock')) ?? assert.fail('nobody has it');
  assert.equal(failureIn(() => restoreTo(disk, CHAIN)).code, 'ERR_WAL_LOCKED');
  lock.release();
  assert.equal(restoreTo(disk, CHAIN).lastLsn, 26);
});

test('checkpoints and the floor of a restored log do not point beyond it', () => {
  const disk = chainOf((image) => {
    const found = decodeState(image.get(STATE_FILE) as Uint8Array);
    assert.ok('logId' in found);
    image.set(STATE_FILE, encodeState(found));
  });
  const state = decodeState(disk.contents(join(DIRECTORY, STATE_FILE)));
  assert.ok('logId' in state);
  const data = Buffer.from('place of its own');
  const namedCheckpoints = new Map([
    ['mailer', { lsn: 20, data }],
    ['early', { lsn: 3, data }],
  ]);
  disk.plant(
    join(DIRECTORY, STATE_FILE),
    encodeState({ ...state, floor: 9, checkpoint: 21, archived: 2, namedCheckpoints }),
  );
  backUp(disk, '/backups/late');
  const stateIn = (directory: string) => {
    const found = decodeState(disk.contents(join(directory, STATE_FILE)));
    assert.ok('logId' in found);
    const named = [...found.namedCheckpoints].map(([name, { lsn }]) => [name, lsn]);
    return [found.watermark, found.floor, found.checkpoint, found.archived, Object.fromEntries(named)];
  };
  restoreTo(disk, ['/backups/late']);
  assert.deepEqual(stateIn(RESTORED), [26, 9, 21, 0, { mailer: 20, early: 3 }]);
  restoreTo(disk, ['/backups/late'], { directory: '/logs/12', to: { lsn: 12 } });
  assert.deepEqual(stateIn('/logs/12'), [12, 9, 12, 0, { mailer: 12, early: 3 }]);
  restoreTo(disk, ['/backups/late'], { directory: '/logs/5', to: { lsn: 5 } });
  assert.deepEqual(stateIn('/logs/5'), [5, 0, 5, 0, { mailer: 5, early: 3 }]);
});

test('snapshots come with the log, from whichever backup has them, up to the entry that is restored', () => {
  const disk = chainOf();
  const snapshot = (lsn: number) => Buffer.from(`state after ${lsn}`.repeat(20));
  for (const lsn of [4, 20]) disk.plant(join(DIRECTORY, `ringwal.snapshot-${lsn}`), snapshot(lsn));
  const [one, two] = ['/backups/one', '/backups/two'];
  assert.equal(backUp(disk, one).snapshots, 2);
  disk.plant(join(DIRECTORY, 'ringwal.snapshot-26'), snapshot(26));
  disk.unlink(join(DIRECTORY, 'ringwal.snapshot-4'));
  // Above the log's end: it belongs to another one.
  disk.plant(join(DIRECTORY, 'ringwal.snapshot-99'), snapshot(99));
  assert.equal(backUp(disk, two, { since: one }).snapshots, 2);
  assert.deepEqual(
    disk.names(two).filter((name) => name.includes('snapshot')),
    ['ringwal.snapshot-26'],
  );
  assert.equal(verifyIn(disk, two).verdict, 'clean');
  assert.deepEqual(restoreTo(disk, [one, two]).snapshots, [20, 26]);
  assert.deepEqual(disk.contents(join(RESTORED, 'ringwal.snapshot-20')), new Uint8Array(snapshot(20)));
  assert.deepEqual(restoreTo(disk, [one, two], { directory: '/logs/x', to: { lsn: 21 } }).snapshots, [4, 20]);
});

test('a log without entries, and one of wal-go, are backed up and restored', () => {
  const empty = diskOf(new Map());
  empty.plantDirectory('/backups');
  recoverLog(empty, OPTIONS);
  assert.equal(backUp(empty, FULL).lastLsn, 0);
  assert.equal(verifyIn(empty, FULL).verdict, 'clean');
  for (const [name, bytes] of intactLog()) empty.plant(join(DIRECTORY, name), bytes);
  assert.equal(backUp(empty, FIRST, { since: FULL }).lastLsn, 26);
  assert.equal(restoreTo(empty, [FULL, FIRST]).lastLsn, 26);
  assert.equal(openClean(empty, RESTORED).lastLsn, 26);
  assert.equal(restoreTo(empty, [FULL], { directory: '/logs/empty' }).lastLsn, 0);
  assert.equal(openClean(empty, '/logs/empty').lastLsn, 0);

  const walgo = diskOf(walgoLog());
  walgo.plantDirectory('/backups');
  const before = imageOf(walgo);
  const { lastLsn } = backUp(walgo, FULL);
  assert.deepEqual(imageOf(walgo), before);
  assert.ok(lastLsn > 0);
  restoreTo(walgo, [FULL]);
  assert.deepEqual(entriesIn(walgo, RESTORED), entriesIn(walgo, DIRECTORY));
  assert.equal(openClean(walgo, RESTORED).lastLsn, lastLsn);
});

test('a time restores the entries before the first frame with that stamp or a later one', () => {
  const disk = diskOf(new Map());
  disk.plantDirectory('/backups');
  const logId = 5n;
  const frames: Uint8Array[] = [];
  let fileOffset = 0;
  // Entries 5 to 7 are a batch; the clock goes back before entry 9.
  const stamps: Readonly<Record<number, number>> = { 1: 1000, 4: 2000, 6: 2500, 8: 3000, 9: 1500, 11: 4000 };
  const remaining: Readonly<Record<number, number>> = { 5: 2, 6: 1 };
  for (let lsn = 1; lsn <= 12; lsn++) {
    const frame = encodeFrame({
      lsn,
      data: Buffer.from(`entry ${lsn}`),
      syncedLsn: stamps[lsn] === undefined ? undefined : lsn - 1,
      timeMs: stamps[lsn],
      batchRemaining: remaining[lsn],
      segment: lsn === 1 ? { logId, number: 0, createdMs: 1000, recycled: false, branch: 1n } : undefined,
      checksumSeed: frameChecksumSeed(logId, 0),
      fileOffset,
    });
    frames.push(frame);
    fileOffset += frame.length;
  }
  disk.plant(join(DIRECTORY, segmentName(0)), Buffer.concat(frames));
  disk.plant(join(DIRECTORY, STATE_FILE), encodeState({ ...emptyState(logId), branch: 1n, watermark: 12 }));
  backUp(disk, FULL);
  for (const [beforeMs, lastLsn, lastTimeMs] of [
    [1001, 3, 1000],
    [2000, 3, 1000],
    [2001, 4, 2000],
    [2600, 7, 2500],
    [3500, 10, 1500],
    [9999, 12, 4000],
  ] as const) {
    const directory = `/logs/${beforeMs}`;
    const report = restoreTo(disk, [FULL], { directory, to: { beforeMs } });
    assert.deepEqual([report.lastLsn, report.lastTimeMs], [lastLsn, lastTimeMs], `${beforeMs}`);
    assert.equal(openClean(disk, directory).lastLsn, lastLsn);
  }
  assert.equal(failureIn(() => restoreTo(disk, [FULL], { to: { beforeMs: 1000 } })).code, 'ERR_WAL_PURGED');

  const unstamped = diskOf(walgoLog());
  unstamped.plantDirectory('/backups');
  backUp(unstamped, FULL);
  const failure = failureIn(() => restoreTo(unstamped, [FULL], { to: { beforeMs: 5000 } }));
  assert.equal(failure.code, 'ERR_WAL_OPTION');
  assert.match(failure.message, /time stamp/);
});
