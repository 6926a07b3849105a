import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { segmentName } from '../../format/segment-name.js';
import { describeEntry, describeReason } from '../../format/verdict.js';
import {
  type EntriesOptions,
  type LsnRange,
  type VerifyReport,
  type VerifySegment,
  type WalEntry,
  WalError,
} from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import type { Context } from '../terminal/context.js';
import { shellPath } from '../text/shell-path.js';
import type { EntrySource, FollowStart } from './entry-source.js';
import { readStateFile } from './log-directory.js';
import { readStamp } from './segment-file.js';
import { readRuns } from './segment-runs.js';
import { ranges } from './verdict-text.js';
import { verifyWithProgress } from './verify-with-progress.js';

/**
 * Reads a log that does not open, as far as it is readable:
 *
 *   entries 1 to 40 | damage | 51 to 80 | damage | 83 to 90
 *   └─ a stretch ──┘          └────────┘          └────────┘
 *
 * Reading begins in one stretch and ends at its end, with an error that describes the damage there. It never skips
 * damage by itself, so the output has no unnoticed gap.
 */
export class DamagedLog implements EntrySource {
  readonly #report: VerifyReport;
  readonly #logId: bigint | undefined;
  /** Ascending. */
  readonly #stretches: readonly LsnRange[];

  private constructor(report: VerifyReport, logId: bigint | undefined) {
    this.#report = report;
    this.#logId = logId;
    const { verdict, firstLsn, lastLsn, inDoubt } = report;
    this.#stretches = [
      ...(firstLsn === 0 ? [] : [{ first: firstLsn, last: lastLsn }]),
      ...(verdict === 'corrupt' ? inDoubt : []),
    ];
  }

  /** `undefined`: this check finds nothing that prevents opening the log. */
  static async open(context: Context, directory: string): Promise<DamagedLog | undefined> {
    const report = await verifyWithProgress(context, directory);
    if (report.verdict !== 'corrupt' && report.verdict !== 'unsupported') return undefined;
    const readable = report.segments.filter(({ firstLsn }) => firstLsn > 0);
    const stamps = readable.map(({ path }) => readStamp(path)?.logId);
    return new DamagedLog(report, stamps.find((id) => id !== undefined) ?? readStateFile(directory)?.logId);
  }

  get firstLsn(): number {
    return this.#report.firstLsn;
  }

  get lastLsn(): number {
    return this.#report.lastLsn;
  }

  batches({
    from,
    to,
    since,
    until,
    reverse = false,
    signal,
  }: EntriesOptions): AsyncIterable<readonly WalEntry[]> {
    if (since !== undefined || until !== undefined)
      throw this.#timeless(since === undefined ? '--until' : '--since');
    return reverse ? this.#readDown(from, to, signal) : this.#readUp(from, to, signal);
  }

  async *follow({ from, since }: FollowStart, signal: AbortSignal): AsyncGenerator<WalEntry> {
    if (since !== undefined) throw this.#timeless('--since');
    for await (const batch of this.#readUp(from, undefined, signal)) yield* batch;
  }

  #timeless(flag: string): CliError {
    const { directory } = this.#report;
    return new CliError(
      ExitCode.no,
      `Cannot use ${flag} with "${directory}": the log is damaged, and the missing part may have the time stamps that the command needs. Repair it, or use LSNs: \`ringwal verify ${shellPath(directory)}\` shows them.`,
    );
  }

  async get(lsn: number): Promise<WalEntry | undefined> {
    for await (const [entry] of this.#readUp(lsn, lsn, undefined)) return entry;
    return undefined;
  }

  async close(): Promise<void> {}

  async *#readUp(
    from = this.firstLsn || 1,
    to = Number.POSITIVE_INFINITY,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly WalEntry[]> {
    this.#assertKept(from);
    if (from > to || from > this.#highest) return;
    const stretch = this.#stretchOf(from);
    if (stretch === undefined) throw this.#damageAt(from, 'newer');
    const last = Math.min(to, stretch.last);
    yield* this.#read({ first: from, last }, false, signal);
    if (to > stretch.last && this.#endsInDamage(stretch)) throw this.#damageAt(stretch.last + 1, 'newer');
  }

  async *#readDown(
    from: number | undefined,
    to: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly WalEntry[]> {
    this.#assertKept(from);
    const newest = this.#stretches.at(-1)?.last ?? 0;
    const isToKnown = to !== undefined && to <= this.#highest;
    const stretch = this.#stretchOf(isToKnown ? to : newest);
    if (stretch === undefined) throw this.#damageAt(isToKnown ? to : newest + 1, 'older');
    const first = Math.max(from ?? 1, stretch.first);
    yield* this.#read({ first, last: Math.min(to ?? newest, stretch.last) }, true, signal);
    const isOldest = stretch === this.#stretches[0] && stretch.first === this.firstLsn;
    if (!isOldest && (from ?? 1) < stretch.first) throw this.#damageAt(stretch.first - 1, 'older');
    // If the newest entries are missing, reading begins before them.
    if (!isToKnown && this.#endsInDamage(stretch)) throw this.#damageAt(newest + 1, 'newer');
  }

  async *#read(
    { first, last }: LsnRange,
    reverse: boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly WalEntry[]> {
    let next = reverse ? last : first;
    const segments = this.#segmentsOf({ first, last });
    for (const { path, number } of reverse ? segments.reverse() : segments) {
      for (const run of readRuns({ path, number, logId: this.#logId }, reverse)) {
        // A large file has many runs; let the event loop handle Ctrl-C.
        await turn();
        signal?.throwIfAborted();
        const wanted = run.filter(({ lsn }) =>
          reverse ? lsn >= first && lsn <= next : lsn >= next && lsn <= last,
        );
        const end = wanted.at(-1)?.lsn;
        if (end === undefined) continue;
        next = reverse ? end - 1 : end + 1;
        yield wanted;
      }
    }
  }

  /**
   * LSN of the highest entry that the log is known to have contained. What follows a frame of a later version is
   * unknown.
   */
  get #highest(): number {
    const { verdict, watermark, lost } = this.#report;
    if (verdict === 'unsupported') return Number.MAX_SAFE_INTEGER;
    return Math.max(watermark, this.#stretches.at(-1)?.last ?? 0, lost.at(-1)?.last ?? 0);
  }

  #stretchOf(lsn: number): LsnRange | undefined {
    return this.#stretches.find(({ first, last }) => first <= lsn && lsn <= last);
  }

  #endsInDamage({ last }: LsnRange): boolean {
    return last === this.lastLsn || last < this.#highest;
  }

  /** Segments that may hold entries of `range`. A damaged segment may hold more entries than its valid beginning. */
  #segmentsOf({ first, last }: LsnRange): VerifySegment[] {
    const { segments } = this.#report;
    return segments.filter(({ firstLsn }, at) => {
      const nextLsn = segments.slice(at + 1).find((segment) => segment.firstLsn > 0)?.firstLsn;
      return firstLsn <= last && (nextLsn === undefined || nextLsn > first);
    });
  }

  #assertKept(from: number | undefined): void {
    const { firstLsn } = this;
    if (from === undefined || from >= firstLsn) return;
    const { directory } = this.#report;
    const message = `Entry ${from} of "${directory}" is gone: it was removed. The log begins at ${firstLsn}.`;
    throw new WalError('ERR_WAL_PURGED', message, { path: directory, lsn: from });
  }

  /**
   * The error that describes why entry `lsn` cannot be read. `towards`: the direction of reading, in which the user
   * may want to continue.
   */
  #damageAt(lsn: number, towards: 'newer' | 'older'): WalError {
    const { verdict, directory } = this.#report;
    const { path = directory, offset, reason, entry } = this.#placeOfDamage(lsn);
    const byte = offset === undefined ? '' : ` at byte ${offset}`;
    return new WalError(
      verdict === 'unsupported' ? 'ERR_WAL_UNSUPPORTED' : 'ERR_WAL_CORRUPT',
      `Cannot read ${describeEntry(entry)} in "${path}"${byte}: ${reason}.${this.#wayOn(lsn, towards)}`,
      { path, lsn: entry || undefined, offset },
    );
  }

  #wayOn(lsn: number, towards: 'newer' | 'older'): string {
    const newer = this.#stretches.filter(({ first }) => first > lsn);
    const older = this.#stretches.filter(({ last }) => last < lsn);
    const [next, previous] = [newer[0], older.at(-1)];
    if (towards === 'newer' && next !== undefined)
      return ` After it ${ranges(newer)} can be read: --from ${next.first}.`;
    if (towards === 'older' && previous !== undefined)
      return ` Before it ${ranges(older)} can be read: --to ${previous.last}.`;
    return '';
  }

  /** The first damage after the last entry below `lsn` that can be read. */
  #placeOfDamage(lsn: number): DamagePlace {
    const { segments, trouble, directory } = this.#report;
    const lastReadable = this.#stretches.findLast(({ last }) => last < lsn)?.last ?? 0;
    if (trouble !== undefined && lastReadable <= this.lastLsn) {
      const { path, offset, reason, lsn: entry } = trouble;
      return reason === MISSING ? { path, reason, entry } : { path, offset, reason, entry };
    }
    const entry = lastReadable + 1;
    const at = segments.findLastIndex(({ firstLsn }) => firstLsn > 0 && firstLsn <= entry);
    const [before, after] = [segments[at], segments[at + 1]];
    if (before !== undefined && before.badOffset === undefined && after?.number !== before.number + 1)
      return { path: join(directory, segmentName(before.number + 1)), reason: MISSING, entry };
    const damaged = [before, after].find((segment) => segment?.badOffset !== undefined);
    if (damaged === undefined) return { reason: 'no segment holds it', entry };
    const { path, badOffset: offset, reason = 'it is damaged' } = damaged;
    return { path, offset, reason, entry };
  }
}

interface DamagePlace {
  readonly path?: string;
  readonly offset?: number | undefined;
  readonly reason: string;
  /** LSN of the entry that should be there; 0 = not known. */
  readonly entry: number;
}

const MISSING = describeReason('missing-segment');
