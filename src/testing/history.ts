import { isDeepStrictEqual } from 'node:util';

/** The state of an operation. `seen`: not acknowledged yet, but a read has shown its effect. */
export type OperationStatus = 'pending' | 'seen' | 'acknowledged' | 'rejected';

/** An operation that was issued since the store was opened. */
export interface IssuedOperation<Operation> {
  readonly operation: Operation;
  status: OperationStatus;
}

/** Computes the content of a store after an operation. It may change and return `state`. */
export type Apply<State, Operation> = (state: State, operation: Operation) => State;

/**
 * The contents that a store may have: the content with which it was opened, and the operations since then, in the order in which
 * they were issued.
 *
 *   acknowledged, seen   included, and so is everything issued before
 *   pending              may be included; if not, nothing issued after it is
 *   rejected             may be included or not, each by itself: a failed sync proves neither
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

  /** How many operations must be included in the content that the store shows to a reader that begins now. */
  get due(): number {
    return this.#issued.findLastIndex(({ status }) => MUST.includes(status)) + 1;
  }

  /**
   * The store shows `state` to a reader that began when this many operations were `due`. False = the store must not show it.
   * Otherwise the operations in it count as seen, if `isKept`.
   */
  show(state: State, due: number, isKept: boolean): boolean {
    for (const { length, states } of this.#explanations(due)) {
      if (!states.some((each) => isDeepStrictEqual(each, state))) continue;
      // The shortest explanation: operations that the state need not include do not count as seen.
      if (isKept) this.#noteSeen(length);
      return true;
    }
    return false;
  }

  /** The store was opened and shows `state`, which has an explanation: the next operations start from there. */
  restart(state: State): void {
    this.#base = structuredClone(state);
    this.#issued = [];
  }

  /** The least content that the store must hold if this many operations are `due`, and the most that it may hold. */
  bounds(due: number): { readonly least: State; readonly most: State } {
    const all = [...this.#explanations(due)];
    return { least: all.at(0)?.states.at(0) as State, most: all.at(-1)?.states.at(-1) as State };
  }

  /** Ordered by how many of the operations are included, fewest first; with the rejected ones left out and included. */
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
