import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { type LsnRange, LsnSet } from '../../../src/format/lsn-set.js';
import { type Candidate, planRuns, toSurvey } from '../../../src/main/compact/plan-runs.js';
import { JobControl } from '../../../src/protocol/job-control.js';
import { compactRunOn } from '../../../src/worker/compact/compact-run.js';
import { surveyOn } from '../../../src/worker/compact/survey-garbage.js';
import { SEED } from '../../seed.js';
import { judgeFully } from '../recover/damaged-logs.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, newDisk, type TestLog } from '../support/test-log.js';
import { begin, entriesOf, install, NO_LIMIT, openLog, requestFor } from './support.js';

const LIVES = 150;
const ROUNDS = 6;

/** Numbers below a limit, the same for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = (seed * 2654435761) >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What the log must hold: each entry by its LSN, and those that somebody asked to drop. */
class Model {
  readonly appended = new Map<number, string>();
  readonly dropped = new Set<number>();

  /** Every entry is there that nobody asked to drop, nothing else, and nothing changed. */
  check(disk: SimulatedDisk, lastLsn: number, what: string): void {
    const { verdict, trouble } = judgeFully(disk);
    assert.ok(verdict === 'clean' || verdict === 'torn', `${what}: ${verdict} ${JSON.stringify(trouble)}`);
    const found = entriesOf(disk);
    for (const [lsn, data] of found) assert.equal(Buffer.from(data).toString(), this.appended.get(lsn), what);
    for (const lsn of this.appended.keys()) {
      if (lsn <= lastLsn && !this.dropped.has(lsn))
        assert.ok(found.has(lsn), `${what}: entry ${lsn} is lost`);
    }
  }
}

function live(seed: number): void {
  const random = randomOf(seed);
  const disk = newDisk(seed);
  const compression = random(2) === 0 ? undefined : ({ codec: 'lz4' } as const);
  const options = { maxFileSize: 4096 + random(8192), compression, timeResolution: random(2) * 100 };
  const model = new Model();
  let log = openLog(disk, options);
  for (let round = 0; round < ROUNDS; round++) {
    appendSome(log, model, random);
    const lastLsn = log.status.get('durableLsn');
    const drop = chooseDrop(random, lastLsn);
    for (const { first, last } of drop) for (let lsn = first; lsn <= last; lsn++) model.dropped.add(lsn);
    const isCut = random(2) === 0;
    const at = disk.counts.operations + random(60);
    if (isCut) disk.crashAt(at);
    try {
      compactAll(log, drop, random(3) / 4, options.maxFileSize);
    } catch (error) {
      if (!isCut || disk.counts.operations <= at) throw error;
    }
    const hasStopped = isCut && disk.counts.operations > at;
    if (hasStopped) {
      if (random(2) === 0) disk.powerCut();
      else disk.killProcess();
      log.dispose();
      model.check(disk, lastLsn, `seed ${seed}, round ${round}, after a crash`);
      log = openLog(disk, options);
    } else {
      disk.clearFaults();
    }
    assert.equal(log.status.get('lastLsn'), lastLsn, `seed ${seed}, round ${round}`);
    model.check(disk, lastLsn, `seed ${seed}, round ${round}`);
    if (random(3) === 0) {
      log.close();
      log = openLog(disk, options);
      assert.equal(log.recovered.report.verdict, 'clean', `seed ${seed}, round ${round}`);
    }
  }
  log.close();
}

function appendSome(log: TestLog, model: Model, random: (below: number) => number): void {
  for (let group = 0; group < 4 + random(6); group++) {
    const next = () => {
      const lsn = model.appended.size + 1;
      const text = `entry ${lsn} ${'abcdefgh'.repeat(random(40))}${random(1e9)}`;
      model.appended.set(lsn, text);
      return Buffer.from(text);
    };
    if (random(3) === 0) log.lane.appendBatch(Array.from({ length: 2 + random(5) }, next), Level.durable);
    else for (let each = random(6); each >= 0; each--) log.lane.append(next(), Level.durable);
    log.run();
  }
  assert.equal(log.status.get('durableLsn'), model.appended.size);
}

function chooseDrop(random: (below: number) => number, lastLsn: number): LsnRange[] {
  const ranges: LsnRange[] = [];
  for (let each = random(12); each >= 0; each--) {
    const first = 1 + random(lastLsn);
    ranges.push({ first, last: Math.min(lastLsn, first + (random(4) === 0 ? random(60) : random(4))) });
  }
  return ranges;
}

/** As src/main/compact/compactions.ts does, on this thread. */
function compactAll(log: TestLog, drop: readonly LsnRange[], minGarbage: number, maxFileSize: number): void {
  const begun = begin(log);
  const { disk } = log;
  const known = log.recovered.start.catalog.toArray().map(({ number, firstLsn, bytes }, at, all) => {
    const next = all[at + 1];
    return { number, firstLsn, lastLsn: (next?.firstLsn || log.status.get('lastLsn') + 1) - 1, bytes };
  });
  const candidates: Candidate[] = known.filter(({ number, firstLsn }) => number < begun.end && firstLsn > 0);
  const wanted = LsnSet.of(drop);
  const { directory, logId } = { directory: DIRECTORY, logId: begun.logId };
  const control = new JobControl().buffer;
  const segments = toSurvey(candidates, wanted);
  const survey = surveyOn(disk, { directory, logId, segments, drop: wanted.pairs, control });
  const plan = planRuns(candidates, survey.segments, wanted, { minGarbage, maxFileSize });
  for (const { segments: numbers } of plan.runs) {
    const last = known.findIndex(({ number }) => number === numbers.at(-1));
    const own = known.filter(({ number }) => numbers.includes(number));
    const { ranges } = plan.drop.within(own[0]?.firstLsn ?? 0, own.at(-1)?.lastLsn ?? 0);
    const request = requestFor(begun, numbers, ranges, (known[last + 1]?.number ?? 0) - 1);
    const run = compactRunOn(disk, request, NO_LIMIT());
    if ('number' in run) assert.deepEqual(install(log, run, begun.cuts), { installed: true });
  }
}

test(`${LIVES} lives of a log that is compacted again and again hold what a Map holds (seed ${SEED})`, () => {
  for (let seed = SEED; seed < SEED + LIVES; seed++) live(seed);
});
