import type { Random } from '../files/simulation/simulated-disk.js';
import type { CrashKind } from './simulated-machine.js';

/** One step in the life of a store. */
export type Step<Operation> =
  | { readonly kind: 'operation'; readonly operation: Operation }
  /** Time passes, by the machine's clock. */
  | { readonly kind: 'pause'; readonly ms: number }
  /** Wait until every started operation has ended. */
  | { readonly kind: 'await-all' }
  /** Read the store and check it. */
  | { readonly kind: 'observe' }
  /** Close the store and open it again. */
  | { readonly kind: 'reopen' }
  | { readonly kind: 'fail-sync'; readonly after: number }
  | { readonly kind: 'fill-disk' }
  /**
   * The machine will stop after this many disk operations, and again at these counts while the store is being opened. After a kill,
   * the power may also go: so many disk operations after the store has shown the content that it found.
   */
  | {
      readonly kind: 'crash';
      readonly crash: CrashKind;
      readonly after: number;
      readonly whileOpening: readonly number[];
      readonly powerCutAfterOpening?: number;
    };

/** The faults that may happen to a store's machine: {@link CrashTestOptions.faults}. */
export type CrashTestFault = CrashKind | 'failed-sync' | 'full-disk';

/** The random numbers for {@link CrashTestOptions.draw}: the same seed gives the same numbers. */
export interface CrashTestRandom {
  /** An integer, 0 ≤ n < `bound`. */
  below(bound: number): number;
  /** True with the given probability, 0 to 1. */
  chance(probability: number): boolean;
  /** One of `choices`. */
  pick<T>(choices: readonly T[]): T;
}

export interface ScriptSettings<Operation> {
  readonly draw: (random: CrashTestRandom, number: number) => Operation;
  readonly operationsMax: number;
  readonly faults: readonly CrashTestFault[];
}

/** The most disk operations before a crash: about as many as a store needs for one of its own, so that crashes interrupt it. */
const CRASH_WITHIN = 40;

/**
 * The most disk operations before an early crash: it comes before pending work is done, so that content that a read has just
 * shown may be lost.
 */
const CRASH_SOON = 4;

/**
 * How often the power goes soon after a kill. A killed process leaves data that is written and not durable yet. Only such a power
 * cut catches a store that shows this data as if it were durable.
 */
const POWER_CUT_AFTER_KILL = 0.3;

/** Draws a random life: mostly operations, with other steps between them. It always ends with a crash. */
export function drawScript<Operation>(
  random: Random,
  { draw, operationsMax, faults }: ScriptSettings<Operation>,
): Step<Operation>[] {
  const steps: Step<Operation>[] = [];
  const crashes = faults.filter((fault): fault is CrashKind => fault === 'power-cut' || fault === 'kill');
  const operations = 1 + random.below(operationsMax);
  for (let number = 1; number <= operations; number += 1) {
    steps.push({ kind: 'operation', operation: draw(random, number) });
    if (crashes.length > 0 && random.chance(0.08))
      steps.push({ kind: 'observe' }, drawCrash(random, crashes, CRASH_SOON));
    if (random.chance(0.3)) steps.push({ kind: 'pause', ms: random.below(4000) / 1000 });
    if (random.chance(0.15)) steps.push({ kind: 'observe' });
    if (random.chance(0.1)) steps.push({ kind: 'await-all' });
    if (random.chance(0.03)) steps.push({ kind: 'reopen' });
    if (crashes.length > 0 && random.chance(0.1)) steps.push(drawCrash(random, crashes, CRASH_WITHIN));
    if (faults.includes('failed-sync') && random.chance(0.03))
      steps.push({ kind: 'fail-sync', after: random.below(3) });
    if (faults.includes('full-disk') && random.chance(0.03)) steps.push({ kind: 'fill-disk' });
  }
  if (crashes.length > 0) steps.push(drawCrash(random, crashes, CRASH_WITHIN), { kind: 'await-all' });
  return steps;
}

function drawCrash(
  random: Random,
  crashes: readonly CrashKind[],
  within: number,
): Extract<Step<never>, { kind: 'crash' }> {
  const whileOpening: number[] = [];
  while (random.chance(0.2)) whileOpening.push(random.below(CRASH_WITHIN));
  const step = {
    kind: 'crash',
    crash: random.pick(crashes),
    after: random.below(within),
    whileOpening,
  } as const;
  if (step.crash !== 'kill' || !crashes.includes('power-cut') || !random.chance(POWER_CUT_AFTER_KILL))
    return step;
  return { ...step, powerCutAfterOpening: random.below(CRASH_SOON) };
}
