import { Random } from '../files/simulation/simulated-disk.js';
import { WalError } from '../index.js';
import { CrashTestFailure } from './crash-test-failure.js';
import { BrokenPromise, Life, type LifeCounts, type StoreUnderTest } from './life.js';
import { type CrashTestFault, type CrashTestRandom, drawScript, type Step } from './script.js';
import type { SimulatedMachine, SimulatedMachineOptions } from './simulated-machine.js';

/** Describes the store to {@link crashTest}. */
export interface CrashTestOptions<Store, State, Operation> {
  /**
   * Opens the store on the machine: with `machine.open` instead of `Wal.open`, and `machine.fs` instead of `node:fs`. Called
   * again after each crash; everything that the previous call created is gone then.
   */
  boot: (machine: SimulatedMachine) => Promise<Store>;
  /** Closes the store in good order. Without it a store is only killed. */
  close?: ((store: Store) => Promise<unknown>) | undefined;
  /** The content of a new store: plain data, or anything that `structuredClone` copies. */
  empty: State;
  /** The next operation, as plain data. `number`: its number in its life, from 1. */
  draw: (random: CrashTestRandom, number: number) => Operation;
  /** Starts the operation. Resolves once the store promises that the operation is kept. */
  act: (store: Store, operation: Operation) => Promise<unknown>;
  /** Returns the content after the operation. May change `state` and return it. */
  apply: (state: State, operation: Operation) => State;
  /** Returns the content that the store shows. Compared by `util.isDeepStrictEqual`. */
  observe: (store: Store) => State | Promise<State>;
  /**
   * Whether the store may show changes that a crash can still undo. Otherwise everything that it has shown must be there after
   * the next crash.
   *
   * @defaultValue `false`
   */
  dirtyReads?: boolean | undefined;
  /**
   * The faults that happen to the machine.
   *
   * @defaultValue `['power-cut', 'kill']`
   */
  faults?: readonly CrashTestFault[] | undefined;
  /**
   * The most operations under way at a time. They must take effect in the order in which they are started.
   *
   * @defaultValue `4`
   */
  concurrency?: number | undefined;
  /**
   * The number of lives, each on a machine of its own. The environment variable `RINGWAL_LIVES` overrides it.
   *
   * @defaultValue `100`
   */
  lives?: number | undefined;
  /**
   * The most operations in a life.
   *
   * @defaultValue `30`
   */
  operations?: number | undefined;
  /** The seed of the first life; the other lives use the next numbers. Default: random. `RINGWAL_SEED` overrides it. */
  seed?: number | undefined;
  /** The options of the machines. */
  machine?: Omit<SimulatedMachineOptions, 'seed'> | undefined;
}

/** The result of a {@link crashTest} that found nothing. */
export interface CrashTestReport {
  /** The seed of the first life. */
  readonly seed: number;
  /** The number of lives. */
  readonly lives: number;
  /** Operations that were started. */
  readonly operations: number;
  /** How many of them were acknowledged. */
  readonly acknowledged: number;
  /** How many of them were rejected. */
  readonly rejected: number;
  /** Power cuts and kills. */
  readonly crashes: number;
}

/** The most lives that are spent on finding a shorter history. */
const SHRINKING_LIVES_MAX = 500;

/** How many seeds of the machine are tried with a shorter history: each loses something else in a power cut, or nothing at all. */
const SHRINKING_SEEDS = 12;

/**
 * Crash-tests a store. In each of many lives on simulated machines the store works, is read and closed, and is opened again. The
 * machine stops in the middle of random disk operations, also while the store is being opened. After each opening the store's
 * content must be the content after some prefix of the operations that were started. The prefix must include
 *
 * - each operation that was acknowledged, and
 * - each operation whose effect a read has shown, unless `dirtyReads` is set.
 *
 * An operation that was rejected may be included or not.
 *
 * The seed decides everything. A failure reports the seed and the shortest history that was found; set `RINGWAL_SEED` to run that
 * seed again.
 *
 * @throws CrashTestFailure: the store broke its promise, does not open, or waits for something that never happens
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

/** Looks for a shorter life that fails too: first a beginning of this life, then that beginning without some of its steps. */
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
