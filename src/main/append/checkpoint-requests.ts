import type { ChangeResult, CheckpointChange } from '../../protocol/checkpoint-changes.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import { errorFromFailure, WalError } from '../errors/wal-error.js';
import type { WaitingPromises } from './waiting-promises.js';

/** The most changes that may wait. If each has as much data as is allowed, this is 16 MiB. */
const WAITING_MAX = 4096;

interface Request {
  readonly change: CheckpointChange;
  readonly resolve: (isChanged: boolean) => void;
  readonly reject: (error: unknown) => void;
}

type Answer = Extract<ToLane, { readonly kind: 'checkpoints-done' | 'checkpoints-rejected' }>;

/**
 * Changes of named checkpoints on their way to the writer. One group is under way at a time: calls that come meanwhile form
 * the next group. However many calls are in flight, each write of the state file serves all that had come when it began,
 * and the changes are made in the order of the calls.
 */
export class CheckpointRequests {
  /** Called for each change that is durable, before its promise resolves. */
  onDone: (change: CheckpointChange) => void = () => {};
  readonly #directory: string;
  readonly #promises: WaitingPromises;
  readonly #post: (id: number, changes: readonly CheckpointChange[]) => void;
  #waiting: Request[] = [];
  readonly #groups = new Map<number, readonly Request[]>();
  #nextId = 1;

  constructor(
    directory: string,
    promises: WaitingPromises,
    post: (id: number, changes: readonly CheckpointChange[]) => void,
  ) {
    this.#directory = directory;
    this.#promises = promises;
    this.#post = post;
  }

  get size(): number {
    let size = this.#waiting.length;
    for (const group of this.#groups.values()) size += group.length;
    return size;
  }

  /** Resolves once the change is durable. @throws ERR_WAL_FULL */
  request(change: CheckpointChange): Promise<boolean> {
    return this.#promises.create<boolean>(undefined, (resolve, reject) => {
      if (this.#waiting.length >= WAITING_MAX) {
        reject(tooMany(this.#directory));
        return undefined;
      }
      this.#waiting.push({ change, resolve, reject });
      if (this.#groups.size === 0) this.postWaiting();
      return () => {};
    });
  }

  /** Called before a request that must find these changes made: a command, or the end of the log. */
  postWaiting(): void {
    const group = this.#waiting;
    if (group.length === 0) return;
    this.#waiting = [];
    const id = this.#nextId++;
    this.#groups.set(id, group);
    this.#post(
      id,
      group.map(({ change }) => change),
    );
  }

  receive(answer: Answer): void {
    const group = this.#groups.get(answer.id) ?? [];
    this.#groups.delete(answer.id);
    if (answer.kind === 'checkpoints-done') this.#settle(group, answer.results);
    else for (const { reject } of group) reject(errorFromFailure(answer.failure));
    if (this.#groups.size === 0) this.postWaiting();
  }

  rejectAll(error: unknown): void {
    const groups = [...this.#groups.values(), this.#waiting];
    this.#groups.clear();
    this.#waiting = [];
    for (const { reject } of groups.flat()) reject(error);
  }

  #settle(group: readonly Request[], results: readonly ChangeResult[]): void {
    for (const [at, { change, resolve, reject }] of group.entries()) {
      const { failure, isChanged } = results[at] as ChangeResult;
      if (failure !== undefined) {
        reject(errorFromFailure(failure));
        continue;
      }
      if (isChanged) this.onDone(change);
      resolve(isChanged);
    }
  }
}

function tooMany(directory: string): WalError {
  return new WalError(
    'ERR_WAL_FULL',
    `Cannot take one more checkpoint of "${directory}": ${WAITING_MAX} wait to be recorded. Wait for those first.`,
    { path: directory },
  );
}
