import { link, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { type Outcome, oneSize, type Task, type Workload } from './workload.js';

/** Bytes of frames in the log: sixteen or five segments of the default size. */
const LOG_BYTES = { full: 2 ** 30, quick: 5 * 2 ** 26 } as const;
const PASSES = { full: 3, quick: 1 } as const;
const MIB = 2 ** 20;

/** Measures what several threads gain in the verification of a whole log. */
export const verify: Workload = {
  name: 'verify',
  title: '`Wal.verify` of a large log, 100 B',
  note:
    'From the page cache, every frame read and checksummed. Segment by segment: the same files, each as a log of its own, ' +
    'one after the other, since a log of one segment is read by one thread. In turn, medians; the ratio is of neighbours.',
  metrics: ['verifyMibPerS', 'verifyApartMibPerS', 'verifyGain'],
  contenders: ['ringwal'],
  sizes: oneSize,
  run,
};

async function run({ directory, entryBytes, scale }: Task): Promise<Outcome> {
  const { Wal } = await import('#ringwal');
  const whole = join(directory, 'whole');
  const wal = await Wal.open(whole);
  const entry = entryOf(entryBytes);
  while (wal.stats().segmentBytes < LOG_BYTES[scale]) {
    for (let left = 10_000; left > 0; ) {
      if (wal.tryAppend(entry)) left--;
      else await wal.ready(entry.length);
    }
  }
  await wal.close();

  const check = async (log: string): Promise<number> => {
    const { verdict, segments } = await Wal.verify(log);
    if (verdict !== 'clean') throw new Error(`${log} is ${verdict}`);
    return segments.reduce((sum, { bytes }) => sum + bytes, 0);
  };
  const { segments } = await Wal.verify(whole);
  const parts: string[] = [];
  for (const { path } of segments) {
    const part = join(directory, `part-${basename(path)}`);
    await mkdir(part);
    await link(path, join(part, basename(path)));
    parts.push(part);
  }

  const mibPerS = async (logs: readonly string[]): Promise<number> => {
    const startedMs = performance.now();
    let bytes = 0;
    for (const log of logs) bytes += await check(log);
    return bytes / MIB / ((performance.now() - startedMs) / 1e3);
  };
  const together: number[] = [];
  const apart: number[] = [];
  for (let pass = 0; pass < PASSES[scale]; pass++) {
    together.push(await mibPerS([whole]));
    apart.push(await mibPerS(parts));
  }
  const gains = together.map((figure, pass) => figure / (apart[pass] as number));
  return {
    figures: {
      verifyMibPerS: spreadOf(together).median,
      verifyApartMibPerS: spreadOf(apart).median,
      verifyGain: spreadOf(gains).median,
    },
  };
}
