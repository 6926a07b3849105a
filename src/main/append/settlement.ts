import type { WalError } from '../errors/wal-error.js';
import type { AckReceiver } from './ack-receiver.js';
import type { Appender } from './appender.js';
import type { BlockingFlush } from './blocking-flush.js';
import { entriesLost } from './lane-errors.js';
import type { LaneLife } from './lane-life.js';
import type { LaneParts } from './lane-parts.js';
import type { LaneTallies } from './lane-tallies.js';
import type { RoomWaiters } from './room-waiters.js';
import type { WriterRequests } from './writer-requests.js';

export interface SettlementParts {
  readonly life: LaneLife;
  readonly tallies: LaneTallies;
  readonly appender: Appender;
  readonly acks: AckReceiver;
  readonly requests: WriterRequests;
  readonly room: RoomWaiters;
  readonly flush: BlockingFlush;
  readonly onError: LaneParts['onError'];
  readonly onFailure: LaneParts['onFailure'];
}

/** Rejects the promises that can no longer be kept, and reports the lost entries that have no promise. */
export class Settlement {
  readonly #parts: SettlementParts;

  constructor(parts: SettlementParts) {
    this.#parts = parts;
  }

  /** Entries from `from` up to and without `to` were accepted and are not in the log. */
  reject(from: number, to: number, error: WalError): void {
    const { acks, requests, flush, tallies, onError } = this.#parts;
    const told = acks.reject(from, to, error);
    requests.rejectSyncsFrom(from, error);
    if (to > from) flush.noteError(error);
    const lost = to - from - told;
    if (lost <= 0) return;
    tallies.addLost(lost);
    onError(entriesLost(lost, error));
  }

  /** The lane is over: settles everything. Entries from `firstUnwritten` on were not handed to the system, as far as is known. */
  settleAll(firstUnwritten: number): void {
    const { life, tallies, appender, acks, requests, room, onFailure } = this.#parts;
    acks.stopPolling();
    const error = life.refusal();
    const toldUnsynced = acks.reject(0, firstUnwritten, error);
    const { lost } = tallies;
    this.reject(firstUnwritten, appender.accepted + 1, error);
    requests.rejectAll(error);
    room.rejectAll(error);
    const { failure } = life;
    if (failure !== undefined) onFailure(failure, toldUnsynced, tallies.lost > lost);
  }
}
