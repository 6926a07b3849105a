import assert from 'node:assert/strict';
import { BlockEntries } from '../../../src/blocks/block-entries.js';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { withSource } from '../../../src/format/bytes.js';
import { FrameCursor } from '../../../src/format/frame-cursor.js';
import type { LsnRange } from '../../../src/format/lsn-set.js';
import { LsnSet } from '../../../src/format/lsn-set.js';
import { surveyLog } from '../../../src/format/survey.js';
import type {
  BegunCompaction,
  CompactedRun,
  CompactRunRequest,
  InstalledCompaction,
} from '../../../src/protocol/compaction.js';
import { JobControl } from '../../../src/protocol/job-control.js';
import { compactRunOn } from '../../../src/worker/compact/compact-run.js';
import { Throttle } from '../../../src/worker/compact/throttle.js';
import { listLog } from '../../../src/worker/directory/log-listing.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { DIRECTORY, TestLog, type TestLogSettings } from '../support/test-log.js';

export const NO_LIMIT = () => new Throttle(Number.POSITIVE_INFINITY, () => 0);

/** A log whose syncs return at once. */
export function openLog(disk: SimulatedDisk, options: TestLogSettings['options'] = {}): TestLog {
  const log = new TestLog({ disk, options: { maxFileSize: 400, ...options } });
  log.syncer.isPrompt = true;
  log.run();
  return log;
}

/** All entries, in order, by a strict walk over every frame. */
export function entriesOf(disk: SimulatedDisk): Map<number, Uint8Array> {
  const state = readState(disk, DIRECTORY);
  const listed = listLog(disk, DIRECTORY).segments;
  const { files, logId } = surveyLog(listed, state !== undefined && 'logId' in state ? state : undefined);
  const entries = new Map<number, Uint8Array>();
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  for (const file of files) {
    withSource(file, (source) => {
      cursor.enter(source, file.number);
      for (;;) {
        const { offset } = cursor;
        const outcome = cursor.next();
        if (outcome === 'end') break;
        assert.equal(outcome, undefined, `wal-${file.number} at byte ${offset}`);
        const { lsn } = cursor.frame;
        const block = BlockEntries.of(cursor);
        assert.notEqual(typeof block, 'string');
        if (block === undefined) entries.set(lsn, cursor.readData());
        for (let at = 0; typeof block === 'object' && at < block.count; at++)
          entries.set(lsn + at, block.data(at));
      }
    });
  }
  return entries;
}

export function begin(log: TestLog, sealsLive = false): BegunCompaction {
  return answer<BegunCompaction>(log, log.lane.send({ name: 'beginCompaction', lsn: 0, sealsLive }));
}

export function requestFor(
  { logId, place }: BegunCompaction,
  segments: readonly number[],
  drop: readonly LsnRange[],
  lastNumber = segments.at(-1) as number,
): CompactRunRequest {
  return {
    directory: DIRECTORY,
    place,
    logId,
    segments,
    lastNumber,
    drop: LsnSet.of(drop).pairs,
    fileMode: 0o600,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    control: new JobControl().buffer,
  };
}

/** Steps 1 and 2. */
export function write(
  log: TestLog,
  segments: readonly number[],
  drop: readonly LsnRange[],
  lastNumber?: number,
): CompactedRun {
  const run = compactRunOn(log.disk, requestFor(begin(log), segments, drop, lastNumber), NO_LIMIT());
  assert.ok('number' in run, 'an entry is left');
  return run;
}

/** Steps 3 to 7. */
export function install(
  log: TestLog,
  run: CompactedRun,
  cuts = begin(log).cuts,
  sealsLive = false,
): InstalledCompaction {
  const lsn = run.firstLsn;
  return answer(log, log.lane.send({ name: 'installCompaction', lsn, run, cuts, sealsLive }));
}

export function compact(
  log: TestLog,
  segments: readonly number[],
  drop: readonly LsnRange[],
  lastNumber?: number,
): void {
  const cuts = begin(log).cuts;
  const installed = install(log, write(log, segments, drop, lastNumber), cuts);
  assert.deepEqual(installed, { installed: true });
}

function answer<T>(log: TestLog, id: number): T {
  log.run();
  log.lane.hear();
  const rejected = log.lane.all('command-rejected').find((message) => message.id === id);
  assert.equal(rejected, undefined, rejected?.failure.message);
  const done = log.lane.all('command-done').find((message) => message.id === id);
  return done?.result as T;
}

/** `from` to `to`, without those in `drop`. */
export function lsnsWithout(from: number, to: number, drop: readonly LsnRange[]): number[] {
  const set = LsnSet.of(drop);
  return Array.from({ length: to - from + 1 }, (_, at) => from + at).filter((lsn) => !set.has(lsn));
}
