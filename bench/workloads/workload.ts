import { contenderNamed } from '../contenders/all.js';
import type { Contender } from '../contenders/contender.js';
import type { Figures, MetricName } from '../metrics.js';

/** One thing that is measured: written once, run on each of its contenders in a process of its own. */
export interface Workload {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** How to read the figures, for the report. */
  readonly note: string;
  readonly metrics: readonly MetricName[];
  readonly contenders: readonly string[];
  /** Bytes of an entry; more than one size makes a table with a column for each. */
  readonly sizes: (scale: Scale) => readonly number[];
  /** Whose figures tell how fast the disk was in a round; `--compare` divides by them. */
  readonly floor?: string;
  /** It writes so much that what the system takes for a page of its cache decides. */
  readonly fillsPageCache?: boolean;
  /** It counts instead of timing: the first round tells all. */
  readonly isCount?: boolean;
  /** Why it cannot run here, if it cannot. */
  readonly obstacle?: () => string | undefined;
  run(task: Task): Promise<Outcome>;
}

/** How much work is done: enough for the documents, or as much as fits into two minutes with everything else. */
export type Scale = 'full' | 'quick';

/** One run of a workload. It crosses to the child process as JSON. */
export interface Task {
  readonly workload: string;
  readonly contender: string;
  readonly entryBytes: number;
  readonly scale: Scale;
  /** From 0. */
  readonly round: number;
  /** Empty; removed afterwards. */
  readonly directory: string;
}

export interface Outcome {
  readonly figures: Figures;
  /** Distribution of a latency in µs, at `LATENCY_SHARES`. */
  readonly latenciesUs?: readonly number[];
}

/** The size that a workload has that is not about sizes. */
export const ENTRY_BYTES = 100;
export const oneSize = (): readonly number[] => [ENTRY_BYTES];

export function contenderOf(task: Task): Contender {
  const contender = contenderNamed(task.contender);
  if (contender === undefined) throw new Error(`no contender is called ${task.contender}`);
  return contender;
}
