import type { Outcome } from '../workloads/workload.js';

const TIME_MS = { full: { time: 500, warmupTime: 200 }, quick: { time: 50, warmupTime: 30 } } as const;

/**
 * Measures `run`, which handles `entries` entries per call, with tinybench; returns ns per entry. The fastest sample
 * counts, because other processes share the machine. It is a lower bound, not a mean.
 */
export async function timeFunction(
  run: () => void,
  entries: number,
  scale: 'full' | 'quick',
): Promise<Outcome> {
  const { Bench } = await import('tinybench');
  const bench = new Bench({ ...TIME_MS[scale], throws: true });
  bench.add('it', run);
  await bench.run();
  const [task] = bench.tasks;
  if (task?.result.state !== 'completed') throw new Error(`tinybench: ${task?.result.state}`);
  return { figures: { entryNs: (task.result.latency.min * 1e6) / entries } };
}
