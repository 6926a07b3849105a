/**
 * Runs the real code of several threads through every order of its atomic accesses, in one thread.
 *
 * An actor is plain synchronous code that uses the global `Atomics`. While it runs, that global is one that stops it, by an
 * exception, right behind its next access. To go on, the actor is run again from its start: the accesses that it made
 * before answer what they answered then, and it finds the memory as it was then, so that it comes to the same point and
 * makes one access more. Nothing in the code under test knows of this.
 *
 * A step is one atomic access together with the plain code before it. Steps of different actors are put in every order;
 * states that are reached twice are followed once. `Atomics.wait` sleeps until a notify, a wait with a limit may also
 * time out, and a mortal actor may be terminated between any two steps.
 */
export interface Scenario {
  /** Everything that actors share. No other memory may carry anything between them. */
  readonly memory: readonly Int32Array<SharedArrayBuffer>[];
  /**
   * A word, first in its part of the memory, whose bits from 2 up count. Whether a count seen earlier is still the present
   * one is all that may depend on it, so that states that differ only in how far it has counted are one.
   */
  readonly counter: Int32Array<SharedArrayBuffer>;
  readonly actors: readonly Actor[];
  /** Called in every state in which no actor can do another step, whatever the order that led there. */
  settled(end: Settled): void;
}

export interface Actor {
  readonly name: string;
  /** May be terminated after every step. */
  readonly mortal?: boolean;
  /** Begins only when all others are done, terminated or asleep for good. */
  readonly late?: boolean;
  /** Begins anew whenever it ends. Between two rounds it has nothing of its own but what it has emitted. */
  readonly rounds?: boolean;
  /** Sets up what the actor has of its own, with no stop, and answers what it does then. */
  begin(tools: ActorTools): () => void;
}

export interface ActorTools {
  /** What the actor emitted in earlier rounds. */
  readonly emitted: readonly number[];
  /** Records a result. */
  emit(result: number): void;
  /**
   * Promises that all the actor still knows at this point, apart from what it emitted, is the value that each word had at
   * its last access to it (the counter: at its last change). Ways to get here that agree in that are followed once.
   */
  forget(point: string): void;
}

export interface Settled {
  /** Has the actor done all its steps? False = terminated, asleep or, if late, not begun. */
  isDone(actor: string): boolean;
  emitted(actor: string): readonly number[];
}

export interface Explored {
  readonly states: number;
  readonly settled: number;
}

/** @throws what an actor or `settled` throws, with the schedule that led there */
export function explore(scenario: Scenario): Explored {
  const seen = new Set<string>();
  const open: State[] = [initialState(scenario)];
  let settled = 0;
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = keyOf(scenario, state);
    if (seen.has(key)) continue;
    seen.add(key);
    const next = successors(scenario, state);
    if (next.steps.length === 0) {
      settled++;
      checkSettled(scenario, state);
      next.steps = lateSteps(scenario, state);
    }
    open.push(...next.steps, ...next.terminations);
  }
  return { states: seen.size, settled };
}

type Result = number | string;

/** An access that was made. */
interface Access {
  readonly word: Word;
  readonly result: Result;
  /** The word's value afterwards. */
  readonly value: number;
  readonly changes: boolean;
  /** The memory as it was when the step began: what the plain code before the access found. */
  readonly before: Int32Array;
}

interface Word {
  readonly buffer: ArrayBufferLike;
  readonly index: number;
  /** Different for every word. */
  readonly name: string;
}

interface Sleep extends Access {
  readonly timed: boolean;
}

interface ActorState {
  /** Those of the present round. */
  readonly accesses: readonly Access[];
  /** The last point at which it forgot, and the number of accesses before it. */
  readonly forgot: { readonly point: string; readonly accesses: number };
  readonly sleep: Sleep | undefined;
  readonly over: 'done' | 'terminated' | undefined;
  readonly emitted: readonly number[];
  /** What was emitted before the present round. */
  readonly emittedBefore: readonly number[];
}

interface State {
  readonly memory: Int32Array;
  readonly actors: readonly ActorState[];
  readonly parent: State | undefined;
  readonly label: string;
}

function initialState(scenario: Scenario): State {
  return {
    memory: capture(scenario),
    actors: scenario.actors.map(() => freshActor([])),
    parent: undefined,
    label: 'begin',
  };
}

function freshActor(emitted: readonly number[]): ActorState {
  const forgot = { point: 'begin', accesses: 0 };
  return { accesses: [], forgot, sleep: undefined, over: undefined, emitted, emittedBefore: emitted };
}

function successors(scenario: Scenario, state: State): { steps: State[]; terminations: State[] } {
  const steps: State[] = [];
  const terminations: State[] = [];
  for (const [index, actor] of state.actors.entries()) {
    const { late, mortal, name } = scenario.actors[index];
    if (actor.over !== undefined) continue;
    if (actor.sleep?.timed) steps.push(wake(state, index, 'timed-out', `${name} times out`));
    if (actor.sleep === undefined && !late) steps.push(step(scenario, state, index));
    if (mortal) {
      terminations.push(
        replaceActor(state, index, { ...actor, over: 'terminated' }, `${name} is terminated`),
      );
    }
  }
  return { steps, terminations };
}

function lateSteps(scenario: Scenario, state: State): State[] {
  return state.actors.flatMap((actor, index) =>
    scenario.actors[index].late && actor.over === undefined ? [step(scenario, state, index)] : [],
  );
}

function checkSettled(scenario: Scenario, state: State): void {
  const find = (name: string) => state.actors[scenario.actors.findIndex((actor) => actor.name === name)];
  restore(scenario, state.memory);
  try {
    scenario.settled({
      isDone: (name) => find(name)?.over === 'done',
      emitted: (name) => find(name).emitted,
    });
  } catch (error) {
    throw withSchedule(error, state);
  }
}

/** One more access of an actor, or the plain code behind its last one. */
function step(scenario: Scenario, state: State, index: number): State {
  const { name, begin, rounds } = scenario.actors[index];
  const actor = state.actors[index];
  const run = new Step(scenario, state, actor);
  let next: ActorState;
  current = run;
  globalThis.Atomics = steppingAtomics;
  try {
    const go = begin(run);
    run.settingUp = false;
    go();
    next = rounds
      ? freshActor(run.results)
      : { ...actor, accesses: run.made, over: 'done', emitted: run.results };
  } catch (thrown) {
    if (thrown !== STOP) throw withSchedule(thrown, replaceActor(state, index, actor, `${name} fails`));
    next = { ...actor, accesses: run.made, forgot: run.forgot, emitted: run.results, sleep: run.sleep };
  } finally {
    globalThis.Atomics = realAtomics;
  }
  const after = replaceActor(state, index, next, `${name} ${run.label}`, capture(scenario));
  return run.woken.reduce((woken, other) => wake(woken, other, 'ok', `${run.label}: wakes`), after);
}

/** Thrown through the actor's code to stop it. */
const STOP = Symbol('stop');

/** A run of one actor from the start of its round to the end of one step. */
class Step implements ActorTools {
  readonly emitted: readonly number[];
  readonly results: number[];
  readonly made: Access[];
  forgot: ActorState['forgot'];
  sleep: Sleep | undefined;
  woken: readonly number[] = [];
  label = 'ends';
  /** While it sets up, an actor makes more than one access. */
  settingUp = true;
  readonly #scenario: Scenario;
  readonly #state: State;
  #replayed = 0;

  constructor(scenario: Scenario, state: State, actor: ActorState) {
    this.#scenario = scenario;
    this.#state = state;
    this.emitted = actor.emittedBefore;
    this.results = [...actor.emittedBefore];
    this.made = [...actor.accesses];
    this.forgot = actor.forgot;
    this.#restoreForNext();
  }

  emit(result: number): void {
    this.results.push(result);
  }

  forget(point: string): void {
    this.forgot = { point, accesses: this.#replayed };
  }

  /** Makes the access, or answers once more what it answered before. An object means that it falls asleep. */
  access(
    operation: string,
    array: Int32Array<SharedArrayBuffer>,
    index: number,
    perform: () => Result | { timed: boolean },
  ): Result {
    if (this.#replayed < this.made.length) {
      const { result } = this.made[this.#replayed++];
      this.#restoreForNext();
      return result;
    }
    const result = perform();
    const asleep = typeof result === 'object';
    this.label = `${operation} ${index} = ${asleep ? 'sleeps' : result}`;
    const access: Access = {
      word: { buffer: array.buffer, index, name: wordName(this.#scenario, array, index) },
      result: asleep ? 'sleeps' : result,
      value: realAtomics.load(array, index),
      changes: operation !== 'load' && operation !== 'wait' && operation !== 'notify',
      before: this.#state.memory,
    };
    if (asleep) {
      this.sleep = { ...access, timed: result.timed };
      throw STOP;
    }
    this.made.push(access);
    if (!this.settingUp) throw STOP;
    this.#replayed++;
    return result;
  }

  notify(array: Int32Array<SharedArrayBuffer>, index: number): number {
    this.woken = this.#state.actors.flatMap(({ sleep, over }, other) =>
      over === undefined && sleep?.word.buffer === array.buffer && sleep.word.index === index ? [other] : [],
    );
    return this.woken.length;
  }

  #restoreForNext(): void {
    restore(this.#scenario, this.made[this.#replayed]?.before ?? this.#state.memory);
  }
}

function wake(state: State, index: number, result: 'ok' | 'timed-out', label: string): State {
  const actor = state.actors[index];
  const { timed: _, ...access } = actor.sleep!;
  const accesses = [...actor.accesses, { ...access, result }];
  return replaceActor(state, index, { ...actor, accesses, sleep: undefined }, label);
}

function replaceActor(
  state: State,
  index: number,
  actor: ActorState,
  label: string,
  memory = state.memory,
): State {
  return { memory, actors: state.actors.with(index, actor), parent: state, label };
}

/** The step that is being made. */
let current: Step;

const realAtomics = Atomics;

const steppingAtomics = createSteppingAtomics() as unknown as typeof Atomics;

function createSteppingAtomics() {
  type Words = Int32Array<SharedArrayBuffer>;
  return {
    load: (a: Words, i: number) => current.access('load', a, i, () => realAtomics.load(a, i)),
    store: (a: Words, i: number, v: number) =>
      current.access('store', a, i, () => realAtomics.store(a, i, v)),
    add: (a: Words, i: number, v: number) => current.access('add', a, i, () => realAtomics.add(a, i, v)),
    sub: (a: Words, i: number, v: number) => current.access('sub', a, i, () => realAtomics.sub(a, i, v)),
    or: (a: Words, i: number, v: number) => current.access('or', a, i, () => realAtomics.or(a, i, v)),
    and: (a: Words, i: number, v: number) => current.access('and', a, i, () => realAtomics.and(a, i, v)),
    compareExchange: (a: Words, i: number, expected: number, v: number) =>
      current.access('compareExchange', a, i, () => realAtomics.compareExchange(a, i, expected, v)),
    wait: (a: Words, i: number, expected: number, timeoutMs = Number.POSITIVE_INFINITY) =>
      current.access('wait', a, i, () =>
        realAtomics.load(a, i) === expected ? { timed: timeoutMs !== Number.POSITIVE_INFINITY } : 'not-equal',
      ),
    notify: (a: Words, i: number) => current.access('notify', a, i, () => current.notify(a, i)),
  };
}

function wordName({ memory }: Scenario, { buffer }: Int32Array, index: number): string {
  return `${memory.findIndex((part) => part.buffer === buffer)}.${index}`;
}

function capture(scenario: Scenario): Int32Array {
  const words = new Int32Array(scenario.memory.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of scenario.memory) {
    for (let i = 0; i < part.length; i++) words[at++] = part[i];
  }
  return words;
}

function restore(scenario: Scenario, words: Int32Array): void {
  let at = 0;
  for (const part of scenario.memory) {
    for (let i = 0; i < part.length; i++) part[i] = words[at++];
  }
}

/**
 * What can still happen depends on the memory and on what every actor knows, on nothing else. A count is never reached
 * again, so that of a counter's value only this is of interest: its low bits, and is its count the present one?
 */
function keyOf(scenario: Scenario, state: State): string {
  const counterAt = counterOffset(scenario);
  const present = state.memory[counterAt];
  const isCounter = ({ word }: Access) => word.buffer === scenario.counter.buffer;

  const memory = state.memory.with(counterAt, present & 3);
  const actors = state.actors.map((actor) => {
    const { accesses, forgot, sleep, over, emitted } = actor;
    const known = knownAccesses(actor, isCounter).map((access) =>
      isCounter(access)
        ? `${access.value >> 2 === present >> 2}${access.value & 3}`
        : `${access.word.name}=${access.value}`,
    );
    const since = accesses.length - forgot.accesses;
    return `${forgot.point}+${since} ${known} ${sleep === undefined ? '' : 'asleep'} ${over ?? ''} ${emitted}`;
  });
  return `${Buffer.from(memory.buffer).toString('latin1')}|${actors.join('|')}`;
}

/** The last access to each word before the point where the actor forgot, and all behind it. */
function knownAccesses(
  { accesses, forgot, over }: ActorState,
  isCounter: (access: Access) => boolean,
): Access[] {
  if (over !== undefined) return [];
  if (forgot.accesses === 0) return [...accesses];
  const last = new Map<string, Access>();
  for (const access of accesses.slice(0, forgot.accesses)) {
    if (isCounter(access) && !access.changes) continue;
    last.set(access.word.name, access);
  }
  return [...last.values(), ...accesses.slice(forgot.accesses)];
}

function counterOffset({ memory, counter }: Scenario): number {
  const part = memory.findIndex(({ buffer }) => buffer === counter.buffer);
  return memory.slice(0, part).reduce((sum, { length }) => sum + length, 0);
}

function withSchedule(error: unknown, state: State): Error {
  const schedule: string[] = [];
  for (let at: State | undefined = state; at !== undefined; at = at.parent) schedule.unshift(at.label);
  const message = error instanceof Error ? error.message : String(error);
  return new Error(`${message}\nschedule:\n  ${schedule.join('\n  ')}`, { cause: error });
}
