import type { AckLevel, AckRuns } from '../../protocol/lane-messages.js';
import type { LaneConsumer } from '../../ring/consumer.js';

/** Of [AckLevel], in the order in which an entry reaches them. */
const ACK_LEVELS: readonly AckLevel[] = ['written', 'durable'];

/** What the waiters have to know of a group that was written. */
export interface WrittenEntries {
  readonly firstLsn: number;
  readonly entries: number;
  /** Of these entries the ones up to the last that ends outside of a batch. */
  readonly wholeEntries: number;
}

/**
 * Who waits for which entries of one lane, and at which level.
 *
 * Entries are numbered from 1 in call order (`sequence` of the lane). The lane's words hold those numbers modulo 2^32;
 * here they are exact.
 */
export class LaneWaiters {
  /** Sequence number of the next entry to write. */
  #next = 1;
  /** The same, after the last entry of a finished batch. */
  #nextWhole = 1;
  /** Entries below it are covered by a sync that was started. */
  #syncStarted = 1;
  readonly #levels: Record<AckLevel, LevelWaiters> = { written: newLevel(), durable: newLevel() };
  /** The newest entry that asks for a sync at once. */
  readonly #commitWanted = new WantedSequence();

  /** Sequence number of the first entry that is not written, or stands in an unfinished batch. */
  get nextWhole(): number {
    return this.#nextWhole;
  }

  /** Reads which entries are waited for. After the records were loaded, so that an entry's wanted level is never missed. */
  look(consumer: LaneConsumer): void {
    this.#levels.written.wanted.note(consumer.writtenWanted, this.#next);
    this.#levels.durable.wanted.note(consumer.durableWanted, this.#next);
    this.#commitWanted.note(consumer.commitWanted, this.#next);
  }

  /**
   * Entries of this lane were written, the next ones in its order. While a batch is unfinished only its lane is drained, so
   * that the LSNs between two whole points are consecutive.
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

  /** The entries that have reached `level` and were not handed out. */
  takeRuns(level: AckLevel): AckRuns {
    const waiters = this.#levels[level];
    const { runs } = waiters;
    if (runs.length > 0) waiters.runs = [];
    return runs;
  }

  /** A sync that covers everything written is about to start: the runs that it makes durable. */
  startSync(): AckRuns {
    this.#syncStarted = this.#nextWhole;
    return this.takeRuns('durable');
  }

  /** Somebody asked for a sync at once, and some of it is written and in no sync that was started. */
  get wantsCommit(): boolean {
    return this.#commitWanted.newest >= this.#syncStarted && this.#nextWhole > this.#syncStarted;
  }

  /** Since the last sync was started somebody has waited for entries to be written, and for no more than that. */
  get wantsWritten(): boolean {
    return this.#levels.written.wanted.newest >= this.#syncStarted;
  }

  /**
   * `dropped` entries that were published will not be written, and what was written of an unfinished batch is taken back: answers the
   * sequence numbers [from, to) of all that is lost.
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
  /** Written, and waited for at this level. */
  runs: AckRuns;
}

function newLevel(): LevelWaiters {
  return { wanted: new WantedSequence(), runs: [] };
}

/** Appends a run, or lengthens the last one where both sequence and LSN go on. */
function appendRun(runs: AckRuns, first: number, count: number, lsn: number): void {
  const at = runs.length - 3;
  if (at >= 0) {
    const lastCount = runs[at + 1] as number;
    const end = (runs[at] as number) + lastCount;
    if (end > first) throw new Error('the sequence numbers of a lane do not ascend');
    if (end === first && (runs[at + 2] as number) + lastCount === lsn) {
      runs[at + 1] = lastCount + count;
      return;
    }
  }
  runs.push(first, count, lsn);
}

/** One of the lane's `…Wanted` words, exact: layout.ts says when the word means something. */
class WantedSequence {
  #word = 0;
  /** Sequence number; 0 = nobody has ever waited. */
  newest = 0;

  /** `next`: the next entry to write, which a new value is less than 2^31 away from. */
  note(word: number, next: number): void {
    if (word === this.#word) return;
    this.#word = word;
    this.newest = next + ((word - next) | 0);
  }
}
