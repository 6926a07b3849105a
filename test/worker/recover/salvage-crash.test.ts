import assert from 'node:assert/strict';
import { Random } from '../../../src/files/simulation/random.js';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { KeptFrame } from '../../../src/format/salvage-scan.js';
import { salvageFrames } from '../../../src/format/salvage-scan.js';
import { STATE_FILE, segmentName } from '../../../src/format/segment-name.js';
import { emptyState, encodeState } from '../../../src/format/state-file.js';
import { listLog } from '../../../src/worker/directory/log-listing.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { seededTest } from '../../seed.js';
import { DIRECTORY } from '../support/test-log.js';
import { assertHolds, dataOf, diskOf, type Image, judgeFully } from './damaged-logs.js';

const RUNS = Number(process.env.RINGWAL_SALVAGES ?? 150);

seededTest('a salvage that stops again and again keeps what the first look could read', (seed) => {
  const random = new Random(seed);
  for (let run = 0; run < RUNS; run++) {
    const image = damage(randomLog(random), random);
    const disk = diskOf(image, random.next());
    const kept = readable(disk).map(({ lsn }) => lsn);
    // A log of which nothing can be read is a new one: there is nothing to compare.
    if (kept.length === 0 || judgeFully(disk).verdict !== 'corrupt') continue;
    const operations = operationsOf(image);
    const stops: number[] = [];
    while (stops.length < 6) {
      stops.push(random.below(operations));
      if (!stopsAt(disk, stops.at(-1) as number)) break;
      if (random.chance(0.5)) disk.powerCut();
      else disk.killProcess();
    }
    try {
      salvage(disk);
      assert.equal(judgeFully(disk).verdict, 'clean');
      assertHolds(disk, kept);
    } catch (error) {
      throw new Error(`run ${run}: ${[...image.keys()]} stopped at ${stops}\n${(error as Error).stack}`);
    }
  }
});

/** Short segments, single entries and batches; the watermark is at its end. */
function randomLog(random: Random): Image {
  const builder = new LogBuilder();
  const perSegment = random.pick([1, 1, 2, 4]);
  let left = 0;
  const frame = (syncedLsn: number | undefined, batchRemaining: number) => {
    if (left === 0) {
      builder.newSegment();
      left = 1 + random.below(perSegment);
    }
    left -= 1;
    const isFirst = builder.offset === 0;
    builder.frame({
      data: dataOf(builder.nextLsn),
      syncedLsn: isFirst ? builder.lastLsn : syncedLsn,
      batchRemaining,
    });
  };
  const groups = 3 + random.below(6);
  for (let group = 0; group < groups; group++) {
    const count = 1 + random.below(7);
    const isBatch = random.chance(0.6);
    const watermark = builder.lastLsn;
    for (let at = 0; at < count; at++) frame(at === 0 ? watermark : undefined, isBatch ? count - 1 - at : 0);
  }
  const image: Image = new Map(builder.build().map((bytes, number) => [segmentName(number), bytes]));
  return image.set(STATE_FILE, encodeState({ ...emptyState(LOG_ID), watermark: builder.lastLsn }));
}

/** Segments that are missing, are zeros, or have a flipped byte. */
function damage(image: Image, random: Random): Image {
  const names = [...image.keys()].filter((name) => name !== STATE_FILE);
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) {
    const at = random.below(names.length);
    const bytes = image.get(names[at] as string);
    if (bytes === undefined) continue;
    // Behind a gap of several segments everything moves down.
    if (random.chance(0.5)) for (const name of names.slice(at, at + 1 + random.below(3))) image.delete(name);
    else if (random.chance(0.4)) bytes.fill(0);
    else bytes[random.below(bytes.length)] ^= 1 << random.below(8);
  }
  return image;
}

function readable(disk: SimulatedDisk): KeptFrame[] {
  const kept: KeptFrame[] = [];
  salvageFrames(listLog(disk, DIRECTORY).segments, LOG_ID, (frames) => kept.push(...frames));
  return kept;
}

function salvage(disk: SimulatedDisk): void {
  repairLog(disk, DIRECTORY, 'salvage', false, 0o600);
}

/** Of a salvage that nothing interrupts. */
function operationsOf(image: Image): number {
  const disk = diskOf(image);
  const before = disk.counts.operations;
  salvage(disk);
  return disk.counts.operations - before;
}

/** False = it came to its end before that operation. */
function stopsAt(disk: SimulatedDisk, operation: number): boolean {
  const at = disk.counts.operations + operation;
  disk.crashAt(at);
  try {
    salvage(disk);
  } catch (error) {
    if (disk.counts.operations <= at) throw error;
    return true;
  }
  disk.clearFaults();
  return false;
}
