import assert from 'node:assert/strict';
import { Random, SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { ByteSource, SegmentFile } from '../../../src/format/bytes.js';
import { MAX_LSN } from '../../../src/format/frame.js';
import { STATE_FILE } from '../../../src/format/segment-name.js';
import { decodeState } from '../../../src/format/state-file.js';
import { judgeLog } from '../../../src/format/verdict.js';
import { listLog } from '../../../src/worker/directory/log-listing.js';
import { LogFailure } from '../../../src/worker/errors/failure.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { planSalvage } from '../../../src/worker/recover/salvage-segments.js';
import { seededTest } from '../../seed.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';
import { type Image, intactLog, judgeFully, walgoLog } from './damaged-logs.js';
import { forgedLog } from './forged-logs.js';

const ROUNDS = Number(process.env.RINGWAL_ROUNDS ?? 300);
/** How often the judge may look at a byte: first look, walk, tail, heads, row 3's budget of 16. */
const LOOKS_MAX = 32;

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

/** What may have become of a file; each is made of bytes that were a log once, so that much of it still makes sense. */
const MUTATIONS: readonly Mutation[] = [
  function flipBits(bytes, random) {
    for (let flips = 1 + random.below(8); flips > 0; flips--) {
      bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    }
    return bytes;
  },
  function overwrite(bytes, random) {
    const from = random.below(bytes.length);
    return bytes.fill(random.pick([0, 0xff, 0x08, 0x7d]), from, from + random.below(bytes.length));
  },
  function forgeSize(bytes, random) {
    // What is shorter than a size has none.
    if (bytes.length < 4) return bytes;
    const at = random.below(bytes.length - 3);
    new DataView(bytes.buffer).setInt32(
      at,
      random.pick([-1, 0, 1, 2 ** 30, 2 ** 30 + 128, 0x7fff_ffff, bytes.length]),
      true,
    );
    return bytes;
  },
  function truncate(bytes, random) {
    return bytes.slice(0, random.below(bytes.length));
  },
  function repeat(bytes, random) {
    const from = random.below(bytes.length);
    return Uint8Array.from([
      ...bytes.slice(0, from),
      ...bytes.slice(random.below(bytes.length)),
      ...bytes.slice(from),
    ]);
  },
  function remove(bytes, random) {
    const from = random.below(bytes.length);
    return Uint8Array.from([...bytes.slice(0, from), ...bytes.slice(from + random.below(64))]);
  },
  function grow(bytes, random) {
    return Uint8Array.from([...bytes, ...new Uint8Array(random.below(600))]);
  },
];

/** A log of which one or more files are not what they were. */
function mutate(image: Image, random: Random): Image {
  for (let mutations = 1 + random.below(4); mutations > 0; mutations--) {
    const name = random.pick([...image.keys()]);
    const bytes = image.get(name) as Uint8Array;
    const fate = random.below(10);
    if (fate === 0) image.delete(name);
    else if (fate === 1) image.set(name, (image.get(random.pick([...image.keys()])) as Uint8Array).slice());
    else if (bytes.length > 0) image.set(name, random.pick(MUTATIONS)(bytes.slice(), random));
    if (image.size === 0) break;
  }
  return image;
}

/** A log that was damaged, one whose frames lie, or both. */
function mutantOf(random: Random): Image {
  const origin = random.below(10);
  if (origin < 4) return mutate(intactLog(), random);
  if (origin < 6) return mutate(walgoLog(), random);
  const forged = forgedLog(random);
  return origin < 8 || forged.size === 0 ? forged : mutate(forged, random);
}

function diskWith(image: Image): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.mkdir('/logs');
  disk.mkdir(DIRECTORY);
  for (const [name, bytes] of image) disk.plant(`${DIRECTORY}/${name}`, bytes);
  return disk;
}

/** Counts what is read, and refuses to be asked for more than there is. */
function watched(image: Image): { files: SegmentFile[]; bytesRead: () => number; size: number } {
  let bytesRead = 0;
  let size = 0;
  const { segments } = listLog(diskWith(image), DIRECTORY);
  const files = segments.map((file) => {
    const bytes = image.get(`wal-${file.number}`) as Uint8Array;
    size += bytes.length;
    return {
      number: file.number,
      open: (): ByteSource => ({
        size: bytes.length,
        read(offset, length) {
          assert.ok(offset >= 0 && offset <= bytes.length, `asked for byte ${offset} of ${bytes.length}`);
          const piece = bytes.subarray(offset, offset + length);
          bytesRead += piece.length;
          return piece;
        },
      }),
    };
  });
  return { files, bytesRead: () => bytesRead, size };
}

/** Only an answer or an error of ours: anything else is a crash. */
function survive<T>(act: () => T): T | LogFailure {
  try {
    return act();
  } catch (error) {
    if (error instanceof LogFailure) return error;
    throw error;
  }
}

function eachMutant(seed: number, check: (image: Image, random: Random, mutant: number) => void): void {
  for (let mutant = 0; mutant < ROUNDS; mutant++) {
    const random = new Random(seed + mutant);
    const image = mutantOf(random);
    try {
      check(image, random, mutant);
    } catch (error) {
      throw new Error(`mutant ${mutant} of seed ${seed}: ${(error as Error).stack}`);
    }
  }
}

seededTest('the judge answers for any bytes, and reads no byte too often', (seed) => {
  eachMutant(seed, (image) => {
    const { files, bytesRead, size } = watched(image);
    const { lastLsn, end } = judgeLog({ segments: files, state: undefined, full: true });
    assert.ok(lastLsn >= 0 && end.offset >= 0);
    assert.ok(bytesRead() <= LOOKS_MAX * size + 4096 * files.length, `${bytesRead()} bytes read of ${size}`);
  });
});

seededTest('a salvage plan of any bytes keeps LSNs that only grow', (seed) => {
  eachMutant(seed, (image) => {
    const { files } = watched(image);
    const { logId } = judgeLog({ segments: files, state: undefined, full: true });
    const { firstLsn, lastLsn, entries } = planSalvage(files, logId ?? 1n, undefined);
    assert.ok(entries === 0 ? lastLsn === 0 : lastLsn - firstLsn + 1 >= entries);
  });
});

for (const recovery of ['strict', 'point-in-time', 'skip-corrupt'] as const) {
  seededTest(
    `open (${recovery}) of any bytes opens a log that opens again, or refuses and changes nothing`,
    (seed) => {
      eachMutant(seed, (image) => {
        const disk = diskWith(image);
        const before = new Map(
          disk.names(DIRECTORY).map((name) => [name, disk.contents(`${DIRECTORY}/${name}`)]),
        );
        const found = survive(() => recoverLog(disk, { ...OPTIONS, recovery }));
        if (found instanceof LogFailure) {
          assert.ok(
            ['ERR_WAL_CORRUPT', 'ERR_WAL_UNSUPPORTED'].includes(found.failure.code),
            found.failure.message,
          );
          if (recovery !== 'strict')
            assert.equal(found.failure.code, 'ERR_WAL_UNSUPPORTED', found.failure.message);
          // A cut that was begun is finished before anything is judged.
          if (hasPendingCut(image)) return;
          for (const [name, bytes] of before)
            assert.deepEqual(disk.contents(`${DIRECTORY}/${name}`), bytes, name);
          return;
        }
        assertGoesOn(disk, found.report.lastLsn);
      });
    },
  );
}

for (const mode of ['truncate', 'salvage'] as const) {
  seededTest(`repair (${mode}) of any bytes leaves a log that opens, and a dry run foretells it`, (seed) => {
    eachMutant(seed, (image) => {
      const foretold = survive(() => repairLog(diskWith(image), DIRECTORY, mode, true, 0o600));
      const disk = diskWith(image);
      const done = survive(() => repairLog(disk, DIRECTORY, mode, false, 0o600));
      if (done instanceof LogFailure || foretold instanceof LogFailure) {
        assert.deepEqual(done, foretold);
        return;
      }
      assert.equal(done.lastLsn, foretold.lastLsn);
      assert.ok(['clean', 'torn'].includes(judgeFully(disk).verdict), 'a full reading finds it well');
      assert.deepEqual(
        repairLog(disk, DIRECTORY, mode, false, 0o600).sideFiles,
        [],
        'nothing is left to repair',
      );
      assertGoesOn(disk, done.lastLsn);
      assert.equal(judgeFully(disk).verdict, 'clean');
    });
  });
}

function hasPendingCut(image: Image): boolean {
  const bytes = image.get(STATE_FILE);
  const state = bytes && decodeState(bytes);
  return state !== undefined && 'pendingCut' in state;
}

/** It opens in the strictest mode, takes entries as long as there are LSNs, and opens again. */
function assertGoesOn(disk: SimulatedDisk, lastLsn: number): void {
  const log = new TestLog({ disk });
  assert.equal(log.recovered.report.lastLsn, lastLsn);
  log.syncer.isPrompt = true;
  const sequences = ['one', 'two'].map((data) => log.lane.append(data, Level.durable));
  log.run();
  const acknowledged = sequences.map((sequence) => log.lane.acknowledged('durable').get(sequence));
  const expected = [lastLsn + 1, lastLsn + 2].map((lsn) => (lsn <= MAX_LSN ? lsn : undefined));
  assert.deepEqual(acknowledged, expected);
  log.close();
  const again = recoverLog(disk, OPTIONS).report;
  assert.deepEqual([again.verdict, again.lastLsn], ['clean', Math.min(lastLsn + 2, MAX_LSN)]);
}
