import type { Failure } from '../../protocol/errors.js';
import type { LaneMark } from '../intake/lane-input.js';
import type { WriterLane } from '../intake/writer-lane.js';

/** Somebody wants to know when all that was accepted before is durable, on whichever lane. */
interface SyncRequest {
  readonly lane: WriterLane;
  readonly reason: SyncReason;
  /** Lanes that had more, when they were looked at after the request came, than was written by then. */
  unpassed: readonly { readonly lane: WriterLane; readonly mark: LaneMark }[];
}

export type SyncReason =
  /** `sync`: answered by a message with this id. */
  | { readonly kind: 'sync'; readonly id: number }
  /** A producer is blocked until the flush with this ticket is done. */
  | { readonly kind: 'flush'; readonly ticket: number }
  /** Not a reason to know: the lane's end, once all of it is durable. */
  | { readonly kind: 'leave' };

/**
 * Requests for a sync, from their coming until they are answered:
 *
 *   new ──▶ heard ──▶ placed ──▶ answered
 *
 *   new      came in this round. Other lanes may hold older entries that nobody has looked at since.
 *   heard    each lane was looked at after it came; once what was seen then is written, all that was accepted before is
 *   placed   the newest entry at that moment is its target: durable so far, it is answered
 */
export class SyncRequests {
  readonly #onLeave: (lane: WriterLane) => void;
  #new: SyncRequest[] = [];
  /** Of the heard ones those that the round under way has heard. */
  #fresh: SyncRequest[] = [];
  #heard: SyncRequest[] = [];
  #placed: (SyncRequest & { readonly target: number })[] = [];

  /** `onLeave` is told of a lane whose last entry is durable, or lost. */
  constructor(onLeave: (lane: WriterLane) => void) {
    this.#onLeave = onLeave;
  }

  get isEmpty(): boolean {
    return this.#new.length === 0 && this.#heard.length === 0 && this.#placed.length === 0;
  }

  /** Does anybody wait for what stands behind `watermark`? */
  reachBeyond(watermark: number): boolean {
    return this.#placed.some(({ target }) => target > watermark);
  }

  add(lane: WriterLane, reason: SyncReason): void {
    this.#new.push({ lane, reason, unpassed: [] });
  }

  /** Before a round looks at each lane: what came until now is heard by it. */
  startRound(): void {
    this.#fresh = this.#new;
    this.#new = [];
    this.#heard.push(...this.#fresh);
  }

  /** After it. `wholeLsn`: the newest entry that is written and in no unfinished batch. */
  finishRound(lanes: readonly WriterLane[], wholeLsn: number): void {
    if (this.#heard.length === 0) return;
    const unfinished = lanes.filter((lane) => !lane.input.isDrained);
    const unpassed = unfinished.map((lane) => ({ lane, mark: lane.input.mark }));
    for (const request of this.#fresh) request.unpassed = unpassed;
    this.#fresh = [];
    this.#heard = this.#heard.filter((request) => {
      request.unpassed = request.unpassed.filter(({ lane, mark }) => !lane.input.hasPassed(mark));
      if (request.unpassed.length > 0) return true;
      this.#placed.push({ ...request, target: wholeLsn });
      return false;
    });
  }

  /** Answers those whose target is durable; true = there were any. */
  answer(watermark: number): boolean {
    const due = this.#placed.filter(({ target }) => target <= watermark);
    if (due.length === 0) return false;
    this.#placed = this.#placed.filter(({ target }) => target > watermark);
    for (const { lane, reason } of due) {
      if (reason.kind === 'leave') this.#onLeave(lane);
      else if (reason.kind === 'sync') lane.post({ kind: 'synced', id: reason.id, watermark });
      else lane.input.finishFlush(reason.ticket);
    }
    return true;
  }

  rejectAll(failure: Failure): void {
    for (const request of [...this.#placed, ...this.#heard, ...this.#new]) this.#reject(request, failure);
    this.#placed = [];
    this.#heard = [];
    this.#new = [];
  }

  /**
   * What `losers` had accepted is lost: requests that would have covered any of it reject. Those with a target cover only what
   * is written. By its own lane a `sync` came before what is lost, or it was met among it; a flush has no place in the lane.
   */
  rejectVoid(losers: readonly WriterLane[], failure: Failure): void {
    const isVoid = ({ lane, reason }: SyncRequest) =>
      reason.kind === 'flush' || (reason.kind === 'sync' && losers.some((loser) => loser !== lane));
    for (const request of [...this.#heard, ...this.#new].filter(isVoid)) this.#reject(request, failure);
    this.#heard = this.#heard.filter((request) => !isVoid(request));
    this.#new = this.#new.filter((request) => !isVoid(request));
  }

  #reject({ lane, reason }: SyncRequest, failure: Failure): void {
    // Whoever leaves has been told of what was lost; nothing of it is left to wait for.
    if (reason.kind === 'leave') this.#onLeave(lane);
    else if (reason.kind === 'sync') lane.post({ kind: 'sync-rejected', id: reason.id, failure });
    else {
      // What a woken producer finds in its port was posted before.
      lane.post({ kind: 'sync-rejected', id: 0, failure });
      lane.input.finishFlush(reason.ticket);
    }
  }
}
