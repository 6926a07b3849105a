import { createHistogram } from 'node:perf_hooks';
import { createLogStatus, LogStatus } from '../../src/ring/log-status.js';
import type { Task, Workload } from '../workloads/workload.js';
import { timeFunction } from './time-function.js';

const GROUPS = 1000;
/** Latencies of writes, µs. */
const LATENCIES = Array.from({ length: GROUPS }, (_, at) => 2 + ((at * 7919) % 5000));

/** The cost of the histograms of `stats()` for each group. They are always on. */
export const figures: Workload = {
  name: 'figures',
  title: 'The histograms of stats(), a group at a time',
  note:
    'tinybench, the fastest sample; "an entry" is a group here, whatever it holds. The log uses shared histograms: two looks at ' +
    'the clock, the latency of the write and the number of entries. createHistogram is what perf_hooks has, two of them; other ' +
    'threads cannot read it, so its figures would have to be posted as well.',
  metrics: ['entryNs'],
  contenders: ['shared histograms', 'createHistogram', 'two looks at the clock'],
  sizes: () => [100],
  run: ({ contender, scale }: Task) => {
    const record = recorderNamed(contender);
    return timeFunction(
      () => {
        for (let group = 0; group < GROUPS; group++) record(LATENCIES[group] as number);
      },
      GROUPS,
      scale,
    );
  },
};

function recorderNamed(name: string): (micros: number) => void {
  let sinceMs = 0;
  const look = () => {
    const startedMs = performance.now();
    sinceMs = performance.now() - startedMs;
  };
  if (name === 'two looks at the clock') return look;
  if (name === 'shared histograms') {
    const status = new LogStatus(createLogStatus());
    return (micros) => {
      look();
      status.groupEntries.record(1);
      status.writeMicros.record(micros + sinceMs);
    };
  }
  const [entries, latencies] = [createHistogram(), createHistogram()];
  return (micros) => {
    look();
    entries.record(1);
    latencies.record(micros + Math.floor(sinceMs));
  };
}
