import type { AckLevel, AckRuns } from '../../protocol/lane-messages.js';
import type { LaneConsumer } from '../../ring/consumer.js';

/** Every [AckLevel], in the order in which an entry reaches them. */
const ACK_LEVELS: readonly AckLevel[] = ['written', 'durable'];

/** The facts about a written group that the waiters need. */
export interface WrittenEntries {
  readonly firstLsn: number;
  readonly entries: number;
  /** How many of these entries come before the end of the last complete batch or single entry. */
  readonly wholeEntries: number;
}

/**
 * The entries of one lane that callers wait for, and the level of each.
 *
 * Entries are numbered from 1 in call order (`sequence` of the lane). The lane's words hold those numbers modulo 2^32; here they
 * are exact.
 */
export class LaneWaiters {
  /** Sequence number of the next entry to write. */
  #next = 1;
  /** Sequence number of the entry after the last complete batch or single entry. */
  #nextWhole = 1;
  /** A started sync covers the entries below this one. */
  #syncStarted = 1;
  readonly #levels: Record<AckLevel, LevelWaiters> = { written: newLevel(), durable: newLevel() };
  /** The newest entry that asks for a sync at once. */
  readonly #commitWanted = new WantedSequence();

  /** Sequence number of the first entry that is not written, or is in an unfinished batch. */
  get nextWhole(): number {
    return this.#nextWhole;
  }

  /** Reads which entries callers wait for. Call it after the records are loaded, so that no entry's wanted level is missed. */
  look(consumer: LaneConsumer): void {
    this.#levels.written.wanted.note(consumer.writtenWanted, this.#next);
    this.#levels.durable.wanted.note(consumer.durableWanted, this.#next);
    this.#commitWanted.note(consumer.commitWanted, this.#next);
  }

  /**
   * The next entries of this lane were written. While a batch is unfinished only its lane is drained, so the LSNs between two
   * complete points are consecutive.
   */
  noteWritten({ firstLsn, entries, wholeEntries }: WrittenEntries): void {
    if (wholeEntries > 0) {
      const first = this.#nextWhole;
      this.#nextWhole = this.#next + wholeEntries;
      const count = this.#nextWhole - first;
      const lsn = firstLsn + wholeEntries - count;
      for (const level of ACK_LEVELS) {
        const { wanted, runs } = this.#levels[level];
        if (wanted.newest >= first) appendRun(runs, first, count, lsn);
      }
    }
    this.#next += entries;
  }

  /** Takes the entries that have reached `level` since the last call. */
  takeRuns(level: AckLevel): AckRuns {
    const waiters = this.#levels[level];
    const { runs } = waiters;
    if (runs.length > 0) waiters.runs = [];
    return runs;
  }

  /** A sync that covers everything written is about to start: takes the runs that it makes durable. */
  startSync(): AckRuns {
    this.#syncStarted = this.#nextWhole;
    return this.takeRuns('durable');
  }

  /** Does a written entry, not covered by a started sync, ask for a sync at once? */
  get wantsCommit(): boolean {
    return this.#commitWanted.newest >= this.#syncStarted && this.#nextWhole > this.#syncStarted;
  }

  /** Does somebody wait for an entry that is not written? */
  get isAwaited(): boolean {
    return ACK_LEVELS.some((level) => this.#levels[level].wanted.newest >= this.#next);
  }

  /** Has a producer, since the last sync was started, waited for entries to be written, and not to be durable? */
  get wantsWritten(): boolean {
    return this.#levels.written.wanted.newest >= this.#syncStarted;
  }

  /**
   * `dropped` published entries will not be written, and the written part of an unfinished batch is cut off. Returns the sequence
   * numbers [from, to) of all lost entries.
   */
  discard(dropped: number): { from: number; to: number } {
    const from = this.#nextWhole;
    this.#next += dropped;
    this.#nextWhole = this.#next;
    this.#syncStarted = Math.max(this.#syncStarted, from);
    return { from, to: this.#next };
  }
}

interface LevelWaiters {
  /** The newest entry that waits for this level. */
  readonly wanted: WantedSequence;
  /** Runs of written entries that wait for this level. */
  runs: AckRuns;
}

function newLevel(): LevelWaiters {
  return { wanted: new WantedSequence(), runs: [] };
}

/** Appends a run, or lengthens the last one if both sequence and LSN continue it. */
function appendRun(runs: AckRuns, first: number, count: number, lsn: number): void {
  const at = runs.length - 3;
  if (at >= 0) {
    const lastCount = runs[at + 1] as number;
    const end = (runs[at] as number) + lastCount;
    if (end > first) throw new Error('the sequence numbers of the lane do not ascend');
    if (end === first && (runs[at + 2] as number) + lastCount === lsn) {
      runs[at + 1] = lastCount + count;
      return;
    }
  }
  runs.push(first, count, lsn);
}

/** One of the lane's `…Wanted` words, exact: layout.ts says when its value counts. */
class WantedSequence {
  #word = 0;
  /** Sequence number; 0 = no entry has been waited for yet. */
  newest = 0;

  /** `next`: the next entry to write. A new value is less than 2^31 away from it. */
  note(word: number, next: number): void {
    if (word === this.#word) return;
    this.#word = word;
    this.newest = next + ((word - next) | 0);
  }
}
