import type { Failure } from '../../protocol/errors.js';
import type { LaneMark } from '../intake/lane-input.js';
import type { WriterLane } from '../intake/writer-lane.js';

/** A request to be told when everything that any lane had accepted before it is durable. */
interface SyncRequest {
  readonly lane: WriterLane;
  readonly reason: SyncReason;
  /** Lanes that had published more than was written when the round looked at them, each with the point to reach. */
  unpassed: readonly { readonly lane: WriterLane; readonly mark: LaneMark }[];
}

export type SyncReason =
  /** `sync`: answered by a message with this id. */
  | { readonly kind: 'sync'; readonly id: number }
  /** A producer is blocked until the flush with this ticket is done. */
  | { readonly kind: 'flush'; readonly ticket: number }
  /** The lane ends: it is freed once all of it is durable. */
  | { readonly kind: 'leave' };

/**
 * Requests for a sync, from arrival to answer:
 *
 *   new ──▶ heard ──▶ placed ──▶ answered
 *
 *   new      arrived in this round. Other lanes may hold older entries that no round has seen since.
 *   heard    a round has looked at every lane since. Once all that it saw is written, everything accepted before is written
 *   placed   the newest entry at that moment is the request's target: it is answered once the target is durable
 */
export class SyncRequests {
  readonly #onLeave: (lane: WriterLane) => void;
  #new: SyncRequest[] = [];
  /** The heard requests that the current round has heard. */
  #fresh: SyncRequest[] = [];
  #heard: SyncRequest[] = [];
  #placed: (SyncRequest & { readonly target: number })[] = [];

  /** `onLeave` gets each lane whose last entry is durable or lost. */
  constructor(onLeave: (lane: WriterLane) => void) {
    this.#onLeave = onLeave;
  }

  get isEmpty(): boolean {
    return this.#new.length === 0 && this.#heard.length === 0 && this.#placed.length === 0;
  }

  /** Does a request wait for an entry after `watermark`? */
  reachBeyond(watermark: number): boolean {
    return this.#placed.some(({ target }) => target > watermark);
  }

  add(lane: WriterLane, reason: SyncReason): void {
    this.#new.push({ lane, reason, unpassed: [] });
  }

  /** Call before a round looks at the lanes: the round hears the requests that have arrived by now. */
  startRound(): void {
    this.#fresh = this.#new;
    this.#new = [];
    this.#heard.push(...this.#fresh);
  }

  /** Call after the round. `wholeLsn`: the newest entry that is written and not inside an unfinished batch. */
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

  /** Answers the requests whose target is durable; true = there were any. */
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
   * The entries that `losers` had accepted are lost: rejects each request that would have covered one of them. A request with a
   * target covers only written entries. A `sync` from the losing lane itself came before the lost entries or was dropped among
   * them; a flush has no place in the order of its lane.
   */
  rejectVoid(losers: readonly WriterLane[], failure: Failure): void {
    const isVoid = ({ lane, reason }: SyncRequest) =>
      reason.kind === 'flush' || (reason.kind === 'sync' && losers.some((loser) => loser !== lane));
    for (const request of [...this.#heard, ...this.#new].filter(isVoid)) this.#reject(request, failure);
    this.#heard = this.#heard.filter((request) => !isVoid(request));
    this.#new = this.#new.filter((request) => !isVoid(request));
  }

  #reject({ lane, reason }: SyncRequest, failure: Failure): void {
    // The lane's producer knows which entries were lost. No entry is left to wait for.
    if (reason.kind === 'leave') this.#onLeave(lane);
    else if (reason.kind === 'sync') lane.post({ kind: 'sync-rejected', id: reason.id, failure });
    else {
      // Posted before the producer wakes, so that it finds the rejection in its port.
      lane.post({ kind: 'sync-rejected', id: 0, failure });
      lane.input.finishFlush(reason.ticket);
    }
  }
}
