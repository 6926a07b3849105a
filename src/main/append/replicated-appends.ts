import { BroadcastChannel } from 'node:worker_threads';
import type { ReplicaNews } from '../../protocol/replica-messages.js';
import { FINAL_CODES } from '../../replica/replica.js';
import type { LogStatus } from '../../ring/log-status.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import type { Wish } from './append-wants.js';
import type { LaneParts } from './lane-parts.js';

interface Waiting {
  readonly lsn: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Appends of one lane that are durable here and wait for the replica. The replica thread stores how far it has come in the log's status and
 * then broadcasts that there is news; this lane begins to listen before it looks. So it hears of every change, on whatever thread it is.
 *
 * `maxUnsettled` of the lane bounds them.
 */
export class ReplicatedAppends {
  readonly #directory: string;
  readonly #status: LogStatus;
  readonly #channelName: string;
  readonly #onChange: () => void;
  #channel: BroadcastChannel | undefined;
  /** Ascending by LSN: a lane's entries become durable in their order. */
  #waiting: Waiting[] = [];
  #failure: (() => WalError) | undefined;

  /** `undefined`: the log has no replica. `onChange` is called when the number of waiting appends has changed. */
  static of(
    { directory, status, options }: Pick<LaneParts, 'directory' | 'status' | 'options'>,
    onChange: () => void,
  ): ReplicatedAppends | undefined {
    const { replicaChannel: name } = options;
    return name === undefined ? undefined : new ReplicatedAppends(directory, status, name, onChange);
  }

  private constructor(directory: string, status: LogStatus, channelName: string, onChange: () => void) {
    this.#directory = directory;
    this.#status = status;
    this.#channelName = channelName;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** @throws ERR_WAL_FULL: too much waits for the replica */
  assertRoom(): void {
    if (this.#status.get('replicaLags') === 0) return;
    throw new WalError(
      'ERR_WAL_FULL',
      `Cannot append to "${this.#directory}": more than maxLag bytes wait to be replicated. Nothing was taken. Wait until the replica has ` +
        'caught up.',
      { path: this.#directory },
    );
  }

  /** @throws ERR_WAL_FULL; why no append can be replicated any more, to one that asks for it */
  assertTaking({ isReplicated }: Wish): void {
    const ended = isReplicated ? this.#status.get('replicaEnded') : 0;
    if (ended > 0) throw this.#failure?.() ?? replicationEnded(this.#directory, ended);
    this.assertRoom();
  }

  /** What an append with this wish resolves with, and when; `lastOf`: the last entry of those that `durable` acknowledges. */
  after<T>(durable: Promise<T>, { isReplicated }: Wish, lastOf: (acknowledged: T) => number): Promise<T> {
    return isReplicated ? this.#afterReplication(durable, lastOf) : durable;
  }

  async #afterReplication<T>(durable: Promise<T>, lastOf: (acknowledged: T) => number): Promise<T> {
    const acknowledged = await durable;
    await this.wait(lastOf(acknowledged));
    return acknowledged;
  }

  /** Resolves once entry `lsn`, which is durable, is replicated. */
  wait(lsn: number): Promise<void> {
    this.#listen();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lsn, resolve, reject });
      this.#onChange();
      this.#settle();
    });
  }

  /** Nothing more is replicated, as far as this lane hears of it. */
  rejectAll(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
    this.#onChange();
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  #listen(): void {
    if (this.#channel !== undefined) return;
    const channel = new BroadcastChannel(this.#channelName);
    channel.onmessage = (event) => this.#receive((event as { data: ReplicaNews }).data);
    (channel as unknown as { unref(): void }).unref();
    this.#channel = channel;
  }

  #receive({ failure }: ReplicaNews): void {
    if (failure !== undefined) this.#failure = () => errorFromFailure(failure);
    this.#settle();
  }

  #settle(): void {
    const replicated = this.#status.get('replicatedLsn');
    let settled = 0;
    for (; settled < this.#waiting.length; settled++) {
      const { lsn, resolve } = this.#waiting[settled] as Waiting;
      if (lsn > replicated) break;
      resolve();
    }
    if (settled > 0) {
      this.#waiting.splice(0, settled);
      this.#onChange();
    }
    const ended = this.#status.get('replicaEnded');
    if (ended > 0 && this.#waiting.length > 0)
      this.rejectAll(this.#failure?.() ?? replicationEnded(this.#directory, ended));
  }
}

function replicationEnded(directory: string, ended: number): WalError {
  return new WalError(
    FINAL_CODES[ended - 1] ?? 'ERR_WAL_REPLICA',
    `Replication of "${directory}" has ended: the option onError of the thread that opened the log was told why. The entry is durable ` +
      'here if it was acknowledged before as such.',
    { path: directory },
  );
}
