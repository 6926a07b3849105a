import { LATENCY_SHARES } from '../measure/latencies.js';
import { spreadOf } from '../measure/statistics.js';
import { METRICS, type MetricName } from '../metrics.js';
import { type CaseResult, findCase, kindOf, type Results, spreadOfCase } from '../results.js';
import type { Workload } from '../workloads/workload.js';
import { barChart, lineChart, pairChart, type Row, rangeChart } from './charts.js';
import { formatSize } from './table.js';

/** File name and SVG of every plot whose workload was measured. */
export function drawPlots(results: Results, workloads: readonly Workload[]): Map<string, string> {
  const plots = new Map<string, string>();
  const draw = (file: string, name: string, plot: (workload: Workload) => string) => {
    const workload = workloads.find((each) => each.name === name);
    if (workload !== undefined && results.cases.some((each) => each.workload === name)) {
      plots.set(file, plot(workload));
    }
  };
  draw('throughput.svg', 'fire-and-forget', (workload) => drawThroughput(results, workload));
  draw('main-thread.svg', 'fire-and-forget', (workload) =>
    barChart(
      'Cost of an append to the main thread',
      'CPU time of the main thread for each fire-and-forget entry of 100 B, everything included',
      'ns/entry, less is better',
      rowsOf(results, workload, 'mainCpuNs', 100),
    ),
  );
  draw('lanes.svg', 'lanes', (workload) =>
    barChart(
      'Fire-and-forget from several threads until everything is fsynced',
      '100 B each; every thread appends by a lane of its own, and all entries become one log',
      'entries/s of all threads together, more is better',
      rowsOf(results, workload, 'entriesPerS'),
    ),
  );
  draw('latency.svg', 'durable-latency', (workload) =>
    drawLatency(results, workload, 'Latency of a durable append, one at a time'),
  );
  draw('paced.svg', 'paced-5', (workload) =>
    drawLatency(results, workload, 'Latency of a durable append every 5 ms, from the start of the process'),
  );
  draw('in-flight.svg', 'durable-in-flight', (workload) =>
    barChart(
      'Durable appends, 1,000 in flight',
      '100 B each; every caller awaits its append and makes the next one',
      'entries/s, more is better',
      rowsOf(results, workload, 'entriesPerS'),
    ),
  );
  draw('event-loop.svg', 'event-loop', (workload) => drawEventLoop(results, workload));
  return plots;
}

function rowsOf(results: Results, workload: Workload, metric: MetricName, entryBytes?: number) {
  return casesOf(results, workload, entryBytes).flatMap(([row, result]) => {
    const spread = spreadOfCase(result, metric);
    return spread === undefined ? [] : [{ ...row, spread }];
  });
}

function drawThroughput(results: Results, workload: Workload): string {
  const sizes = workload.sizes(results.scale);
  const rows = workload.contenders.flatMap((contender) => {
    const values = sizes.map(
      (entryBytes) =>
        spreadOfCase(findCase(results, { workload: workload.name, contender, entryBytes }), 'payloadMibPerS')
          ?.median,
    );
    return values.some((value) => value !== undefined)
      ? [{ label: contender, kind: kindOf(contender), values }]
      : [];
  });
  return lineChart(
    'Fire-and-forget until everything is fsynced',
    `${METRICS.payloadMibPerS.label}, more is better; dashed: the disk, written in 1 MiB blocks`,
    'bytes of an entry',
    sizes.map(formatSize),
    rows,
  );
}

function drawLatency(results: Results, workload: Workload, title: string): string {
  const rows = casesOf(results, workload).map(([row, { outcomes }]) => {
    const at = (share: (typeof LATENCY_SHARES)[number]) => {
      const index = LATENCY_SHARES.indexOf(share);
      return spreadOf(outcomes.map(({ latenciesUs }) => latenciesUs?.[index] as number)).median;
    };
    return { ...row, low: at(0.01), boxLow: at(0.25), median: at(0.5), boxHigh: at(0.75), high: at(0.99) };
  });
  return rangeChart(
    title,
    '100 B; bar: the middle half, whiskers: p1 and p99, dot and number: p50',
    'µs, less is better',
    rows,
  );
}

function drawEventLoop(results: Results, workload: Workload): string {
  const rows = casesOf(results, workload).flatMap(([row, result]) => {
    const from = spreadOfCase(result, 'bareDelayMs')?.median;
    const to = spreadOfCase(result, 'delayMs')?.median;
    return from === undefined || to === undefined ? [] : [{ ...row, from, to }];
  });
  return pairChart(
    'Event-loop delay of an HTTP server, p99',
    '10 durable appends to a request at half the capacity (full dot), and the same rate without them (hollow)',
    'ms, less is better',
    rows,
  );
}

function casesOf(results: Results, { name, contenders }: Workload, entryBytes?: number): [Row, CaseResult][] {
  return contenders.flatMap((contender): [Row, CaseResult][] => {
    const key = { workload: name, contender, ...(entryBytes === undefined ? {} : { entryBytes }) };
    const result = findCase(results, key);
    const isMeasured = result !== undefined && result.outcomes.length > 0;
    return isMeasured ? [[{ label: contender, kind: kindOf(contender) }, result]] : [];
  });
}
