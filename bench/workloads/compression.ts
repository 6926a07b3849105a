import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasZstd } from '../../src/blocks/zstd.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const ENTRIES = { full: 2_000_000, quick: 100_000 } as const;
/** More than a block holds, so that no block has an entry twice. */
const DISTINCT = 20_000;
/** A ring's worth of entries, and time for the compiler. */
const WARM_UP = { full: 500_000, quick: 20_000 } as const;

const LOOKUPS = 2_000;

/** What compression costs and saves: lines of JSON of about 100 bytes, all different within a block. */
export const compression: Workload = {
  name: 'compression',
  title: 'Compression, lines of JSON of 100 B, until everything is fsynced',
  note:
    'Fire and forget as above, but the entries differ. Stored: bytes of the segments for each byte of data. In bulk: `batches()` of ' +
    'the log, opened again, the second pass of two. At random: `get`, each awaited, of 2,000 entries that are far apart, again and again.',
  metrics: ['entriesPerS', 'storedShare', 'batchesNs', 'getUs'],
  contenders: ['ringwal', 'ringwal, lz4', ...(hasZstd ? ['ringwal, zstd'] : [])],
  sizes: oneSize,
  fillsPageCache: true,
  run: (task) => run(task, jsonLine),
};

/** What compression costs where it cannot help. */
export const incompressible: Workload = {
  ...compression,
  name: 'incompressible',
  title: 'The same with random bytes',
  note: 'As above.',
  metrics: ['entriesPerS', 'storedShare'],
  contenders: ['ringwal', 'ringwal, lz4'],
  run: (task) => run(task, noise),
};

async function run(task: Task, entryAt: (at: number) => Buffer): Promise<Outcome> {
  const entries = Array.from({ length: DISTINCT }, (_, at) => entryAt(at));
  const count = ENTRIES[task.scale];
  const contender = contenderOf(task);
  const sink = await contender.openSink!(task.directory);
  const feed = async (from: number, to: number) => {
    for (let at = from; at < to; ) {
      const entry = entries[at % DISTINCT] as Buffer;
      if (sink.push(entry, 1) === 1) at += 1;
      else await sink.room(entry.length);
    }
    await sink.sync();
  };
  const warmUp = WARM_UP[task.scale];
  await feed(0, warmUp);
  const startedMs = performance.now();
  await feed(warmUp, warmUp + count);
  const seconds = (performance.now() - startedMs) / 1e3;
  await sink.close();

  const log = join(task.directory, 'log');
  const segments = readdirSync(log).filter((name) => name.startsWith('wal-'));
  const storedBytes = segments.reduce((sum, name) => sum + statSync(join(log, name)).size, 0);
  const all = warmUp + count;
  let dataBytes = 0;
  for (let at = 0; at < all; at++) dataBytes += (entries[at % DISTINCT] as Buffer).length;

  const archive = await contender.openArchive!(task.directory);
  await archive.readBatches?.();
  const readingMs = performance.now();
  const bytes = await archive.readBatches?.();
  const batchesNs = ((performance.now() - readingMs) * 1e6) / all;
  const getUs = archive.readOne && (await lookUp(archive.readOne, all));
  await archive.close();
  if (bytes !== dataBytes) throw new Error(`read ${bytes} bytes of ${dataBytes}`);
  return {
    figures: { entriesPerS: count / seconds, storedShare: storedBytes / dataBytes, batchesNs, getUs },
  };
}

/** Mean µs of a look-up, in the second of two passes over the same entries. */
async function lookUp(readOne: (index: number) => Promise<number>, count: number): Promise<number> {
  let startedMs = 0;
  for (let pass = 0; pass < 2; pass++) {
    startedMs = performance.now();
    for (let turn = 0; turn < LOOKUPS; turn++) await readOne((turn * 0x9e3779b1) % count);
  }
  return ((performance.now() - startedMs) * 1e3) / LOOKUPS;
}

function jsonLine(at: number): Buffer {
  const scattered = Math.imul(at, 0x9e3779b1) >>> 0;
  return Buffer.from(
    JSON.stringify({
      time: 1_700_000_000_000 + 17 * at,
      level: 30,
      user: `user-${scattered % 5000}`,
      path: `/items/${scattered % 977}`,
      ms: scattered % 250,
    }),
  );
}

function noise(at: number): Buffer {
  let state = Math.imul(at + 1, 0x9e3779b1) | 1;
  return Buffer.from(
    Array.from({ length: 100 }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    }),
  );
}
