import type { WalError } from '../errors/wal-error.js';
import { closedError, encodingError, laneClosed } from './lane-errors.js';

/** Whether a lane was asked to close the whole log, or itself. */
export type Closing = 'close' | 'detach';

type MakeError = () => WalError;

interface Taking {
  readonly phase: 'taking';
}

/** A callback of `tryEncode` runs: the lane takes nothing until it has returned. */
interface Encoding {
  readonly phase: 'encoding';
}

/** The lane takes nothing more. Entries that it accepted are still on their way. */
interface ClosingDown {
  readonly phase: 'closing';
  readonly what: Closing;
}

/** Everything is settled. */
interface Over {
  readonly phase: 'over';
  /** Makes the error with which calls are refused. Only this may still change, and the two fields that follow. */
  readonly reason: MakeError;
  /** Makes the error that ended the log, if one did. */
  readonly failure: MakeError | undefined;
  /** The lane's memory may belong to another producer already. */
  readonly isDetached: boolean;
}

const TAKING: Taking = { phase: 'taking' };
const ENCODING: Encoding = { phase: 'encoding' };

/**
 * The life of a lane, as one state.
 *
 *     taking ◀───▶ encoding
 *       │  └─▶ closing ◀─┘ │
 *       └────────▶│◀───────┘
 *                 ▼
 *                over
 *
 * A call to the lane is refused in every state but `taking`. One comparison finds that out, so that the check costs an append
 * next to nothing.
 */
export class LaneLife {
  readonly #directory: string;
  #state: Taking | Encoding | ClosingDown | Over = TAKING;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws the reason why the lane takes nothing */
  assertTaking(): void {
    if (this.#state !== TAKING) throw this.refusal();
  }

  get isTaking(): boolean {
    return this.#state === TAKING;
  }

  /** Everything is settled, and nothing more is taken. */
  get isOver(): boolean {
    return this.#state.phase === 'over';
  }

  /** The lane's memory may belong to another producer already. */
  get isDetached(): boolean {
    return this.#state.phase === 'over' && this.#state.isDetached;
  }

  /** Makes the error that ended the log, if one did. */
  get failure(): MakeError | undefined {
    return this.#state.phase === 'over' ? this.#state.failure : undefined;
  }

  /** The error with which a call is refused. */
  refusal(): WalError {
    const state = this.#state;
    if (state.phase === 'over') return state.reason();
    if (state.phase === 'encoding') return encodingError();
    const makeError = this.#closesLaneOnly ? laneClosed : closedError;
    return makeError(this.#directory);
  }

  /** From `taking`. */
  startEncoding(): void {
    this.#state = ENCODING;
  }

  /** The callback has returned. It may have closed the log, or learned that the log failed: that state stays. */
  endEncoding(): void {
    if (this.#state === ENCODING) this.#state = TAKING;
  }

  /** A lane that is closing or over keeps its state. */
  startClosing(what: Closing): void {
    if (this.#state === TAKING || this.#state === ENCODING) this.#state = { phase: 'closing', what };
  }

  /** The log, or the lane, is closed. True the first time that the lane is over. */
  close(): boolean {
    const makeError = this.#closesLaneOnly ? laneClosed : closedError;
    return this.#end(() => makeError(this.#directory), undefined);
  }

  /** The writer has closed the log. True the first time that the lane is over. */
  closeLog(): boolean {
    return this.#end(() => closedError(this.#directory), undefined);
  }

  /** The log has failed. The first failure is the one that counts. True the first time that the lane is over. */
  fail(makeError: MakeError): boolean {
    const failure = this.failure ?? makeError;
    return this.#end(failure, failure);
  }

  /** The memory is given back. A lane that was not over is abandoned: pending promises are never settled. */
  detach(): void {
    if (this.#state.phase !== 'over') this.close();
    this.#state = { ...(this.#state as Over), isDetached: true };
  }

  #end(reason: MakeError, failure: MakeError | undefined): boolean {
    const before = this.#state;
    const wasOver = before.phase === 'over';
    this.#state = {
      phase: 'over',
      reason,
      failure: failure ?? this.failure,
      isDetached: wasOver && before.isDetached,
    };
    return !wasOver;
  }

  get #closesLaneOnly(): boolean {
    return this.#state.phase === 'closing' && this.#state.what === 'detach';
  }
}
