import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { AckRuns, ToLane } from '../../protocol/lane-messages.js';
import { type AckRun, AckSlotReader } from '../../ring/ack-slot.js';
import { Want } from '../../ring/producer.js';
import { BusyPoll } from './busy-poll.js';
import { tooManyUnsettled } from './lane-errors.js';
import type { LaneParts } from './lane-parts.js';
import { PendingAppends } from './pending-appends.js';

/** The lane, as its receiver sees it. */
export interface AckReceiverHost {
  /** Messages that are no acknowledgements. */
  onMessage(message: ToLane): void;
  /** An acknowledgement or a message has been taken in completely. */
  onReceived(): void;
  /** Number of the newest entry that the lane has accepted. */
  accepted(): number;
}

/**
 * Receives acknowledgements and messages from the log's threads, and holds the append promises that wait for them.
 *
 * An acknowledgement arrives in one of three ways: from the writer thread's port, from the sync thread's port, or, for a lane that
 * polls, in the slot in the lane's memory. The rest of the lane does not see which.
 */
export class AckReceiver {
  readonly #parts: LaneParts;
  readonly #host: AckReceiverHost;
  /** Node 20 crashes if a port is read in its own event 'close'. Nothing is left in a port then. */
  readonly #closedPorts = new Set<MessagePort>();
  readonly #written = new PendingAppends();
  readonly #durable = new PendingAppends();
  readonly #busyPoll: BusyPoll | undefined;

  constructor(parts: LaneParts, host: AckReceiverHost) {
    this.#parts = parts;
    this.#host = host;
    if (parts.options.busyPoll) {
      const slot = new AckSlotReader(parts.views);
      this.#busyPoll = new BusyPoll({
        begin: () => slot.start(),
        take: () => this.#receiveSlot(slot.take()),
        isSettled: () => this.#durable.size === 0,
        end: () => this.#receiveSlot(slot.stop()),
      });
    }
    for (const port of [parts.writerPort, parts.syncPort]) {
      port.on('message', (message: ToLane) => this.#receive(message));
      port.on('close', () => {
        this.#closedPorts.add(port);
        parts.onPortClosed();
      });
      port.unref();
    }
  }

  /** Append promises that are not settled. */
  get unsettled(): number {
    return this.#written.size + this.#durable.size;
  }

  /**
   * `others`: append promises that have been acknowledged here and are not settled.
   *
   * @throws ERR_WAL_FULL: `maxUnsettled` append promises are not settled
   */
  assertRoom(others = 0): void {
    const { directory, options } = this.#parts;
    if (this.unsettled + others >= options.maxUnsettled)
      throw tooManyUnsettled(directory, options.maxUnsettled);
  }

  /** Where the promise of an append with these `wants` waits. */
  pendingFor(wants: number): PendingAppends {
    return (wants & Want.durable) === 0 ? this.#written : this.#durable;
  }

  /** A sync is on its way: looks for its acknowledgement in each turn of the event loop, if the lane polls. */
  startPolling(): void {
    this.#busyPoll?.start();
  }

  /** Takes the acknowledgement in the slot, if there is one, and leaves the lane's memory alone from now on. */
  stopPolling(): void {
    this.#busyPoll?.stop();
  }

  /** Takes in everything that was sent to this lane, without waiting for the event loop. */
  drain(): void {
    this.#busyPoll?.take();
    this.drainSyncPort();
    this.#drain(this.#parts.writerPort);
  }

  /** As [drain], for the sync thread's port only. */
  drainSyncPort(): void {
    this.#drain(this.#parts.syncPort);
  }

  /** Rejects the promises of the entries from `from` up to and without `to`. Returns the number of entries that had a promise. */
  reject(from: number, to: number, error: unknown): number {
    return this.#written.reject(from, to, error) + this.#durable.reject(from, to, error);
  }

  close(): void {
    this.#parts.writerPort.close();
    this.#parts.syncPort.close();
  }

  #drain(port: MessagePort): void {
    if (this.#closedPorts.has(port)) return;
    for (let each = receiveMessageOnPort(port); each !== undefined; each = receiveMessageOnPort(port)) {
      this.#receive(each.message as ToLane);
    }
  }

  #receive(message: ToLane): void {
    // The slot was filled before the message was posted.
    this.#busyPoll?.take();
    this.#parts.onReceive();
    if (message.kind === 'written') this.#acknowledge(this.#written, message.runs);
    else if (message.kind === 'durable') this.#acknowledge(this.#durable, message.runs);
    else this.#host.onMessage(message);
    this.#host.onReceived();
  }

  #receiveSlot(run: AckRun | undefined): void {
    if (run === undefined) return;
    this.#parts.onReceive();
    this.#acknowledge(this.#durable, run);
    this.#host.onReceived();
  }

  #acknowledge(pending: PendingAppends, runs: AckRuns): void {
    const accepted = this.#host.accepted();
    for (let at = 0; at < runs.length; at += 3) {
      const last = (runs[at] as number) + (runs[at + 1] as number) - 1;
      if (last > accepted)
        throw new Error(`entry ${last} was acknowledged, of ${accepted} that were accepted`);
    }
    pending.acknowledge(runs);
  }
}
