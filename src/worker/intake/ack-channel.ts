import type { MessagePort } from 'node:worker_threads';
import type { AckLevel, AckRuns, ToLane } from '../../protocol/lane-messages.js';
import type { AckRun, AckSlotWriter } from '../../ring/ack-slot.js';

/**
 * The way back to the producer of one lane, as seen by one thread of the log. An acknowledgement takes one of three ways, and the
 * producer (`PendingAppends`) puts them in order:
 *
 *   the writer thread's port   written entries; entries that the writer thread has synced
 *   the sync thread's port     entries that the sync thread has synced: one thread switch less
 *   the slot in the lane       one durable run that the writer thread has synced, for a producer that polls: no message at all
 */
export class AckChannel {
  readonly #port: Pick<MessagePort, 'postMessage' | 'close'>;
  readonly #slot: AckSlotWriter | undefined;

  /** `slot`: for the writer thread only, since only one thread may write the slot. */
  constructor(port: Pick<MessagePort, 'postMessage' | 'close'>, slot?: AckSlotWriter) {
    this.#port = port;
    this.#slot = slot;
  }

  /** Acknowledges entries that have reached `level`. There is at least one run. */
  acknowledge(level: AckLevel, runs: AckRuns): void {
    if (level === 'durable' && runs.length === 3 && this.#slot !== undefined) {
      const [first, count, lsn] = runs as AckRun;
      if (this.#slot.fill(first, count, lsn)) return;
    }
    this.post({ kind: level, runs });
  }

  post(message: ToLane, transfer: MessagePort[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  close(): void {
    this.#port.close();
  }
}
