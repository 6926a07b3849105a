/** Something that is measured: its label with the unit, and which direction is better. */
export interface Metric {
  readonly label: string;
  /** The better of two figures; absent = the figure only explains another one. */
  readonly better?: 'lower' | 'higher';
  /** The figure depends on the few slowest of many calls, so it varies much between rounds. */
  readonly isTail?: true;
  /** Normal variation, in the unit of the metric. For figures near zero, whose ratios say nothing. */
  readonly noise?: number;
}

export const METRICS = {
  entriesPerS: { label: 'entries/s', better: 'higher' },
  payloadMibPerS: { label: 'MiB/s of data', better: 'higher' },
  insideNs: { label: 'ns/entry inside accepted calls', better: 'lower' },
  mainCpuNs: { label: 'ns/entry of main-thread CPU', better: 'lower' },
  storedShare: { label: 'stored, bytes/byte of data', better: 'lower' },
  scavenges: { label: 'scavenges in 1,000,000 appends', better: 'lower' },
  p50Us: { label: 'p50, µs', better: 'lower' },
  p90Us: { label: 'p90, µs', better: 'lower', isTail: true },
  p99Us: { label: 'p99, µs', better: 'lower', isTail: true },
  warmP50Us: { label: 'warm: p50, µs', better: 'lower' },
  warmP99Us: { label: 'warm: p99, µs', better: 'lower', isTail: true },
  p999Us: { label: 'p99.9, µs', better: 'lower', isTail: true },
  p9999Us: { label: 'p99.99, µs', better: 'lower', isTail: true },
  longestMs: { label: 'longest, ms', better: 'lower', isTail: true },
  cpuUs: { label: 'CPU, µs/entry', better: 'lower' },
  entriesPerSync: { label: 'entries/sync' },
  batchesNs: { label: 'in bulk, ns/entry', better: 'lower' },
  entriesNs: { label: 'one by one, ns/entry', better: 'lower' },
  getUs: { label: 'at random, µs/entry', better: 'lower' },
  openOneMs: { label: 'open 1 segment, ms', better: 'lower' },
  startMs: { label: 'from its start, ms', better: 'lower' },
  startMoreMs: { label: 'beyond a process that does nothing, ms', better: 'lower', noise: 5 },
  logMs: { label: 'one after the other, ms/log', better: 'lower' },
  logGrowthMib: { label: 'growth, MiB', better: 'lower', noise: 8 },
  openLogMs: { label: 'at once, ms/log', better: 'lower' },
  openLogMib: { label: 'MiB/log', better: 'lower', noise: 1 },
  openManyMs: { label: 'open 200 segments, ms', better: 'lower' },
  openMoreMs: { label: 'difference, ms', better: 'lower', noise: 3 },
  segmentReadFewUs: { label: 'read, of few, µs/segment', better: 'lower' },
  segmentReadManyUs: { label: 'of many', better: 'lower' },
  segmentReadGrowth: { label: 'ratio', better: 'lower', noise: 0.2 },
  segmentRetireFewUs: { label: 'retired, of few, µs/segment', better: 'lower', isTail: true },
  segmentRetireManyUs: { label: 'of many', better: 'lower', isTail: true },
  segmentRetireGrowth: { label: 'ratio', better: 'lower', noise: 0.5 },
  timeColdMs: { label: 'cold, ms', better: 'lower' },
  timeReaderColdMs: { label: 'cold, opened for reading, ms', better: 'lower' },
  timeWarmMs: { label: 'warm, ms', better: 'lower' },
  timeLongColdMs: { label: 'cold, in 64 MiB, ms', better: 'lower' },
  timeLongWarmMs: { label: 'warm, in 64 MiB, ms', better: 'lower' },
  verifyMibPerS: { label: 'whole, MiB/s', better: 'higher' },
  verifyApartMibPerS: { label: 'segment by segment, MiB/s', better: 'higher' },
  verifyGain: { label: 'ratio', better: 'higher' },
  rawMibPerS: { label: 'raw disk, MiB/s', better: 'higher' },
  snapshotMibPerS: { label: 'snapshot, MiB/s', better: 'higher' },
  snapshotShare: { label: 'ratio', better: 'higher' },
  turnMs: { label: 'longest turn of the event loop, ms', better: 'lower', isTail: true },
  aloneP99Us: { label: 'append p99 alone, µs', better: 'lower', isTail: true },
  meanwhileP99Us: { label: 'during a snapshot', better: 'lower', isTail: true },
  meanwhileGrowth: { label: 'ratio', better: 'lower', isTail: true },
  pacedP99Us: { label: 'during a paced one', better: 'lower', isTail: true },
  pacedGrowth: { label: 'ratio', better: 'lower', isTail: true },
  backupMibPerS: { label: 'full, MiB/s', better: 'higher' },
  backupToCp: { label: 'full, to cp', better: 'higher' },
  incrementalShare: { label: 'incremental, to its share', better: 'lower', noise: 0.5 },
  restoreToCp: { label: 'restore, to cp', better: 'higher' },
  backupP99Growth: { label: 'p99 of appends meanwhile, ratio', better: 'lower', isTail: true, noise: 0.3 },
  capacityPerS: { label: 'capacity, requests/s', better: 'higher' },
  delayMs: { label: 'delay p99 at half of it, ms', better: 'lower', isTail: true },
  bareDelayMs: { label: 'delay p99 without the appends, ms' },
  moreDelayMs: { label: 'difference, ms', better: 'lower', isTail: true, noise: 0.5 },
  responseP99Ms: { label: 'response p99, ms', better: 'lower', isTail: true },
  peakMib: { label: 'peak RSS above the start, MiB', better: 'lower' },
  besideLanesMib: { label: 'of it beside the lanes, MiB', better: 'lower' },
  growthMib: { label: 'growth over the second half, MiB', better: 'lower', noise: 4 },
  wakeUps: { label: "wake-ups of the log's threads in 1 s", better: 'lower' },
  idleCpuUs: { label: 'CPU of its threads in 1 s, µs', better: 'lower' },
  entryNs: { label: 'ns/entry', better: 'lower' },
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof METRICS;
export type Figures = { readonly [name in MetricName]?: number | undefined };

/** Three significant digits, thousands grouped: no figure here is more precise. */
export function formatFigure(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}
