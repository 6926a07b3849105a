import { CONTENDERS } from './contenders/all.js';
import type { Machine, Source } from './machine.js';
import { type Spread, spreadOf } from './measure/statistics.js';
import type { MetricName } from './metrics.js';
import type { Outcome, Scale } from './workloads/workload.js';

/** The content of `results.json`. */
export interface Results {
  readonly version: 1;
  /** Absent in results of older versions. */
  readonly source?: Source;
  readonly machine: Machine;
  readonly scale: Scale;
  /** Number of completed rounds. */
  readonly rounds: number;
  readonly durationS: number;
  /** Cases that were not measured, each with the reason. */
  readonly skipped: readonly Skipped[];
  readonly cases: readonly CaseResult[];
}

export interface Skipped {
  readonly what: string;
  readonly why: string;
  /** True if the case ran and failed; false if it was left out. */
  readonly hasFailed: boolean;
  /** The contender of the case. */
  readonly contender?: string;
}

/** A contender in a workload with one size of entry. */
export interface CaseResult {
  readonly workload: string;
  readonly contender: string;
  readonly entryBytes: number;
  /** One outcome for each round, in order. */
  readonly outcomes: readonly Outcome[];
}

export interface CaseKey {
  readonly workload: string;
  readonly contender: string;
  readonly entryBytes?: number;
}

/** The case, of any size where `entryBytes` is absent. */
export function findCase(results: Results, key: CaseKey): CaseResult | undefined {
  return results.cases.find(
    ({ workload, contender, entryBytes }) =>
      workload === key.workload &&
      contender === key.contender &&
      (key.entryBytes === undefined || entryBytes === key.entryBytes),
  );
}

/** The figure of every round; empty where there is none. */
export function figuresOf(result: CaseResult | undefined, metric: MetricName): number[] {
  const figures: number[] = [];
  for (const { figures: each } of result?.outcomes ?? []) {
    const figure = each[metric];
    // JSON has no undefined, and turns NaN and infinity into null.
    if (typeof figure === 'number') figures.push(figure);
  }
  return figures;
}

export function spreadOfCase(result: CaseResult | undefined, metric: MetricName): Spread | undefined {
  const figures = figuresOf(result, metric);
  return figures.length === 0 ? undefined : spreadOf(figures);
}

/** The contenders of function benchmarks that are implemented in this repository. */
const OWN_WAYS = [
  'wasm kernel',
  'reference kernel',
  'copy in, aligned',
  'copy in, unaligned',
  'Buffer.write',
  'shared histograms',
];

export function kindOf(contender: string): 'ringwal' | 'peer' | 'floor' {
  if (OWN_WAYS.includes(contender)) return 'ringwal';
  return CONTENDERS.find(({ name }) => name === contender)?.kind ?? 'peer';
}
