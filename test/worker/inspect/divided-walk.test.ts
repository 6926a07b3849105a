import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { segmentName } from '../../../src/format/segment-name.js';
import { encodeState, type LogState } from '../../../src/format/state-file.js';
import { inspectWholeLog } from '../../../src/main/jobs/inspect-log.js';
import { type DivisionSizes, type WalkRequest, walkRun } from '../../../src/worker/inspect/divided-walk.js';
import { type Inspection, inspect, inspectOrDivide } from '../../../src/worker/inspect/inspect.js';
import { entries, LOG_ID, LogBuilder, state } from '../../format/log-builder.js';
import { type RandomLog, randomLogs } from '../../format/random-logs.js';
import { seededTest } from '../../seed.js';
import { DAMAGES, damagedLog, type Image, intactLog } from '../recover/damaged-logs.js';
// So that the threads of the pool start from the sources.
import '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';

/** Divides every log of two segments, each a job of its own. */
const ALWAYS: DivisionSizes = { log: 0, run: 1 };
const NEVER: DivisionSizes = { log: Number.POSITIVE_INFINITY, run: 1 };

/** A directory of the folder with these files. */
function planted(folder: string, name: string, image: Image): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  for (const [file, bytes] of image) writeFileSync(join(directory, file), bytes);
  return directory;
}

function imageOf({ segments, state }: RandomLog): Image {
  const image: Image = new Map(segments.map(({ number, bytes }) => [segmentName(number), bytes]));
  if (state !== undefined)
    image.set('ringwal.state', 'fault' in state ? new Uint8Array(3) : encodeState(state));
  return image;
}

const newProgress = () => new SharedArrayBuffer(16);
const readAndTotal = (progress: SharedArrayBuffer) => [...new BigInt64Array(progress)].map(Number);

/** As the pool does it, on this thread, the last jobs first. */
function inspectDivided(directory: string, progress: SharedArrayBuffer): Inspection {
  const request = { directory, full: true, progress };
  const found = inspectOrDivide({ ...request, sizes: ALWAYS });
  assert.ok(!('failure' in found));
  if (!('walks' in found)) return found;
  const walks = found.walks.toReversed().flatMap((walk: WalkRequest) => [...walkRun(walk).walks]);
  const judged = inspect({ ...request, known: structuredClone(new Map(walks)) });
  assert.ok(!('failure' in judged));
  return judged;
}

seededTest('verify finds the same of any log, divided among jobs or not', (seed, t) => {
  const made = temporaryDirectory(t);
  let count = 0;
  const property = fc.property(randomLogs(), fc.option(fc.tuple(fc.nat(3), fc.nat(300))), (log, cut) => {
    const known = log.state;
    // A cut that was begun and not finished: what stands behind it counts no more.
    const pendingCut = cut === null ? undefined : { segment: cut[0], offset: cut[1], lsn: 1 };
    const isCut = known !== undefined && 'logId' in known && pendingCut !== undefined;
    const state = isCut ? ({ ...known, pendingCut } satisfies LogState) : known;
    const directory = planted(made, String(count++), imageOf({ ...log, state }));
    const whole = inspect({ directory, full: true });
    assert.deepEqual(inspectDivided(directory, newProgress()), whole);
    rmSync(directory, { recursive: true });
  });
  fc.assert(property, { seed, numRuns: 300 });
});

test('the pool finds the same of every damage, divided among its threads or not', async (t) => {
  const made = temporaryDirectory(t);
  for (const [at, damage] of DAMAGES.entries()) {
    const directory = planted(made, String(at), damagedLog(damage).image);
    const divided = await inspectWholeLog(directory, newProgress(), {}, ALWAYS);
    assert.equal(divided.judgement.row, damage.row, damage.name);
    assert.deepEqual(divided, await inspectWholeLog(directory, newProgress(), {}, NEVER), damage.name);
  }
});

test('a log is divided from the bytes on that are worth it, into runs that are worth a job', (t) => {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 10; segment++) builder.newSegment().group(entries(3, 100), builder.lastLsn);
  const segments = builder.build();
  const image: Image = new Map(segments.map((bytes, number) => [segmentName(number), bytes]));
  const directory = planted(temporaryDirectory(t), 'log', image);
  const sizes = segments.map(({ length }) => length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const dividedBy = (sizes: DivisionSizes) => {
    const found = inspectOrDivide({ directory, full: true, sizes });
    assert.ok(!('failure' in found));
    return 'walks' in found ? found.walks.map(({ numbers }) => numbers) : undefined;
  };
  assert.equal(dividedBy({ log: total + 1, run: 1 }), undefined);
  assert.deepEqual(
    dividedBy({ log: total, run: 1 }),
    sizes.map((_, number) => [number]),
  );
  assert.deepEqual(dividedBy({ log: 0, run: (sizes[0] as number) * 3 + 100 }), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9],
  ]);
  assert.deepEqual(dividedBy({ log: 0, run: Number.POSITIVE_INFINITY }), [sizes.map((_, number) => number)]);
  const one = planted(temporaryDirectory(t), 'log', new Map([[segmentName(0), segments[0] as Uint8Array]]));
  const whole = inspectOrDivide({ directory: one, full: true, sizes: ALWAYS });
  assert.ok('judgement' in whole, 'one segment is not divided');
});

test('a job walks no further than the first frame that is not valid, or the first file that cannot be read', (t) => {
  const { image } = damagedLog(DAMAGES[0] as (typeof DAMAGES)[number]);
  const directory = planted(temporaryDirectory(t), 'log', image);
  const request = { directory, numbers: [0, 1, 2], logId: undefined, cut: undefined, progress: undefined };
  const found = walkRun(request);
  assert.deepEqual([[...found.walks.keys()], found.goesOn], [[], false]);
  const missing = walkRun({ ...request, numbers: [1, 2, 7, 3] });
  assert.deepEqual([[...missing.walks.keys()], missing.goesOn], [[1, 2], false]);
});

test('a file that cannot be read is reported the same, divided or not', async (t) => {
  const directory = planted(temporaryDirectory(t), 'log', intactLog());
  rmSync(join(directory, segmentName(2)));
  mkdirSync(join(directory, segmentName(2)));
  for (const sizes of [ALWAYS, NEVER]) {
    const error = await inspectWholeLog(directory, newProgress(), {}, sizes).catch((thrown) => thrown);
    const path = join(directory, segmentName(2));
    assert.deepEqual([error.code, error.path, error.cause.code], ['ERR_WAL_IO', path, 'EISDIR']);
  }
});

test('progress grows up to all bytes, divided or not', async (t) => {
  const builder = new LogBuilder();
  for (let segment = 0; segment < 6; segment++)
    builder.newSegment().group(entries(40, 5000), builder.lastLsn);
  const segments = builder.build();
  const image: Image = new Map(segments.map((bytes, number) => [segmentName(number), bytes]));
  const directory = planted(
    temporaryDirectory(t),
    'log',
    image.set('ringwal.state', encodeState(state(240, LOG_ID))),
  );
  const total = segments.reduce((sum, { length }) => sum + length, 0);
  for (const sizes of [NEVER, ALWAYS]) {
    const progress = newProgress();
    const told: number[] = [];
    const timer = setInterval(() => told.push(readAndTotal(progress)[0] as number), 1);
    const { judgement } = await inspectWholeLog(directory, progress, {}, sizes);
    clearInterval(timer);
    assert.equal(judgement.verdict, 'clean');
    const [bytesRead, bytesTotal] = readAndTotal(progress) as [number, number];
    assert.equal(bytesTotal, total);
    assert.ok(bytesRead >= total, `${bytesRead} of ${total}`);
    assert.deepEqual(
      told,
      told.toSorted((a, b) => a - b),
    );
  }
});
