import { type Spread, spreadOf } from './measure/statistics.js';
import type { MetricName } from './metrics.js';
import { figuresOf, findCase, type Results } from './results.js';

/** A goal of the log: a ratio to another figure of the same run, or a plain bound. */
interface Goal {
  readonly what: string;
  readonly bound: 'at least' | 'at most';
  readonly target: number;
  readonly unit: string;
  /** One value for each round; empty = not measured. */
  readonly values: (results: Results) => number[];
}

export interface GoalResult {
  readonly what: string;
  /** For people: "at least 2 ×". */
  readonly goal: string;
  readonly unit: string;
  /** Absent = a figure that the goal needs was not measured. */
  readonly measured?: Spread;
  readonly isMet?: boolean;
}

const US_PER_APPEND = 0.6;
const IN_FLIGHT = 1_000;
const MEMORY_MIB = 32;

const fire = (contender: string, metric: MetricName, entryBytes: number): Series => ({
  workload: 'fire-and-forget',
  contender,
  metric,
  entryBytes,
});
const of = (workload: string, contender: string, metric: MetricName): Series => ({
  workload,
  contender,
  metric,
});

const GOALS: readonly Goal[] = [
  ratio(
    'fire-and-forget, 100 B: throughput to createWriteStream + fsync',
    'at least',
    2.5,
    fire('ringwal', 'entriesPerS', 100),
    fire('createWriteStream', 'entriesPerS', 100),
  ),
  ratio(
    'fire-and-forget, 100 B: throughput to lmdb',
    'at least',
    5,
    fire('ringwal', 'entriesPerS', 100),
    fire('lmdb', 'entriesPerS', 100),
  ),
  ratio(
    'fire-and-forget, 100 B: throughput to classic-level',
    'at least',
    10,
    fire('ringwal', 'entriesPerS', 100),
    fire('classic-level', 'entriesPerS', 100),
  ),
  ratio(
    'fire-and-forget, 100 B: throughput to 1 MiB-block writes + fsync of the same bytes',
    'at least',
    0.9,
    fire('ringwal', 'entriesPerS', 100),
    fire('raw 1 MiB blocks', 'entriesPerS', 100),
  ),
  ratio(
    'fire-and-forget, 100 B: throughput of 4 threads together to 1 thread, each by a lane of its own',
    'at least',
    1,
    of('lanes', '4 threads', 'entriesPerS'),
    of('lanes', '1 thread', 'entriesPerS'),
  ),
  plain('main thread inside accepted calls, 100 B', 'at most', 100, 'ns', fire('ringwal', 'insideNs', 100)),
  plain('main thread inside accepted calls, 16 B', 'at most', 60, 'ns', fire('ringwal', 'insideNs', 16)),
  ratio(
    "main thread inside accepted calls, 100 B, to createWriteStream's main-thread CPU",
    'at most',
    0.7,
    fire('ringwal', 'insideNs', 100),
    fire('createWriteStream', 'mainCpuNs', 100),
  ),
  ratio(
    "`compression: 'lz4'`, lines of JSON: throughput to no compression",
    'at least',
    0.7,
    of('compression', 'ringwal, lz4', 'entriesPerS'),
    of('compression', 'ringwal', 'entriesPerS'),
  ),
  ratio(
    "`compression: 'lz4'`, random bytes: throughput to no compression",
    'at least',
    0.95,
    of('incompressible', 'ringwal, lz4', 'entriesPerS'),
    of('incompressible', 'ringwal', 'entriesPerS'),
  ),
  ratio(
    "`compression: 'lz4'`, lines of JSON: bytes stored to no compression",
    'at most',
    0.35,
    of('compression', 'ringwal, lz4', 'storedShare'),
    of('compression', 'ringwal', 'storedShare'),
  ),
  ratio(
    "`compression: 'zstd'`, lines of JSON: bytes stored to no compression",
    'at most',
    0.2,
    of('compression', 'ringwal, zstd', 'storedShare'),
    of('compression', 'ringwal', 'storedShare'),
  ),
  ratio(
    "`compression: 'lz4'`, lines of JSON: replay through batches() to no compression",
    'at most',
    1.3,
    of('compression', 'ringwal, lz4', 'batchesNs'),
    of('compression', 'ringwal', 'batchesNs'),
  ),
  plain('scavenges in 1,000,000 appends', 'at most', 0, '', of('scavenges', 'ringwal', 'scavenges')),
  ratio(
    'durable, one at a time: p50 to a raw loop that rewrites allocated blocks',
    'at most',
    1.2,
    of('durable-latency', 'ringwal', 'p50Us'),
    of('durable-latency', 'raw loop, rewriting', 'p50Us'),
  ),
  ratio(
    'durable, one at a time, with `busyPoll`: p50 to a raw loop that rewrites allocated blocks',
    'at most',
    1.2,
    of('durable-latency', 'ringwal, busyPoll', 'p50Us'),
    of('durable-latency', 'raw loop, rewriting', 'p50Us'),
  ),
  ratio(
    'durable, one at a time: p50 to such a raw loop on another thread',
    'at most',
    1.2,
    of('durable-latency', 'ringwal', 'p50Us'),
    of('durable-latency', 'raw loop, other thread', 'p50Us'),
  ),
  ...[1, 5, 20, 50].flatMap(pacedGoals),
  ...tailGoals(),
  ...inFlightGoals(8, 1.5, 1),
  ...inFlightGoals(64, 2.5, 0.5),
  {
    what: `durable, 1,000 in flight: throughput to 1,000 / (raw sync p50 + ${US_PER_APPEND} µs × 1,000)`,
    bound: 'at least',
    target: 0.6,
    unit: '×',
    values: (results) =>
      paired(
        seriesOf(results, of('durable-in-flight', 'ringwal', 'entriesPerS')),
        seriesOf(results, of('durable-latency', 'raw loop, rewriting', 'p50Us')),
        (perS, syncUs) => perS / ((IN_FLIGHT * 1e6) / (syncUs + US_PER_APPEND * IN_FLIGHT)),
      ),
  },
  ratio(
    'durable, 1,000 in flight: throughput to lmdb',
    'at least',
    4,
    of('durable-in-flight', 'ringwal', 'entriesPerS'),
    of('durable-in-flight', 'lmdb', 'entriesPerS'),
  ),
  plain(
    'awaited without durable, 1,000 in flight',
    'at least',
    1_500_000,
    'entries/s',
    of('written-in-flight', 'ringwal', 'entriesPerS'),
  ),
  plain('replay through batches()', 'at most', 130, 'ns/entry', of('replay', 'ringwal', 'batchesNs')),
  ratio(
    'replay through batches(), to a raw read of the same bytes',
    'at most',
    8,
    of('replay', 'ringwal', 'batchesNs'),
    of('replay', 'raw read', 'batchesNs'),
  ),
  plain('replay through entries()', 'at most', 300, 'ns/entry', of('replay', 'ringwal', 'entriesNs')),
  plain(
    'get(lsn) at random, of what the process wrote last',
    'at most',
    20,
    'µs',
    of('replay', 'ringwal', 'getUs'),
  ),
  plain(
    'get(lsn) at random, of a log that was opened again',
    'at most',
    20,
    'µs',
    of('replay', 'ringwal, reopened', 'getUs'),
  ),
  plain(
    'start of a process to its first durable append, beyond a process that does nothing',
    'at most',
    40,
    'ms',
    of('start', 'ringwal', 'startMoreMs'),
  ),
  plain(
    'opening 200 full segments, beyond opening one',
    'at most',
    15,
    'ms',
    of('open', 'ringwal', 'openMoreMs'),
  ),
  plain(
    'opening, reading and following, µs for a segment: 4,000 segments to 500',
    'at most',
    1.5,
    '×',
    of('many-segments', 'ringwal', 'segmentReadGrowth'),
  ),
  plain(
    'retiring, µs for a segment: 4,000 segments to 500',
    'at most',
    1.5,
    '×',
    of('many-segments', 'ringwal', 'segmentRetireGrowth'),
  ),
  plain(
    'the first entry by time, of 1,000 segments, cold',
    'at most',
    20,
    'ms',
    of('times', 'ringwal', 'timeColdMs'),
  ),
  plain('the same, warm', 'at most', 1, 'ms', of('times', 'ringwal', 'timeWarmMs')),
  plain(
    'writing a snapshot: throughput to 1 MiB-block writes + fsync of the same bytes',
    'at least',
    0.8,
    '×',
    of('snapshot', 'ringwal', 'snapshotShare'),
  ),
  plain(
    'durable append, one at a time: p99 during a snapshot to p99 alone',
    'at most',
    1.5,
    '×',
    of('snapshot', 'ringwal', 'meanwhileGrowth'),
  ),
  plain(
    'the same, during a snapshot with maxBytesPerSecond of 50 MiB',
    'at most',
    1.5,
    '×',
    of('snapshot', 'ringwal', 'pacedGrowth'),
  ),
  plain(
    'event-loop delay p99 of an HTTP server at half load, beyond without the appends',
    'at most',
    1,
    'ms',
    of('event-loop', 'ringwal', 'moreDelayMs'),
  ),
  ...memoryGoals('memory', 'fire-and-forget'),
  ...memoryGoals('memory-in-flight', 'durable in flight'),
  plain('wake-ups while idle', 'at most', 0, 'in 1 s', of('idle', 'ringwal', 'wakeUps')),
  plain('CPU while idle', 'at most', 0, 'µs in 1 s', of('idle', 'ringwal', 'idleCpuUs')),
];

export function judgeGoals(results: Results): GoalResult[] {
  return GOALS.map(({ what, bound, target, unit, values }) => {
    const goal = `${bound} ${target.toLocaleString('en')}${unit === '' ? '' : ` ${unit}`}`;
    const measured = values(results);
    if (measured.length === 0) return { what, goal, unit };
    const spread = spreadOf(measured);
    const isMet = bound === 'at least' ? spread.median >= target : spread.median <= target;
    return { what, goal, unit, measured: spread, isMet };
  });
}

interface Series {
  readonly workload: string;
  readonly contender: string;
  readonly metric: MetricName;
  readonly entryBytes?: number;
}

function plain(what: string, bound: Goal['bound'], target: number, unit: string, series: Series): Goal {
  return { what, bound, target, unit, values: (results) => seriesOf(results, series) };
}

function ratio(what: string, bound: Goal['bound'], target: number, series: Series, to: Series): Goal {
  const values = (results: Results) =>
    paired(seriesOf(results, series), seriesOf(results, to), (figure, other) => figure / other);
  return { what, bound, target, unit: '×', values };
}

/** Goals for durable appends with a pause before each, from the start of the process on. */
function pacedGoals(gapMs: number): Goal[] {
  const workload = `paced-${gapMs}`;
  const what = `durable, one every ${gapMs} ms`;
  const own = of(workload, 'ringwal', 'p50Us');
  const to = (contender: string) => of(workload, contender, 'p50Us');
  return [
    ratio(`${what}: p50 to a raw loop on another thread`, 'at most', 1.1, own, to('raw loop, other thread')),
    ratio(`${what}: p50 to a raw loop, rewriting`, 'at most', 1.25, own, to('raw loop, rewriting')),
    ratio(`${what}: p50 to fs.promises`, 'at most', 1, own, to('fs.promises')),
    ratio(
      `${what}: p99 to a raw loop, rewriting`,
      'at most',
      1.5,
      of(workload, 'ringwal', 'p99Us'),
      of(workload, 'raw loop, rewriting', 'p99Us'),
    ),
    ratio(`${what}: p50 with \`busyPoll\` to without`, 'at most', 1, to('ringwal, busyPoll'), own),
  ];
}

function tailGoals(): Goal[] {
  const what = 'durable, one at a time for a minute';
  const metrics = [
    ['p99', 'p99Us', 1.5, 1.5],
    ['p99.9', 'p999Us', 1.5, 2],
  ] as const;
  return metrics.flatMap(([name, metric, target, pollTarget]) => {
    const raw = of('tail', 'raw loop, rewriting', metric);
    return [
      ratio(
        `${what}: ${name} to a raw loop, rewriting`,
        'at most',
        target,
        of('tail', 'ringwal', metric),
        raw,
      ),
      ratio(
        `${what}, with \`busyPoll\`: ${name} to a raw loop, rewriting`,
        'at most',
        pollTarget,
        of('tail', 'ringwal, busyPoll', metric),
        raw,
      ),
    ];
  });
}

function inFlightGoals(callers: number, throughput: number, p99: number): Goal[] {
  const workload = `in-flight-${callers}`;
  const goal = (metric: MetricName, name: string, bound: Goal['bound'], target: number) =>
    ratio(
      `durable, ${callers} in flight: ${name} to lmdb`,
      bound,
      target,
      of(workload, 'ringwal', metric),
      of(workload, 'lmdb', metric),
    );
  return [goal('entriesPerS', 'throughput', 'at least', throughput), goal('p99Us', 'p99', 'at most', p99)];
}

/** Goals for the memory of the whole process, and for the memory that the log adds to a process with the same load. */
function memoryGoals(workload: string, load: string): Goal[] {
  const whole = of(workload, 'ringwal', 'besideLanesMib');
  const without = of(workload, 'no log', 'besideLanesMib');
  return [
    plain(`memory beside the lanes, ${load}`, 'at most', MEMORY_MIB, 'MiB', whole),
    {
      what: `memory beside the lanes, ${load}, beyond what the load takes without a log`,
      bound: 'at most',
      target: MEMORY_MIB,
      unit: 'MiB',
      values: (results) =>
        paired(seriesOf(results, whole), seriesOf(results, without), (figure, other) => figure - other),
    },
  ];
}

function seriesOf(results: Results, { metric, ...key }: Series): number[] {
  return figuresOf(findCase(results, key), metric);
}

/** Pairs figures by round, so that figures of the same minute are compared. */
function paired(
  figures: readonly number[],
  others: readonly number[],
  combine: (figure: number, other: number) => number,
): number[] {
  const rounds = Math.min(figures.length, others.length);
  return Array.from({ length: rounds }, (_, round) =>
    combine(figures[round] as number, others[round] as number),
  );
}
