import { contenderNamed } from '../contenders/all.js';
import type { Contender } from '../contenders/contender.js';
import type { Figures, MetricName } from '../metrics.js';

/** One measurement. It runs on each of its contenders, each time in a separate process. */
export interface Workload {
  /** The name for `--only`. */
  readonly name: string;
  readonly title: string;
  /** An explanation of the figures, for the report. */
  readonly note: string;
  readonly metrics: readonly MetricName[];
  readonly contenders: readonly string[];
  /** Bytes of an entry; more than one size makes a table with a column for each. */
  readonly sizes: (scale: Scale) => readonly number[];
  /** The contender whose figures show the speed of the disk in a round; `--compare` divides by them. */
  readonly floor?: string;
  /** It writes so much that the cost of page cache pages decides the result. */
  readonly fillsPageCache?: boolean;
  /** It counts instead of measuring time, so one round is enough. */
  readonly isCount?: boolean;
  /** Returns the reason why the workload cannot run here; `undefined` if it can. */
  readonly obstacle?: () => string | undefined;
  run(task: Task): Promise<Outcome>;
}

/** The amount of work. `full`: enough for the documents. `quick`: the whole suite runs within two minutes. */
export type Scale = 'full' | 'quick';

/** One run of a workload. It crosses to the child process as JSON. */
export interface Task {
  readonly workload: string;
  readonly contender: string;
  readonly entryBytes: number;
  readonly scale: Scale;
  /** Number of the round, from 0. */
  readonly round: number;
  /** An empty directory, which is removed afterwards. */
  readonly directory: string;
}

export interface Outcome {
  readonly figures: Figures;
  /** Distribution of a latency in µs, at `LATENCY_SHARES`. */
  readonly latenciesUs?: readonly number[];
}

/** The size of an entry in workloads that do not vary it. */
export const ENTRY_BYTES = 100;
export const oneSize = (): readonly number[] => [ENTRY_BYTES];

export function contenderOf(task: Pick<Task, 'contender'>): Contender {
  const contender = contenderNamed(task.contender);
  if (contender === undefined) throw new Error(`no contender is called ${task.contender}`);
  return contender;
}
