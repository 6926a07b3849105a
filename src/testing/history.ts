import { isDeepStrictEqual } from 'node:util';

/** What became of an operation. `seen`: it was not acknowledged yet, and a read has shown its effect. */
export type OperationStatus = 'pending' | 'seen' | 'acknowledged' | 'rejected';

/** An operation that was issued since the store was opened. */
export interface IssuedOperation<Operation> {
  readonly operation: Operation;
  status: OperationStatus;
}

/** How an operation changes the content of a store. `state` may be changed and returned, or left alone. */
export type Apply<State, Operation> = (state: State, operation: Operation) => State;

/**
 * What a store may hold: the content that it was opened with, and the operations since then, in the order in which they were
 * issued.
 *
 *   acknowledged, seen   is in it, and so is everything that was issued before
 *   pending              may be in it; if it is not, nothing that was issued after it is
 *   rejected             may be in it or not, each for itself: a sync that failed says neither
 */
export class History<State, Operation> {
  readonly #apply: Apply<State, Operation>;
  #base: State;
  #issued: IssuedOperation<Operation>[] = [];

  constructor(base: State, apply: Apply<State, Operation>) {
    this.#base = structuredClone(base);
    this.#apply = apply;
  }

  issue(operation: Operation): IssuedOperation<Operation> {
    const issued: IssuedOperation<Operation> = { operation, status: 'pending' };
    this.#issued.push(issued);
    return issued;
  }

  /** How many operations must be in what the store shows to a reader that begins now. */
  get due(): number {
    return this.#issued.findLastIndex(({ status }) => MUST.includes(status)) + 1;
  }

  /**
   * The store shows `state` to a reader that began when so many operations were `due`. False = it must not. Otherwise what it shows
   * counts as seen, if `isKept`.
   */
  show(state: State, due: number, isKept: boolean): boolean {
    for (const { length, states } of this.#explanations(due)) {
      if (!states.some((each) => isDeepStrictEqual(each, state))) continue;
      // The shortest one: of what it may not have shown nothing is asked.
      if (isKept) this.#noteSeen(length);
      return true;
    }
    return false;
  }

  /** The store was opened and shows `state`, which was explained: the next operations begin there. */
  restart(state: State): void {
    this.#base = structuredClone(state);
    this.#issued = [];
  }

  /** The least that the store must hold where so many operations are `due`, and the most that it may. */
  bounds(due: number): { readonly least: State; readonly most: State } {
    const all = [...this.#explanations(due)];
    return { least: all.at(0)?.states.at(0) as State, most: all.at(-1)?.states.at(-1) as State };
  }

  /** By how many of the operations are in it, fewest first; with those that were rejected left out and in. */
  *#explanations(due: number): Generator<{ readonly length: number; readonly states: readonly State[] }> {
    let states: State[] = [this.#base];
    for (let length = 0; ; length += 1) {
      if (length >= due) yield { length, states };
      const next = this.#issued[length];
      if (next === undefined) return;
      const applied = states.map((state) => this.#apply(structuredClone(state), next.operation));
      if (next.status !== 'rejected') states = applied;
      else
        for (const state of applied)
          if (!states.some((each) => isDeepStrictEqual(each, state))) states.push(state);
    }
  }

  #noteSeen(length: number): void {
    for (const issued of this.#issued.slice(0, length)) {
      if (issued.status === 'pending') issued.status = 'seen';
    }
  }
}

const MUST: readonly OperationStatus[] = ['acknowledged', 'seen'];
