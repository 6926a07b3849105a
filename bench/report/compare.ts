import { type Spread, spreadOf } from '../measure/statistics.js';
import { formatFigure, METRICS, type Metric, type MetricName } from '../metrics.js';
import { type CaseResult, figuresOf, findCase, kindOf, type Results } from '../results.js';
import type { Workload } from '../workloads/workload.js';

/** A lower ratio of medians counts as noise, even if the rounds vary little. */
const LEAST_RATIO = 1.1;
/** The same if either run has few rounds, whose quartiles say little. */
const LEAST_RATIO_OF_FEW = 1.25;
/** The same for the tails of distributions. */
const LEAST_RATIO_OF_TAILS = 1.5;
const FEW_ROUNDS = 5;
/** The share of all pairs (a round before, a round now) that must agree. */
const AGREEING_SHARE = 0.95;

export interface Change {
  readonly what: string;
  readonly metric: MetricName;
  readonly before: Spread;
  readonly now: Spread;
  /** The figures are ratios to the floor of the same round. */
  readonly isToFloor: boolean;
  readonly verdict: 'worse' | 'better' | 'same' | 'missing';
}

/**
 * Compares ringwal's figures with those of `before`. If a workload has a floor, each round is first divided by the
 * floor of the same round, so that a slower disk is not a regression. A figure is worse if nearly every round now is
 * worse than nearly every round before, and the medians differ by more than a tenth. A count is worse as soon as it
 * is higher. A figure of `before` that this run of the same workload lacks is missing, which is as bad as worse.
 */
export function compareResults(
  before: Results,
  now: Results,
  workloads: readonly Workload[],
): readonly Change[] {
  return workloads.flatMap((workload) =>
    before.cases
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
  if (old === undefined || fresh === undefined || old.figures.length === 0) return undefined;
  const what = `${workload.name}, ${result.entryBytes} B, ${result.contender}`;
  if (fresh.figures.length === 0) {
    const spread = spreadOf(old.figures);
    return { what, metric, before: spread, now: spread, isToFloor: false, verdict: 'missing' };
  }
  // If the floor is missing in one of the runs, the figure itself is compared.
  const isToFloor = old.isToFloor && fresh.isToFloor;
  const [beforeRounds, nowRounds] = [old, fresh].map((each) => (isToFloor ? each.toFloor : each.figures));
  const judged = judge(beforeRounds as number[], nowRounds as number[], about, workload.isCount === true);
  return {
    what,
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

/** The cost of a call to the producer does not depend on the disk. */
function isOfDisk(metric: MetricName): boolean {
  return metric !== 'insideNs' && metric !== 'mainCpuNs';
}

function judge(
  before: readonly number[],
  now: readonly number[],
  { isTail, noise = 0 }: Metric,
  isCount: boolean,
): 'lower' | 'higher' | 'same' {
  const [was, is] = [spreadOf(before).median, spreadOf(now).median];
  const change = is - was;
  if (Math.abs(change) <= noise) return 'same';
  const direction = change > 0 ? 'higher' : 'lower';
  if (isCount) return direction;
  const isOfFew = Math.min(before.length, now.length) < FEW_ROUNDS;
  const least = isTail === true ? LEAST_RATIO_OF_TAILS : isOfFew ? LEAST_RATIO_OF_FEW : LEAST_RATIO;
  // Figures around zero, which may be negative, have no ratio; `noise` is their normal variation.
  const isFar = was <= 0 || is <= 0 || Math.max(is / was, was / is) > least;
  const agreeing = before.flatMap((old) => now.filter((fresh) => (fresh - old) * change > 0)).length;
  const isClear = agreeing >= AGREEING_SHARE * before.length * now.length;
  return isClear && isFar ? direction : 'same';
}

export function formatChanges(changes: readonly Change[]): string {
  const lines = changes
    .filter(({ verdict }) => verdict !== 'same')
    .map(({ what, metric, before, now, isToFloor, verdict }) => {
      if (verdict === 'missing')
        return `MISSING  ${what}: ${formatSpread(before)} before (${METRICS[metric].label})`;
      const unit = `${METRICS[metric].label}${isToFloor ? ', to the floor' : ''}`;
      return `${verdict.toUpperCase()}  ${what}: ${formatSpread(before)} → ${formatSpread(now)} (${unit})`;
    });
  if (changes.length === 0) return 'There is nothing to compare: the two runs have no figure in common.';
  const same = changes.length - lines.length;
  return [...lines, `${same} of ${changes.length} figures are the same within the noise.`].join('\n');
}

function formatSpread({ median, q1, q3 }: Spread): string {
  return `${formatFigure(median)} [${formatFigure(q1)}–${formatFigure(q3)}]`;
}

/** The reason why the two runs cannot be compared figure by figure; `undefined` if they can. */
export function describeMismatch(before: Results, now: Results): string | undefined {
  const differing = (['cpu', 'cpus', 'memoryGib', 'platform', 'node', 'fileSystem'] as const).filter(
    (field) => before.machine[field] !== now.machine[field],
  );
  if (before.scale !== now.scale) return `one run is ${before.scale}, the other ${now.scale}`;
  return differing.length === 0 ? undefined : `the machines differ: ${differing.join(', ')}`;
}
