import { nextChain, samePosition } from './chain.js';
import type { LogSource } from './log-source.js';
import type { Replica, ReplicaBatch, ReplicaHead, ReplicaPosition } from './replica.js';

interface Shipment {
  readonly controller: AbortController;
  readonly batch: ReplicaBatch;
  readonly done: Promise<void>;
}

/** The batches under way: at most `limits.window`, each one the continuation of the one before it. */
export class ShippingWindow {
  readonly #replica: Replica;
  readonly #source: LogSource;
  #shipments: Shipment[] = [];

  constructor(replica: Replica, source: LogSource) {
    this.#replica = replica;
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#shipments.length === 0;
  }

  /** Sends what is durable, up to the window. `position`: the last acknowledged one. */
  fill(epoch: number, position: ReplicaPosition): void {
    const { maxBatch, window } = this.#replica.limits;
    while (this.#shipments.length < window) {
      const before = this.#end ?? position;
      const run = this.#source.take(before.lsn, maxBatch);
      if (run === undefined) return;
      const batch: ReplicaBatch = {
        epoch,
        first: before.lsn + 1,
        last: run.last,
        prev: before.chain,
        chain: nextChain(before.chain, run.data),
        data: run.data,
      };
      const controller = new AbortController();
      const done = this.#replica.append(batch, controller.signal);
      // It is awaited in its turn: until then a failure has no other handler.
      done.catch(() => {});
      this.#shipments.push({ controller, batch, done });
    }
  }

  /** Where the log ends once the oldest batch has landed. It leaves the window only then. */
  async oldest(): Promise<ReplicaPosition> {
    const [shipment] = this.#shipments as [Shipment];
    await shipment.done;
    this.#shipments.shift();
    return endOf(shipment.batch);
  }

  /** Aborts what is under way, and waits until no request runs. The batches stay, for [positionAt]. */
  async abandon(): Promise<void> {
    for (const { controller } of this.#shipments) controller.abort();
    await Promise.allSettled(this.#shipments.map(({ done }) => done));
  }

  /** The end of that batch of the window which is the remote's head; `undefined`: none is. */
  positionAt(head: ReplicaHead): ReplicaPosition | undefined {
    return this.#shipments.map(({ batch }) => endOf(batch)).find((end) => samePosition(end, head));
  }

  clear(): void {
    this.#shipments = [];
  }

  get #end(): ReplicaPosition | undefined {
    const last = this.#shipments[this.#shipments.length - 1];
    return last && endOf(last.batch);
  }
}

function endOf({ last, chain }: ReplicaBatch): ReplicaPosition {
  return { lsn: last, chain };
}
