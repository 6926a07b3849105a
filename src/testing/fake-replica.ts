import { Random } from '../files/simulation/random.js';
import { NO_CHAIN, samePosition } from '../replica/chain.js';
import {
  type Replica,
  type ReplicaBatch,
  type ReplicaCut,
  ReplicaError,
  type ReplicaHead,
  type ReplicatedLog,
} from '../replica/replica.js';

/** Probabilities, each from 0 to 1, of what happens to a request or its answer. All 0 by default. */
export interface FakeReplicaFaults {
  /** The request never arrives; the caller learns of a broken connection. */
  readonly lost?: number;
  /** The request is carried out, and the answer never arrives. */
  readonly unanswered?: number;
  /** The caller learns of a broken connection, and the request is carried out at some later moment, whoever the writer is then. */
  readonly late?: number;
  /** The request is carried out twice. */
  readonly doubled?: number;
  /** The request waits while others, sent after it, are carried out. */
  readonly reordered?: number;
}

/** Options of {@link FakeReplicaEngine}. */
export interface FakeReplicaOptions {
  /** Of its faults. Default: 1. */
  readonly seed?: number;
  /** Default: none. */
  readonly faults?: FakeReplicaFaults;
  /** Bytes of a batch. Default: 65,536. */
  readonly maxBatch?: number;
  /** Appends at a time. Default: 1. */
  readonly window?: number;
}

/** What a {@link FakeReplicaEngine} holds of a log. A test may change it. */
export interface FakeLog {
  /** Of the newest writer. */
  epoch: number;
  /** Who acquired it last. */
  writer: string;
  /** LSN of the last entry. */
  lsn: number;
  /** The chain at `lsn`. */
  chain: Uint8Array;
  /** Followers may read up to this LSN. */
  confirmed: number;
  /** Entries below it were removed. */
  floor: number;
  /** In order. */
  batches: ReplicaBatch[];
}

type Fault = keyof FakeReplicaFaults;

const FAULTS: readonly Fault[] = ['lost', 'unanswered', 'late', 'doubled', 'reordered'];

/**
 * An engine in memory that keeps replicated logs, for tests of what uses a {@link Replica}. It decides as a real engine must: an append
 * lands if and only if it has the newest epoch and continues exactly the head. Faults come by the seed: the same seed and the same
 * calls give the same run.
 */
export class FakeReplicaEngine {
  /** May be changed at any time. */
  faults: FakeReplicaFaults;
  /** Appends that were acknowledged to a caller. */
  acknowledged = 0;
  readonly #random: Random;
  readonly #limits: Replica['limits'];
  #logs = new Map<string, FakeLog>();
  #incarnation = 1;
  #late: (() => void)[] = [];

  /** Begins without a log. */
  constructor({ seed = 1, faults = {}, maxBatch = 65_536, window = 1 }: FakeReplicaOptions = {}) {
    this.#random = new Random(seed);
    this.faults = faults;
    this.#limits = { maxBatch, window };
  }

  /** A new connection. */
  connect(): Replica {
    return new FakeReplica(this, this.#limits);
  }

  /** What the log holds now, without any request. */
  log(logId: string): FakeLog | undefined {
    return this.#logs.get(logId);
  }

  /** Saves everything: calling the result puts it back, as a restore of yesterday's backup does. */
  backup(): () => void {
    const saved = copyLogs(this.#logs);
    return () => {
      this.#logs = copyLogs(saved);
      this.#incarnation += 1;
    };
  }

  /** Carries out every request that is still late. */
  deliverLate(): void {
    for (const each of this.#late.splice(0)) each();
  }

  /** @internal One request, with what becomes of it. */
  async request<T>(act: () => T): Promise<T> {
    await this.#turns(this.#random.below(3));
    this.#deliverSome();
    switch (this.#fault()) {
      case 'lost':
        throw broken('before it was sent');
      case 'late':
        this.#late.push(() => void attempt(act));
        throw broken('and the request is still on its way');
      case 'unanswered':
        attempt(act);
        throw broken('before the answer came');
      case 'doubled': {
        const answer = attempt(act);
        attempt(act);
        return resultOf(answer);
      }
      case 'reordered':
        await this.#turns(1 + this.#random.below(8));
    }
    const answer = attempt(act);
    await this.#turns(this.#random.below(3));
    return resultOf(answer);
  }

  /** @internal */
  logs(): ReplicatedLog[] {
    return [...this.#logs].map(([logId, { writer, epoch, lsn, confirmed, floor }]) => ({
      logId,
      writer,
      epoch,
      lsn,
      confirmed,
      floor,
    }));
  }

  /** @internal */
  acquire(logId: string, writer: string, expect: number | undefined): ReplicaHead {
    const log = this.#logs.get(logId) ?? newLog();
    if (expect !== undefined && expect !== log.epoch) throw fenced(expect, log);
    this.#logs.set(logId, log);
    log.epoch += 1;
    log.writer = writer;
    log.confirmed = log.lsn;
    return this.#headOf(log);
  }

  /** @internal */
  append(logId: string, batch: ReplicaBatch): void {
    const log = this.#owned(logId, batch.epoch, undefined);
    if (!samePosition(log, { lsn: batch.first - 1, chain: batch.prev }))
      throw new ReplicaError(
        'ERR_WAL_REPLICA',
        `The head is entry ${log.lsn}: the batch does not continue it.`,
      );
    log.batches.push(copyBatch(batch));
    log.confirmed = log.lsn;
    log.lsn = batch.last;
    log.chain = batch.chain.slice();
  }

  /** @internal */
  settle(logId: string, epoch: number, writer: string): ReplicaHead {
    const log = this.#owned(logId, epoch, writer);
    log.confirmed = log.lsn;
    return this.#headOf(log);
  }

  /** @internal */
  cut(
    logId: string,
    epoch: number,
    writer: string,
    { lsn, chain, empties, boundary }: ReplicaCut,
  ): ReplicaHead {
    const log = this.#owned(logId, epoch, writer);
    log.epoch += 1;
    log.batches = empties ? [] : log.batches.filter(({ last }) => last <= lsn);
    if (boundary !== undefined) log.batches.push(copyBatch(boundary));
    log.lsn = lsn;
    log.chain = chain.slice();
    log.confirmed = lsn;
    if (empties) log.floor = lsn + 1;
    return this.#headOf(log);
  }

  /** @internal */
  trim(logId: string, epoch: number, writer: string, below: number): void {
    const log = this.#owned(logId, epoch, writer);
    log.batches = log.batches.filter(({ last }) => last >= below);
    log.floor = Math.max(log.floor, log.batches[0]?.first ?? log.lsn + 1);
  }

  /** @internal The confirmed batches as they are now. */
  batches(logId: string, from: number): ReplicaBatch[] {
    const log = this.#logs.get(logId);
    if (log === undefined) throw unknownLog(logId);
    if (from < log.floor)
      throw new ReplicaError(
        'ERR_WAL_PURGED',
        `Entry ${from} was removed: the log begins with entry ${log.floor}.`,
      );
    return log.batches.filter(({ last }) => last >= from && last <= log.confirmed).map(copyBatch);
  }

  #owned(logId: string, epoch: number, writer: string | undefined): FakeLog {
    const log = this.#logs.get(logId);
    if (log === undefined) throw unknownLog(logId);
    if (log.epoch !== epoch || (writer !== undefined && log.writer !== writer)) throw fenced(epoch, log);
    return log;
  }

  #headOf({ epoch, lsn, chain, confirmed, floor }: FakeLog): ReplicaHead {
    return { epoch, lsn, chain: chain.slice(), confirmed, floor, incarnation: String(this.#incarnation) };
  }

  #fault(): Fault | undefined {
    return FAULTS.find((fault) => this.#random.chance(this.faults[fault] ?? 0));
  }

  #deliverSome(): void {
    while (this.#late.length > 0 && this.#random.chance(0.3)) {
      const [each] = this.#late.splice(this.#random.below(this.#late.length), 1);
      each?.();
    }
  }

  async #turns(count: number): Promise<void> {
    for (let each = 0; each < count; each++) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

class FakeReplica implements Replica {
  readonly limits: Replica['limits'];
  readonly #engine: FakeReplicaEngine;
  #logId = '';
  #writer = '';
  #isClosed = false;
  #lastAppend: Promise<void> = Promise.resolve();

  constructor(engine: FakeReplicaEngine, limits: Replica['limits']) {
    this.#engine = engine;
    this.limits = limits;
  }

  logs(): Promise<readonly ReplicatedLog[]> {
    return this.#request(() => this.#engine.logs());
  }

  async select(logId: string | undefined): Promise<string> {
    const logs = await this.logs();
    const found = logId === undefined ? logs : logs.filter((log) => log.logId === logId);
    const [only] = found;
    if (found.length !== 1 || only === undefined)
      throw new ReplicaError('ERR_WAL_OPTION', `There are ${found.length} logs to choose from.`);
    this.#logId = only.logId;
    return only.logId;
  }

  async acquire(logId: string, writer: string, expect?: number): Promise<ReplicaHead> {
    const head = await this.#request(() => this.#engine.acquire(logId, writer, expect));
    this.#logId = logId;
    this.#writer = writer;
    return head;
  }

  /** In the order of the calls, as on one connection. */
  async append(batch: ReplicaBatch): Promise<void> {
    const before = this.#lastAppend;
    const done = before.then(() => this.#request(() => this.#engine.append(this.#logId, batch)));
    this.#lastAppend = done.catch(() => {});
    await done;
    this.#engine.acknowledged += 1;
  }

  settle(epoch: number): Promise<ReplicaHead> {
    return this.#request(() => this.#engine.settle(this.#logId, epoch, this.#writer));
  }

  async *read(from: number): AsyncIterable<ReplicaBatch> {
    yield* await this.#request(() => this.#engine.batches(this.#logId, from));
  }

  cut(epoch: number, cut: ReplicaCut): Promise<ReplicaHead> {
    return this.#request(() => this.#engine.cut(this.#logId, epoch, this.#writer, cut));
  }

  trim(epoch: number, below: number): Promise<void> {
    return this.#request(() => this.#engine.trim(this.#logId, epoch, this.#writer, below));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #request<T>(act: () => T): Promise<T> {
    if (this.#isClosed) return Promise.reject(broken('by close()'));
    return this.#engine.request(act);
  }
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** A request that is carried out for nobody, or twice, may fail. */
function attempt<T>(act: () => T): Outcome<T> {
  try {
    return { value: act() };
  } catch (error) {
    return { error };
  }
}

function resultOf<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

function newLog(): FakeLog {
  return { epoch: 0, writer: '', lsn: 0, chain: NO_CHAIN, confirmed: 0, floor: 0, batches: [] };
}

function copyLogs(logs: ReadonlyMap<string, FakeLog>): Map<string, FakeLog> {
  return new Map([...logs].map(([logId, log]) => [logId, { ...log, batches: [...log.batches] }]));
}

function copyBatch(batch: ReplicaBatch): ReplicaBatch {
  return { ...batch, prev: batch.prev.slice(), chain: batch.chain.slice(), data: batch.data.slice() };
}

function fenced(epoch: number, log: FakeLog): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_FENCED',
    `Epoch ${epoch} has ended: "${log.writer}" has epoch ${log.epoch}.`,
  );
}

function unknownLog(logId: string): ReplicaError {
  return new ReplicaError('ERR_WAL_OPTION', `There is no log ${logId}.`);
}

function broken(when: string): ReplicaError {
  return new ReplicaError('ERR_WAL_REPLICA', `The connection was lost ${when}.`);
}
