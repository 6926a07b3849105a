import { Random } from '../files/simulation/simulated-disk.js';
import { WalError } from '../index.js';
import { CrashTestFailure } from './crash-test-failure.js';
import { BrokenPromise, Life, type LifeCounts, type StoreUnderTest } from './life.js';
import { type CrashTestFault, type CrashTestRandom, drawScript, type Step } from './script.js';
import type { SimulatedMachine, SimulatedMachineOptions } from './simulated-machine.js';

/** What {@link crashTest} needs to know of a store. */
export interface CrashTestOptions<Store, State, Operation> {
  /**
   * Opens the store on the machine: `machine.open` in the place of `Wal.open`, `machine.fs` in the place of `node:fs`. Called anew
   * after each crash; what the call before has made is gone then.
   */
  boot: (machine: SimulatedMachine) => Promise<Store>;
  /** Closes it in good order. Without it a store is only ever killed. */
  close?: ((store: Store) => Promise<unknown>) | undefined;
  /** The content of a store that was never used: plain data, or anything that `structuredClone` copies. */
  empty: State;
  /** The next operation, as plain data. `number`: which one it is in its life, from 1. */
  draw: (random: CrashTestRandom, number: number) => Operation;
  /** Begins the operation. Resolves once the store promises that it is kept. */
  act: (store: Store, operation: Operation) => Promise<unknown>;
  /** The content after the operation. May change `state` and return it. */
  apply: (state: State, operation: Operation) => State;
  /** The content as the store shows it. Compared by `util.isDeepStrictEqual`. */
  observe: (store: Store) => State | Promise<State>;
  /**
   * Whether the store may show what a crash can still take back. Otherwise whatever it has shown must be there after the next crash.
   *
   * @defaultValue `false`
   */
  dirtyReads?: boolean | undefined;
  /**
   * What befalls the machine.
   *
   * @defaultValue `['power-cut', 'kill']`
   */
  faults?: readonly CrashTestFault[] | undefined;
  /**
   * How many operations are under way at a time, at most. They must take effect in the order in which they are begun.
   *
   * @defaultValue `4`
   */
  concurrency?: number | undefined;
  /**
   * How many lives there are, each on a machine of its own. The environment variable `RINGWAL_LIVES` overrides it.
   *
   * @defaultValue `100`
   */
  lives?: number | undefined;
  /**
   * Operations in a life, at most.
   *
   * @defaultValue `30`
   */
  operations?: number | undefined;
  /** The seed of the first life; the next ones follow. Default: by chance. `RINGWAL_SEED` overrides it. */
  seed?: number | undefined;
  /** What the machines are like. */
  machine?: Omit<SimulatedMachineOptions, 'seed'> | undefined;
}

/** What a {@link crashTest} that found nothing has done. */
export interface CrashTestReport {
  /** Of the first life. */
  readonly seed: number;
  /** How many lives there were. */
  readonly lives: number;
  /** Operations that were begun. */
  readonly operations: number;
  /** Of these, those that were acknowledged. */
  readonly acknowledged: number;
  /** Of these, those that were rejected. */
  readonly rejected: number;
  /** Power cuts and kills. */
  readonly crashes: number;
}

/** So many lives are spent on a shorter history. */
const SHRINKING_LIVES_MAX = 200;

/** With how many seeds of the machine a shorter history is tried: what a power cut takes is another thing each time. */
const SHRINKING_SEEDS = 2;

/**
 * Crash-tests a store: many lives on simulated machines, in each of which it works, is read, is closed, loses its power in the middle
 * of any disk operation, also while it is being opened, and is opened again. After each opening its content must be the one after
 * some prefix of the operations that were begun, which has in it
 *
 * - each operation that was acknowledged, and
 * - each that somebody has seen the effect of, unless `dirtyReads`.
 *
 * An operation that was rejected may be there or not.
 *
 * Everything comes from the seed. A failure tells the seed and the shortest history that was found; `RINGWAL_SEED` gives the seed back.
 *
 * @throws CrashTestFailure: the store has broken its promise, does not open, or waits for something that does not come
 * @throws ERR_WAL_OPTION: an option is out of its range
 */
export async function crashTest<Store, State, Operation>(
  options: CrashTestOptions<Store, State, Operation>,
): Promise<CrashTestReport> {
  const { draw, operations = 30, faults = ['power-cut', 'kill'] } = options;
  const seed =
    integer('RINGWAL_SEED', process.env.RINGWAL_SEED, Number.MIN_SAFE_INTEGER) ??
    integer('seed', options.seed, Number.MIN_SAFE_INTEGER) ??
    Math.floor(Math.random() * 2 ** 31);
  const lives =
    integer('RINGWAL_LIVES', process.env.RINGWAL_LIVES, 1) ?? integer('lives', options.lives, 1) ?? 100;
  const operationsMax = integer('operations', operations, 1) as number;
  const store: StoreUnderTest<Store, State, Operation> = {
    machine: options.machine ?? {},
    boot: options.boot,
    close: options.close,
    empty: options.empty,
    act: options.act,
    apply: options.apply,
    observe: options.observe,
    dirtyReads: options.dirtyReads ?? false,
    concurrency: integer('concurrency', options.concurrency ?? 4, 1) as number,
  };
  const total: LifeCounts = { operations: 0, acknowledged: 0, rejected: 0, crashes: 0 };
  for (let life = 0; life < lives; life += 1) {
    const steps = drawScript<Operation>(new Random(seed + life), { draw, operationsMax, faults });
    const { counts, broken } = await live(store, steps, seed + life);
    if (broken !== undefined) throw await failure(store, steps, seed + life, broken);
    for (const name of Object.keys(total) as (keyof LifeCounts)[]) total[name] += counts[name];
  }
  return { seed, lives, ...total };
}

async function live<Store, State, Operation>(
  store: StoreUnderTest<Store, State, Operation>,
  steps: readonly Step<Operation>[],
  seed: number,
): Promise<{ readonly counts: LifeCounts; readonly broken: BrokenPromise | undefined }> {
  const life = new Life(store, seed);
  try {
    await life.run(steps);
    return { counts: life.counts, broken: undefined };
  } catch (error) {
    if (!(error instanceof BrokenPromise)) throw error;
    return { counts: life.counts, broken: error };
  }
}

/** Looks for a shorter life that fails too: a beginning of this one, and then that with any of its steps left out. */
async function failure<Store, State, Operation>(
  store: StoreUnderTest<Store, State, Operation>,
  steps: readonly Step<Operation>[],
  seed: number,
  found: BrokenPromise,
): Promise<CrashTestFailure> {
  let shortest = found;
  let lives = 0;
  const isBroken = async (fewer: readonly Step<Operation>[]): Promise<boolean> => {
    for (let each = 0; each < SHRINKING_SEEDS && lives < SHRINKING_LIVES_MAX; each += 1) {
      lives += 1;
      const { broken } = await live(store, fewer, seed + each);
      if (broken === undefined) continue;
      shortest = broken;
      return true;
    }
    return false;
  };
  let current = steps;
  for (let length = 1; length < steps.length; length += 1) {
    if (!(await isBroken(steps.slice(0, length)))) continue;
    current = steps.slice(0, length);
    break;
  }
  for (let at = current.length - 1; at >= 0; at -= 1) {
    const fewer = current.toSpliced(at, 1);
    if (await isBroken(fewer)) current = fewer;
  }
  return new CrashTestFailure(shortest.message, { seed, history: shortest.history, cause: shortest.cause });
}

function integer(name: string, given: unknown, min: number): number | undefined {
  if (given === undefined || given === '') return undefined;
  const number = Number(given);
  if (Number.isSafeInteger(number) && number >= min) return number;
  throw new WalError(
    'ERR_WAL_OPTION',
    `${name} must be an integer${min > 0 ? ` from ${min}` : ''}, not ${String(given)}.`,
  );
}
