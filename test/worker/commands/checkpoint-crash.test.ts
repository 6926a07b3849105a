/** Named checkpoints and the archive's progress, with the machine stopped at every operation that changes the disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { CheckpointChange } from '../../../src/protocol/checkpoint-changes.js';
import type { WriterOptions } from '../../../src/protocol/thread-data.js';
import { diskOf, imageOf, intactLog } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { TestLog } from '../support/test-log.js';

const FIRST_FATE = Number(process.env.RINGWAL_SEED ?? 1);
/** A rename that no sync of the directory has covered survives a power cut in some of them. */
const FATES = Array.from({ length: 12 }, (_, at) => FIRST_FATE + at);
const LAST_LSN = 26;
const CRASHES = ['power cut', 'killed process'] as const;

/** What the log has before the change. */
const BEFORE: readonly CheckpointChange[] = [
  set('mailer', 5, 'old'),
  set('index', 20, 'index'),
  set('gone', 2, ''),
];
const CHANGE: readonly CheckpointChange[] = [
  set('mailer', 12, 'new'),
  set('late', 26, 'x'.repeat(4096)),
  { kind: 'remove', name: 'gone' },
];
const OLD = { mailer: [5, 'old'], index: [20, 'index'], gone: [2, ''] };
const NEW = { mailer: [12, 'new'], index: [20, 'index'], late: [26, 'x'.repeat(4096)] };

for (const kind of CRASHES) {
  test(`after a ${kind} at any operation of a change, every place and its data are the old ones or all are the new ones`, () => {
    let [old, changed] = [0, 0];
    forEachCut(
      kind,
      (log) => log.lane.change(...CHANGE),
      (disk) => {
        const found = placesOf(open(disk));
        if (found.mailer?.[0] === 5) old += 1;
        else changed += 1;
        assert.deepEqual(found, found.mailer?.[0] === 5 ? OLD : NEW);
      },
    );
    assert.ok(old > 0 && changed > 0, 'both were seen');
  });

  test(`after a ${kind} at any operation of truncateAfter the places are as before it, or none is above the end; the data stay`, () => {
    let [whole, lowered] = [0, 0];
    forEachCut(
      kind,
      (log) => log.lane.command('truncateAfter', 10),
      (disk) => {
        const log = open(disk);
        const isWhole = log.recovered.report.lastLsn === LAST_LSN;
        if (isWhole) whole += 1;
        else lowered += 1;
        assert.deepEqual(placesOf(log), isWhole ? OLD : { ...OLD, index: [10, 'index'] });
      },
    );
    assert.ok(whole > 0 && lowered > 0, 'both were seen');
  });
}

test('a change that was acknowledged survives a power cut', () => {
  for (const fate of FATES) {
    const { log, disk } = startLog(fate);
    log.lane.change(...CHANGE);
    log.run();
    assert.equal(log.lane.all('checkpoints-done').length, 2);
    disk.powerCut();
    assert.deepEqual(placesOf(open(disk)), NEW);
  }
});

test('a checkpoint of an entry that is not durable makes it durable first', () => {
  for (const fate of FATES) {
    const { log, disk } = startLog(fate);
    log.lane.append('not synced');
    log.lane.change(set('mailer', LAST_LSN + 1, 'seen'));
    log.run();
    disk.powerCut();
    const again = open(disk);
    assert.equal(again.recovered.report.lastLsn, LAST_LSN + 1);
    assert.deepEqual(placesOf(again).mailer, [LAST_LSN + 1, 'seen']);
    again.close();
  }
});

test('a checkpoint of entries that are durable causes no sync of those that are not', () => {
  const { log } = startLog();
  log.lane.append('not synced');
  log.run();
  const before = log.syncer.jobs.length;
  log.lane.change(set('mailer', 7, ''));
  log.run();
  assert.equal(log.lane.all('checkpoints-done').length, 2);
  assert.equal(log.syncer.jobs.length, before);
  assert.equal(log.status.get('durableLsn'), LAST_LSN);
  log.close();
});

for (const code of ['ENOSPC', 'EIO']) {
  test(`${code} at any operation of a change refuses all of it, or ends the log with all or nothing of it done`, () => {
    const ends = { refused: 0, failed: 0 };
    forEachChange(
      (log) => log.lane.change(...CHANGE),
      (cut) => {
        const { log, disk } = startLog();
        const at = disk.counts.operations + cut;
        disk.onOperation(({ index, kind }) =>
          index === at && (code === 'EIO' || ['open', 'write', 'rename'].includes(kind))
            ? { code }
            : undefined,
        );
        const id = log.lane.change(...CHANGE);
        log.run();
        disk.onOperation(undefined);
        const isRefused = log.lane.all('checkpoints-rejected').some((answer) => answer.id === id);
        if (isRefused) {
          ends.refused += 1;
          assert.deepEqual(placesOf(log), OLD);
          log.lane.append('goes on', Level.durable);
          log.run();
          assert.equal(log.lane.acknowledged('durable').size, 1);
        } else if (log.lane.all('failed').length > 0) ends.failed += 1;
        log.close();
        const found = placesOf(open(disk));
        assert.deepEqual(found, isRefused || found.mailer?.[0] === 5 ? OLD : NEW);
      },
    );
    assert.ok(code === 'ENOSPC' ? ends.refused > 0 : ends.failed > 0);
  });
}

test('with an archive no segment goes before its hand-over is recorded, wherever the machine stops', () => {
  const options = { hasArchive: true, maxFiles: 1 };
  for (const kind of CRASHES) {
    let removed = 0;
    forEachCut(
      kind,
      (log) => log.lane.change({ kind: 'archived', before: 3, cuts: 0 }),
      (disk) => {
        const log = open(disk);
        const [first = 0] = log.segments;
        const { archived } = log.recovered.start.state;
        assert.ok(archived === 0 || archived === 3);
        assert.ok(first <= archived, `wal-${first} is the first, and ${archived} are archived`);
        if (first > 0) removed += 1;
      },
      options,
    );
    assert.ok(removed > 0, 'retention removed some');
  }
});

test('truncateBefore keeps what is not archived', () => {
  const { log } = startLog(FIRST_FATE, { hasArchive: true });
  log.lane.command('truncateBefore', 19);
  log.run();
  assert.equal(log.segments[0], 0);
  log.lane.change({ kind: 'archived', before: 2, cuts: 0 });
  log.lane.command('truncateBefore', 19);
  log.run();
  assert.equal(log.segments[0], 2);
  log.close();
});

test('a cut makes its last segment one to be archived again, and a mark that does not know of the cut is not taken', () => {
  const { log } = startLog(FIRST_FATE, { hasArchive: true });
  log.lane.change({ kind: 'archived', before: 4, cuts: 0 });
  log.run();
  // Entry 14 is in segment 2.
  log.lane.command('truncateAfter', 18);
  log.run();
  assert.deepEqual(archivedOf(log), 2);
  log.lane.append(new Uint8Array(390), Level.durable);
  log.run();
  log.lane.change({ kind: 'archived', before: 3, cuts: 0 });
  log.run();
  assert.deepEqual(log.lane.all('checkpoints-done').at(-1)?.results, [{ isChanged: false }]);
  assert.equal(archivedOf(log), 2);
  log.lane.change({ kind: 'archived', before: 3, cuts: 1 });
  log.run();
  assert.equal(archivedOf(log), 3);
  log.close();
});

test('a mark for a segment that is still live is not taken', () => {
  const { log } = startLog(FIRST_FATE, { hasArchive: true });
  log.lane.change({ kind: 'archived', before: 5, cuts: 0 });
  log.run();
  assert.deepEqual(log.lane.all('checkpoints-done').at(-1)?.results, [{ isChanged: false }]);
  log.close();
});

for (const kind of CRASHES) {
  for (const preallocate of [false, 'ahead', 'zero', 'recycle'] as const) {
    test(`a segment that was said to be sealed never changes, after a ${kind} at any operation (preallocate: ${preallocate})`, () => {
      const options = {
        hasArchive: true,
        archiveTimeout: 50,
        maxFileSize: 400,
        preallocate,
        maxFiles: preallocate === 'recycle' ? 3 : Number.POSITIVE_INFINITY,
      };
      const work = (log: TestLog) => {
        for (let round = 0; round < 4; round++) {
          log.lane.append(`round ${round}`.padEnd(60), Level.durable);
          log.sleep(20);
          if (round % 2 === 1) log.sleep(100);
          log.lane.appendBatch([new Uint8Array(150), new Uint8Array(150)], Level.durable);
          log.sleep(5);
          // Retention waits for it.
          if (round === 2) log.lane.change({ kind: 'archived', before: 2, cuts: 0 });
        }
        log.run();
      };
      let [seen, empty] = [0, 0];
      forEachCut(
        kind,
        work,
        (disk, log) => {
          const sealed = sealedOf(log);
          const again = open(disk, options);
          seen += sealed.size;
          const live = again.recovered.start.catalog.last;
          if (live?.firstLsn === 0) empty += 1;
          again.lane.append('after the crash', Level.durable);
          again.run();
          again.lane.append(new Uint8Array(390), Level.durable);
          again.sleep(100);
          for (const [number, bytes] of sealed) {
            if (!again.segments.includes(number)) continue;
            assert.ok((live?.number ?? 0) > number, `wal-${number} is live again`);
            assert.deepEqual(
              Buffer.from(again.files.contents(`wal-${number}`) ?? []),
              bytes,
              `wal-${number}`,
            );
          }
          again.close();
          assert.equal(
            new TestLog({ disk, options: { maxFileSize: 400 } }).recovered.report.verdict,
            'clean',
          );
        },
        options,
        3,
      );
      assert.ok(seen > 50, `${seen} sealed segments were seen`);
      assert.ok(empty > 0, 'a log was reopened that goes on in an empty segment');
    });
  }
}

/** The contents of the segments that the archive may have got until now. */
function sealedOf(log: TestLog): Map<number, Buffer> {
  const upTo = Math.max(-1, ...log.lane.all('segments-sealed').map((message) => message.upTo));
  const noted = contentsAtSeal.get(log) ?? new Map();
  return new Map([...noted].filter(([number]) => number <= upTo));
}

const contentsAtSeal = new WeakMap<TestLog, Map<number, Buffer>>();

/** Notes the contents of sealed segments as soon as they are announced. */
function watchSeals(log: TestLog): void {
  const noted = new Map<number, Buffer>();
  contentsAtSeal.set(log, noted);
  const hear = log.lane.hear.bind(log.lane);
  const step = log.step.bind(log);
  log.step = () => {
    const next = step();
    hear();
    const upTo = log.lane.all('segments-sealed').at(-1)?.upTo ?? -1;
    for (const number of log.disk.hasStopped ? [] : log.segments) {
      if (number <= upTo && !noted.has(number))
        noted.set(number, Buffer.from(log.files.contents(`wal-${number}`) ?? []));
    }
    return next;
  };
}

function forEachCut(
  kind: (typeof CRASHES)[number],
  act: (log: TestLog) => void,
  check: (disk: SimulatedDisk, log: TestLog) => void,
  options: Partial<WriterOptions> = {},
  every = 1,
): void {
  for (const fate of kind === 'power cut' && every === 1 ? FATES : FATES.slice(0, 1)) {
    forEachChange(
      act,
      (cut, at) => {
        if (at % every !== 0) return;
        const { log, disk } = startLog(fate, options);
        watchSeals(log);
        disk.crashAt(disk.counts.operations + cut);
        act(log);
        log.run();
        if (kind === 'power cut') disk.powerCut();
        else disk.killProcess();
        try {
          check(disk, log);
        } catch (error) {
          throw new Error(
            `stopped at operation ${cut}, fate ${fate}: ${(error as Error).stack}\n${disk.trace}`,
          );
        }
      },
      options,
    );
  }
}

/** Calls `visit` with each operation at which what is on the disk may change. */
function forEachChange(
  act: (log: TestLog) => void,
  visit: (cut: number, at: number) => void,
  options: Partial<WriterOptions> = {},
): void {
  const { log, disk } = startLog(FIRST_FATE, options);
  const first = disk.counts.operations;
  const changes: number[] = [];
  disk.onOperation(({ index, kind }) => {
    if (!['read', 'size', 'list', 'stat', 'close'].includes(kind)) changes.push(index - first);
    return undefined;
  });
  act(log);
  log.run();
  assert.equal(log.lane.all('failed').length, 0);
  assert.ok(changes.length >= 4);
  changes.forEach(visit);
}

function startLog(fate = FIRST_FATE, options: Partial<WriterOptions> = {}) {
  const disk = diskOf(intactLog(), fate);
  const log = open(disk, options);
  log.lane.change(...BEFORE);
  log.run();
  return { log, disk, before: imageOf(disk) };
}

function open(disk: SimulatedDisk, options: Partial<WriterOptions> = {}): TestLog {
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...options } });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

function set(name: string, lsn: number, data: string): CheckpointChange {
  return { kind: 'set', name, lsn, data: Buffer.from(data) };
}

/** As the state file holds them. */
function placesOf(log: TestLog): Record<string, [lsn: number, data: string]> {
  const { state } = log;
  assert.ok(state !== undefined && 'namedCheckpoints' in state);
  return Object.fromEntries(
    [...state.namedCheckpoints].map(([name, { lsn, data }]) => [name, [lsn, Buffer.from(data).toString()]]),
  );
}

function archivedOf({ state }: TestLog): number | undefined {
  return state !== undefined && 'archived' in state ? state.archived : undefined;
}
