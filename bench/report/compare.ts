import { type Spread, spreadOf } from '../measure/statistics.js';
import { formatFigure, METRICS, type Metric, type MetricName } from '../metrics.js';
import { type CaseResult, figuresOf, findCase, kindOf, type Results } from '../results.js';
import type { Workload } from '../workloads/workload.js';

/** Changes of the median below this share of it are not told from noise, however quiet the rounds were. */
const LEAST_CHANGE = 0.1;
/** The same for the tails of distributions, and where either run has few rounds. */
const LEAST_LOUD_CHANGE = 0.5;
const FEW_ROUNDS = 5;
/** Of all pairs of a round before and a round now, how many must agree. */
const AGREEING_SHARE = 0.95;

export interface Change {
  readonly what: string;
  readonly metric: MetricName;
  readonly before: Spread;
  readonly now: Spread;
  /** The figures are ratios to the floor of the same round. */
  readonly isToFloor: boolean;
  readonly verdict: 'worse' | 'better' | 'same';
}

/**
 * What became of ringwal's figures since `before`. Where a workload has a floor, each round is divided by the floor of
 * the same round first: a disk that is slower today is nobody's regression. A figure is worse when nearly every round
 * now is worse than nearly every round before, and the medians differ by more than a tenth. A count is worse as soon as
 * it is higher by more than comes and goes.
 */
export function compareResults(
  before: Results,
  now: Results,
  workloads: readonly Workload[],
): readonly Change[] {
  return workloads.flatMap((workload) =>
    now.cases
      .filter((each) => each.workload === workload.name && kindOf(each.contender) === 'ringwal')
      .flatMap((each) => workload.metrics.map((metric) => compareFigure(before, now, workload, each, metric)))
      .filter((change) => change !== undefined),
  );
}

function compareFigure(
  before: Results,
  now: Results,
  workload: Workload,
  result: CaseResult,
  metric: MetricName,
): Change | undefined {
  const about: Metric = METRICS[metric];
  if (about.better === undefined) return undefined;
  const [old, fresh] = [before, now].map((results) => normalised(results, workload, result, metric));
  if (old === undefined || fresh === undefined) return undefined;
  if (old.figures.length === 0 || fresh.figures.length === 0) return undefined;
  // Without its floor in one of the runs a figure is compared as it is.
  const isToFloor = old.isToFloor && fresh.isToFloor;
  const [beforeRounds, nowRounds] = [old, fresh].map((each) => (isToFloor ? each.toFloor : each.figures));
  const judged = judge(beforeRounds as number[], nowRounds as number[], about, workload.isCount === true);
  return {
    what: `${workload.name}, ${result.entryBytes} B, ${result.contender}`,
    metric,
    before: spreadOf(beforeRounds as number[]),
    now: spreadOf(nowRounds as number[]),
    isToFloor,
    verdict: judged === 'same' ? 'same' : judged === about.better ? 'better' : 'worse',
  };
}

function normalised(results: Results, { name, floor }: Workload, like: CaseResult, metric: MetricName) {
  const key = { workload: name, entryBytes: like.entryBytes };
  const figures = figuresOf(findCase(results, { ...key, contender: like.contender }), metric);
  const floors =
    floor === undefined ? [] : figuresOf(findCase(results, { ...key, contender: floor }), metric);
  const isToFloor = figures.length > 0 && floors.length === figures.length && isOfDisk(metric);
  return { figures, isToFloor, toFloor: figures.map((figure, round) => figure / (floors[round] as number)) };
}

/** What a call costs the producer does not follow the disk. */
function isOfDisk(metric: MetricName): boolean {
  return metric !== 'insideNs' && metric !== 'mainCpuNs';
}

function judge(
  before: readonly number[],
  now: readonly number[],
  { isTail, noise = 0 }: Metric,
  isCount: boolean,
): 'lower' | 'higher' | 'same' {
  const change = spreadOf(now).median - spreadOf(before).median;
  if (Math.abs(change) <= noise) return 'same';
  const direction = change > 0 ? 'higher' : 'lower';
  if (isCount) return direction;
  const isLoud = isTail === true || Math.min(before.length, now.length) < FEW_ROUNDS;
  const least = (isLoud ? LEAST_LOUD_CHANGE : LEAST_CHANGE) * Math.abs(spreadOf(before).median);
  const agreeing = before.flatMap((old) => now.filter((fresh) => (fresh - old) * change > 0)).length;
  const isClear = agreeing >= AGREEING_SHARE * before.length * now.length;
  return isClear && Math.abs(change) > least ? direction : 'same';
}

export function formatChanges(changes: readonly Change[]): string {
  const lines = changes
    .filter(({ verdict }) => verdict !== 'same')
    .map(({ what, metric, before, now, isToFloor, verdict }) => {
      const unit = `${METRICS[metric].label}${isToFloor ? ', to the floor' : ''}`;
      return `${verdict.toUpperCase()}  ${what}: ${formatSpread(before)} → ${formatSpread(now)} (${unit})`;
    });
  const same = changes.length - lines.length;
  return [...lines, `${same} of ${changes.length} figures are the same within the noise.`].join('\n');
}

function formatSpread({ median, q1, q3 }: Spread): string {
  return `${formatFigure(median)} [${formatFigure(q1)}–${formatFigure(q3)}]`;
}

/** Why the two runs cannot be compared figure by figure, if they cannot. */
export function describeMismatch(before: Results, now: Results): string | undefined {
  const differing = (['cpu', 'cpus', 'node', 'fileSystem'] as const).filter(
    (field) => before.machine[field] !== now.machine[field],
  );
  if (before.scale !== now.scale) return `one run is ${before.scale}, the other ${now.scale}`;
  return differing.length === 0 ? undefined : `the machines differ: ${differing.join(', ')}`;
}
