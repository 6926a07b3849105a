import { NO_CHAIN } from './chain.js';
import { compareHistories } from './compare.js';
import { describeStop, judgeMeeting } from './healing.js';
import type { LogSource } from './log-source.js';
import { planCut } from './plan-cut.js';
import {
  isFenced,
  isFinal,
  type Replica,
  ReplicaError,
  type ReplicaHead,
  type ReplicaPosition,
} from './replica.js';
import { closedError, fenceLost, regressed, unexpectedHead } from './shipper-errors.js';
import { ShippingWindow } from './shipping-window.js';

/** How far the log is replicated, and in which history: what `ringwal.state` keeps. */
export interface ReplicaProgress extends ReplicaPosition {
  /** Of the writer that replicated up to there; 0 = none has. */
  readonly epoch: number;
}

export const NO_PROGRESS: ReplicaProgress = { epoch: 0, lsn: 0, chain: NO_CHAIN };

/**
 * `connecting`: the log is not acquired yet. `shipping`: all is well. `retrying`: the last request failed, and is settled or repeated.
 * `stopped`: replication has ended for as long as the log is open, for a reason that does not pass. `closed`: the log was closed.
 */
export type ShipperState = 'connecting' | 'shipping' | 'retrying' | 'stopped' | 'closed';

export interface ShipperParts {
  readonly replica: Replica;
  readonly source: LogSource;
  readonly logId: string;
  /** For people, and to tell one writer from another: no other open of any log may have the same. */
  readonly writer: string;
  /** What the local log knows. */
  readonly known: ReplicaProgress;
  /** The epoch that the remote must have; `undefined`: any. */
  readonly expectEpoch: number | undefined;
  /** Resolves after `ms`, or when `signal` aborts. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called whenever the replicated LSN moves: up as batches are acknowledged; down where the remote lost entries, or was cut. */
  readonly onProgress: (progress: ReplicaProgress) => void;
  readonly onState: (state: ShipperState) => void;
  /** A failure. `isFinal`: replication has stopped. */
  readonly onTrouble: (error: unknown, isFinal: boolean) => void;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;
/** How long the newest batch waits for a successor, which would confirm it, before it is confirmed by a request of its own. */
const CONFIRM_MS = 10;
/** More acquisitions than any log was ever opened: beyond it the remote's epoch is not what it should be. */
const ACQUIRES_MAX = 100_000;

/**
 * Ships a log to a replica: everything that is locally durable, in order, under one epoch.
 *
 *   acquire ──▶ heal ──▶ ship ──▶ confirm when idle
 *                ▲        │ a request failed
 *                └ settle ◀┘
 *
 * It acquires the log once. From then on a writer with a newer epoch ends it, and it never acquires again: otherwise a process that was
 * frozen would take the log back from its successor.
 *
 * What it announces by `onProgress` is durable on a quorum. It announces an append only when the request itself, or a `settle` after
 * it, has said so; an unknown outcome is never taken for either.
 */
export class Shipper {
  readonly #parts: ShipperParts;
  readonly #window: ShippingWindow;
  readonly #stop = new AbortController();
  /** Ends the wait for news: the log closes, or there is a cut to make. */
  #wait = new AbortController();
  #epoch = 0;
  #position: ReplicaPosition;
  #confirmed = 0;
  #floor = 0;
  #failuresInRow = 0;
  #cut: PendingCut | undefined;
  #isPaused = false;

  constructor(parts: ShipperParts) {
    this.#parts = parts;
    this.#position = parts.known;
    this.#window = new ShippingWindow(parts.replica, parts.source);
  }

  /** Ends after [stop], or when replication has stopped for a reason that does not pass. */
  async run(): Promise<void> {
    this.#parts.onState('connecting');
    let isAcquired = false;
    while (!this.#isStopped) {
      try {
        if (isAcquired) await this.#settle();
        else await this.#acquire();
        isAcquired = true;
        this.#parts.onState('shipping');
        await this.#ship();
      } catch (error) {
        if (this.#isStopped) break;
        if (isFinal(error)) return this.#end(error);
        this.#parts.onState(isAcquired ? 'retrying' : 'connecting');
        this.#parts.onTrouble(error, false);
        await this.#backOff();
      }
    }
    await this.#window.abandon();
    this.#cut?.reject(closedError());
    this.#parts.onState('closed');
  }

  /** Ends [run]. What is under way is abandoned: its outcome is not known, and the next open finds it out. */
  stop(): void {
    this.#stop.abort();
    this.#wakeUp();
  }

  /**
   * Cuts the remote log after entry `lsn`, if it goes further, and stops shipping until [resume]. Resolves once nothing above `lsn` is
   * in the remote or on the way there. `empties`: no entry stays, and the log goes on after `lsn`.
   */
  cutAfter(lsn: number, empties: boolean): Promise<void> {
    if (this.#isStopped || this.#cut !== undefined) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#cut = { lsn, empties, resolve, reject };
      this.#wakeUp();
    });
  }

  resume(): void {
    this.#isPaused = false;
    this.#wakeUp();
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #wakeUp(): void {
    this.#wait.abort();
  }

  async #acquire(): Promise<void> {
    const { replica, logId, writer, known, expectEpoch } = this.#parts;
    if (expectEpoch === undefined) await this.#lookFirst();
    let head = await replica.acquire(logId, writer, expectEpoch);
    if (head.epoch <= known.epoch) this.#parts.onTrouble(fenceLost(head, known), false);
    // An older writer may hold an epoch that the remote has forgotten. It must never be given out twice.
    for (let each = 0; head.epoch <= known.epoch; each++) {
      if (each === ACQUIRES_MAX || this.#isStopped) throw fenceLost(head, known);
      head = await replica.acquire(logId, writer, head.epoch);
    }
    this.#epoch = head.epoch;
    await this.#heal(head);
  }

  /**
   * A directory that is an older copy must not fence the writer that has replaced it. A look before the acquisition proves nothing, and
   * is there for that only.
   */
  async #lookFirst(): Promise<void> {
    const { replica, logId, source } = this.#parts;
    const seen = (await replica.logs()).find((log) => log.logId === logId);
    if (seen === undefined || seen.lsn <= source.lastLsn) return;
    const meeting = {
      localFirst: source.firstLsn,
      localLast: source.lastLsn,
      known: 0,
      head: seen.lsn,
      comparison: 'none',
    } as const;
    throw new ReplicaError('ERR_WAL_DIVERGED', describeStop('local-behind', meeting, 0) as string, {
      lsn: source.lastLsn,
    });
  }

  async #settle(): Promise<void> {
    await this.#window.abandon();
    const head = await this.#parts.replica.settle(this.#epoch);
    // Of what was under way, the remote has this much.
    const landed = this.#window.positionAt(head) ?? this.#position;
    this.#window.clear();
    await this.#heal(head, landed);
  }

  /** Finds where to go on. @throws ReplicaError: nowhere */
  async #heal(head: ReplicaHead, known: ReplicaPosition = this.#position): Promise<void> {
    const { replica, source } = this.#parts;
    const { outcome, lastCommon } = await compareHistories(replica, head, source, known, this.#stop.signal);
    const meeting = {
      localFirst: source.firstLsn,
      localLast: source.lastLsn,
      known: known.lsn,
      head: head.lsn,
      comparison: outcome,
    };
    const verdict = judgeMeeting(meeting);
    const reason = describeStop(verdict, meeting, lastCommon);
    if (reason !== undefined)
      throw new ReplicaError(verdict === 'gap' ? 'ERR_WAL_PURGED' : 'ERR_WAL_DIVERGED', reason, {
        lsn: lastCommon,
      });
    if (verdict === 'ship-again') this.#parts.onTrouble(regressed(head, known), false);
    let start = head;
    if (head.lsn === 0 && source.firstLsn > 1) {
      start = await replica.cut(head.epoch, {
        lsn: source.firstLsn - 1,
        chain: NO_CHAIN,
        empties: true,
        boundary: undefined,
      });
    }
    this.#noteHead(start);
  }

  #noteHead(head: ReplicaHead): void {
    const { epoch, lsn, chain, confirmed, floor } = head;
    this.#epoch = epoch;
    this.#confirmed = confirmed;
    this.#floor = floor;
    this.#advance({ lsn, chain });
  }

  #advance(position: ReplicaPosition): void {
    this.#position = position;
    this.#parts.onProgress({ epoch: this.#epoch, lsn: position.lsn, chain: position.chain });
  }

  async #ship(): Promise<void> {
    const window = this.#window;
    while (!this.#isStopped) {
      if (this.#cut === undefined && !this.#isPaused) window.fill(this.#epoch, this.#position);
      if (!window.isEmpty) await this.#awaitOldest();
      else if (this.#cut !== undefined) await this.#carryOut(this.#cut);
      else await this.#idle();
    }
  }

  /** Acknowledges the contiguous prefix: later batches of the window wait for the oldest one. */
  async #awaitOldest(): Promise<void> {
    const landed = await this.#window.oldest();
    this.#failuresInRow = 0;
    // An append confirms everything before it.
    this.#confirmed = Math.max(this.#confirmed, this.#position.lsn);
    this.#advance(landed);
  }

  async #idle(): Promise<void> {
    const { replica, source } = this.#parts;
    const { lsn } = this.#position;
    if (this.#confirmed < lsn) {
      if ((await this.#waitForNews(lsn, CONFIRM_MS)) === 'news') return;
      const head = await replica.settle(this.#epoch);
      if (head.lsn !== lsn) throw unexpectedHead(head, lsn);
      this.#failuresInRow = 0;
      this.#confirmed = head.confirmed;
    } else if (source.floor > this.#floor) {
      const below = Math.min(source.floor, lsn + 1);
      await replica.trim(this.#epoch, below);
      // Whole batches only: the remote's own floor may be lower. It is not asked to do the same twice.
      this.#floor = source.floor;
    } else {
      await this.#waitForNews(lsn, undefined);
    }
  }

  /** Waits for something to do: entries above `lsn`, a cut, or the end. `undefined`: as long as it takes. */
  async #waitForNews(lsn: number, ms: number | undefined): Promise<'news' | 'none'> {
    const { source, delay } = this.#parts;
    const wait = new AbortController();
    const { signal } = wait;
    this.#wait = wait;
    const hasNews = () => signal.aborted || (!this.#isPaused && source.lastLsn > lsn);
    // While it is paused nothing that becomes durable is news.
    const news = this.#isPaused ? aborted(signal) : source.news(lsn, signal);
    await (ms === undefined ? news : Promise.race([news, delay(ms, signal)]));
    const outcome = hasNews() ? 'news' : 'none';
    wait.abort();
    return outcome;
  }

  async #carryOut(cut: PendingCut): Promise<void> {
    const { replica } = this.#parts;
    const position = this.#position;
    if (cut.empties || cut.lsn < position.lsn) {
      const head = await replica.settle(this.#epoch);
      if (head.lsn !== position.lsn) throw unexpectedHead(head, position.lsn);
      const plan = await planCut(replica, head, cut.lsn, cut.empties, this.#stop.signal);
      this.#noteHead(await this.#cutSurely(plan));
    }
    this.#cut = undefined;
    this.#isPaused = true;
    cut.resolve();
  }

  /** A cut raises the epoch, so after an unknown outcome the epoch tells whether it was made. */
  async #cutSurely(plan: Parameters<Replica['cut']>[1]): Promise<ReplicaHead> {
    const { replica } = this.#parts;
    try {
      return await replica.cut(this.#epoch, plan);
    } catch (error) {
      if (isFinal(error)) throw error;
      try {
        return await replica.settle(this.#epoch + 1);
      } catch (settleError) {
        // Not made: it is tried again once the old epoch has settled.
        throw isFenced(settleError) ? error : settleError;
      }
    }
  }

  async #backOff(): Promise<void> {
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failuresInRow, 20));
    this.#failuresInRow += 1;
    await this.#parts.delay(ms, this.#stop.signal);
  }

  async #end(error: unknown): Promise<void> {
    await this.#window.abandon();
    this.#stop.abort();
    this.#cut?.reject(error);
    this.#cut = undefined;
    this.#parts.onTrouble(error, true);
    this.#parts.onState('stopped');
  }
}

interface PendingCut {
  readonly lsn: number;
  readonly empties: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
