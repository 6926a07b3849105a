import type { AnyCommand, CommandResult, ToLane } from '../../protocol/lane-messages.js';
import type { Doorbell } from '../../ring/doorbell.js';
import { errorFromFailure } from '../errors/wal-error.js';
import type { Appender } from './appender.js';
import { CheckpointRequests } from './checkpoint-requests.js';
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
  readonly directory: string;
}

type Answer = Extract<
  ToLane,
  {
    readonly kind:
      | 'synced'
      | 'sync-rejected'
      | 'command-done'
      | 'command-rejected'
      | 'next-lsn'
      | 'checkpoints-done'
      | 'checkpoints-rejected';
  }
>;

/** The requests of a lane to the writer thread, besides entries: syncs, commands and checkpoints. */
export class WriterRequests {
  readonly checkpoints: CheckpointRequests;
  readonly #overflow: OverflowQueue;
  readonly #doorbell: Doorbell;
  readonly #syncs: PendingRequests<number>;
  /** Commands, and questions for an LSN. */
  readonly #commands: PendingRequests<CommandResult | number | undefined>;

  constructor({ appender, overflow, doorbell, promises, directory }: WriterRequestsParts) {
    this.#overflow = overflow;
    this.#doorbell = doorbell;
    this.#syncs = new PendingRequests(promises, () => appender.accepted);
    this.#commands = new PendingRequests(promises, () => appender.accepted);
    this.checkpoints = new CheckpointRequests(directory, promises, (id, changes) => {
      overflow.post({ kind: 'checkpoints', id, changes });
      doorbell.ring(true);
    });
  }

  get size(): number {
    return this.#syncs.size + this.#commands.size + this.checkpoints.size;
  }

  /** See `Wal.sync`. */
  sync(signal: AbortSignal | undefined): Promise<number> {
    return this.#syncs.make(signal, (id) => {
      this.#overflow.post({ kind: 'sync', id });
      this.#doorbell.ring(true);
    });
  }

  /** Makes the writer execute a command on the whole log, after everything that was accepted before. */
  async command(command: AnyCommand): Promise<CommandResult | undefined> {
    const result = await this.#commands.make(undefined, (id) => {
      // In the order of the calls.
      this.checkpoints.postWaiting();
      this.#overflow.post({ kind: 'command', id, command });
      this.#doorbell.ring(true);
    });
    return typeof result === 'number' ? undefined : result;
  }

  /**
   * The LSN that comes next, once everything that the lane has appended until now is written.
   *
   * @throws ERR_WAL_CONFLICT: it is not `expectLsn`
   */
  async nextLsn(expectLsn: number | undefined): Promise<number> {
    const lsn = await this.#commands.make(undefined, (id) => {
      this.#overflow.post({ kind: 'ask-next-lsn', id, expectLsn });
      this.#doorbell.ring(true);
    });
    return lsn as number;
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
      case 'next-lsn':
        this.#commands.resolve(answer.id, answer.lsn);
        break;
      case 'command-rejected':
        this.#commands.reject(answer.id, errorFromFailure(answer.failure));
        break;
      default:
        this.checkpoints.receive(answer);
    }
  }

  /** Entry `accepted` is not in the log: rejects the syncs that should have made it durable. */
  rejectSyncsFrom(accepted: number, error: unknown): void {
    this.#syncs.rejectFrom(accepted, error);
  }

  rejectAll(error: unknown): void {
    this.#syncs.rejectAll(error);
    this.#commands.rejectAll(error);
    this.checkpoints.rejectAll(error);
  }
}
