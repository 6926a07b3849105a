import type { Sink } from '../contenders/contender.js';
import { entryOf, feed } from '../measure/feed.js';
import { mainThreadCpuNs } from '../measure/threads.js';
import { contenderOf, type Outcome, oneSize, type Scale, type Task, type Workload } from './workload.js';

const MIB = 2 ** 20;
const LIMITS = {
  full: { entries: 3_000_000, bytes: 192 * MIB, warmUpMs: 250 },
  quick: { entries: 150_000, bytes: 16 * MIB, warmUpMs: 25 },
} as const;

/** Fire and forget until everything is fsynced: the throughput, and the cost to the main thread. */
export const fireAndForget: Workload = {
  name: 'fire-and-forget',
  title: 'Fire-and-forget, until everything is fsynced',
  note:
    'From the first push to the return of the one fsync that covers all. Inside accepted calls: wall time of bursts of ' +
    '1,000 appends without the waiting for room, or the CPU time of the whole thread where that is less; both ' +
    'bound what the calls cost. Main-thread CPU: of the whole time, waiting and events included.',
  metrics: ['entriesPerS', 'payloadMibPerS', 'insideNs', 'mainCpuNs'],
  contenders: [
    'ringwal',
    'raw 1 MiB blocks',
    'createWriteStream',
    'pino transport',
    'sonic-boom',
    'lmdb',
    'classic-level',
    'better-sqlite3',
  ],
  sizes: (scale: Scale) => (scale === 'quick' ? [16, 100, 4096] : [16, 100, 1024, 4096, 65_536]),
  floor: 'raw 1 MiB blocks',
  fillsPageCache: true,
  run,
};

/** The cost of preparing segments in advance for a log under full load. */
export const preallocated: Workload = {
  ...fireAndForget,
  name: 'preallocated',
  title: 'The same with `preallocate`, 100 B',
  note: 'As above. Durable latency, below, is what it is for.',
  contenders: ['ringwal', 'ringwal, growing', 'ringwal, zero', 'ringwal, recycle', 'raw 1 MiB blocks'],
  sizes: oneSize,
};

/** The gain and cost of the sizes that can be configured. */
export const tuned: Workload = {
  ...fireAndForget,
  name: 'tuned',
  title: 'The same with other sizes of ring and segment, 100 B',
  note: 'As above. What a larger ring is for are bursts.',
  contenders: [
    'ringwal',
    'ringwal, ring of 1 MiB',
    'ringwal, ring of 64 MiB',
    'ringwal, segments of 8 MiB',
    'ringwal, segments of 512 MiB',
    'raw 1 MiB blocks',
  ],
  sizes: oneSize,
};

async function run(task: Task): Promise<Outcome> {
  const limits = LIMITS[task.scale];
  const entry = entryOf(task.entryBytes);
  const count = Math.min(limits.entries, Math.floor(limits.bytes / entry.length));
  const sink = await contenderOf(task).openSink!(task.directory);

  await warmUp(sink, entry, count * entry.length, limits.warmUpMs);

  const startedCpuNs = mainThreadCpuNs();
  const startedMs = performance.now();
  const insideMs = await feed(sink, entry, count);
  await sink.sync();
  const seconds = (performance.now() - startedMs) / 1e3;
  const endedCpuNs = mainThreadCpuNs();
  await sink.close();

  const mainCpuNs =
    startedCpuNs === undefined || endedCpuNs === undefined ? undefined : (endedCpuNs - startedCpuNs) / count;
  const insideNs = (insideMs * 1e6) / count;
  return {
    figures: {
      entriesPerS: count / seconds,
      payloadMibPerS: (count * entry.length) / MIB / seconds,
      insideNs: Math.min(insideNs, mainCpuNs ?? insideNs),
      mainCpuNs,
    },
  };
}

/**
 * Fills the ring once and warms up the compiler, because a log lives longer than either takes. It writes at most as
 * many bytes as are measured afterwards, so that both fit into the warm part of the page cache.
 */
async function warmUp(sink: Sink, entry: Buffer, measuredBytes: number, ms: number): Promise<void> {
  const endMs = performance.now() + ms;
  const firstLapBytes = sink.firstLapBytes ?? 0;
  const isWarm = (bytes: number) => bytes >= measuredBytes || performance.now() >= endMs;
  for (let bytes = 0; bytes < firstLapBytes || !isWarm(bytes); bytes += MIB) {
    await feed(sink, entry, Math.ceil(MIB / entry.length));
  }
  await sink.sync();
}
