import type { ToLane } from '../../protocol/lane-messages.js';
import { errorFromFailure } from '../errors/wal-error.js';
import type { AckReceiver } from './ack-receiver.js';
import type { BlockingFlush } from './blocking-flush.js';
import type { LaneLife } from './lane-life.js';
import type { LaneParts } from './lane-parts.js';
import type { RoomWaiters } from './room-waiters.js';
import type { Settlement } from './settlement.js';
import { FLUSH_ID, type WriterRequests } from './writer-requests.js';

interface LaneInboxParts {
  readonly life: LaneLife;
  readonly acks: AckReceiver;
  readonly requests: WriterRequests;
  readonly room: RoomWaiters;
  readonly flush: BlockingFlush;
  readonly settlement: Settlement;
  readonly onLogMessage: LaneParts['onLogMessage'];
}

/** Takes each message of the log's threads, but for the acknowledgements of appends, to the part of the lane that waits for it. */
export class LaneInbox {
  readonly #parts: LaneInboxParts;

  constructor(parts: LaneInboxParts) {
    this.#parts = parts;
  }

  receive(message: ToLane): void {
    const { life, acks, requests, room, flush, settlement, onLogMessage } = this.#parts;
    switch (message.kind) {
      case 'sync-rejected':
        if (message.id === FLUSH_ID) flush.noteError(errorFromFailure(message.failure));
        else requests.receive(message);
        break;
      case 'synced':
      case 'command-done':
      case 'command-rejected':
      case 'next-lsn':
      case 'checkpoints-done':
      case 'checkpoints-rejected':
        requests.receive(message);
        break;
      case 'room':
        room.noteRoom();
        break;
      case 'rejected':
        settlement.reject(message.from, message.to, errorFromFailure(message.failure));
        break;
      case 'conflict':
        acks.reject(message.from, message.to, errorFromFailure(message.failure));
        break;
      case 'failed': {
        // Acknowledgements that the sync thread sent before the failure arrive at the other port.
        acks.drainSyncPort();
        const { failure, written } = message;
        if (life.fail(() => errorFromFailure(failure))) settlement.settleAll(written);
        break;
      }
      case 'closed':
        acks.drainSyncPort();
        if (life.closeLog()) settlement.settleAll(message.taken);
        onLogMessage(message);
        break;
      default:
        onLogMessage(message);
    }
  }
}
