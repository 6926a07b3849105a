import type { AnyCommand, CommandResult, ToLane } from '../../protocol/lane-messages.js';
import type { Doorbell } from '../../ring/doorbell.js';
import { errorFromFailure } from '../errors/wal-error.js';
import type { Appender } from './appender.js';
import type { OverflowQueue } from './overflow-queue.js';
import { PendingRequests } from './pending-requests.js';
import type { WaitingPromises } from './waiting-promises.js';

/** The `id` of an answer to a blocking flush, which has no promise. */
export const FLUSH_ID = 0;

export interface WriterRequestsParts {
  readonly appender: Appender;
  readonly overflow: OverflowQueue;
  readonly doorbell: Doorbell;
  readonly promises: WaitingPromises;
}

type Answer = Extract<
  ToLane,
  { readonly kind: 'synced' | 'sync-rejected' | 'command-done' | 'command-rejected' }
>;

/** What a lane asks the writer thread to do, besides writing: syncs and commands. */
export class WriterRequests {
  readonly #overflow: OverflowQueue;
  readonly #doorbell: Doorbell;
  readonly #syncs: PendingRequests<number>;
  readonly #commands: PendingRequests<CommandResult | undefined>;

  constructor({ appender, overflow, doorbell, promises }: WriterRequestsParts) {
    this.#overflow = overflow;
    this.#doorbell = doorbell;
    this.#syncs = new PendingRequests(promises, () => appender.accepted);
    this.#commands = new PendingRequests(promises, () => appender.accepted);
  }

  get size(): number {
    return this.#syncs.size + this.#commands.size;
  }

  /** See `Wal.sync`. */
  sync(signal: AbortSignal | undefined): Promise<number> {
    return this.#syncs.make(signal, (id) => {
      this.#overflow.post({ kind: 'sync', id });
      this.#doorbell.ring(true);
    });
  }

  /** Makes the writer execute a command on the whole log, after everything that was accepted before. */
  command(command: AnyCommand): Promise<CommandResult | undefined> {
    return this.#commands.make(undefined, (id) => {
      this.#overflow.post({ kind: 'command', id, command });
      this.#doorbell.ring(true);
    });
  }

  receive(answer: Answer): void {
    switch (answer.kind) {
      case 'synced':
        this.#syncs.resolve(answer.id, answer.watermark);
        break;
      case 'sync-rejected':
        this.#syncs.reject(answer.id, errorFromFailure(answer.failure));
        break;
      case 'command-done':
        this.#commands.resolve(answer.id, answer.result);
        break;
      case 'command-rejected':
        this.#commands.reject(answer.id, errorFromFailure(answer.failure));
        break;
    }
  }

  /** Entry `accepted` is not in the log: rejects the syncs that were to make it durable. */
  rejectSyncsFrom(accepted: number, error: unknown): void {
    this.#syncs.rejectFrom(accepted, error);
  }

  rejectAll(error: unknown): void {
    this.#syncs.rejectAll(error);
    this.#commands.rejectAll(error);
  }
}
