import { type EntriesOptions, Wal, type WalEntry, WalError, type WalReader } from '../../index.js';
import type { Context } from '../terminal/context.js';
import { DamagedLog } from './damaged-log.js';
import { expectLog } from './log-directory.js';

export interface FollowStart {
  readonly from: number | undefined;
  /** Milliseconds since 1970. */
  readonly since: number | undefined;
}

/** The entries of a log, for a command that prints them. */
export interface EntrySource {
  /** 0 = there is none. */
  readonly firstLsn: number;
  /** The last entry that can be read without a gap; 0 = there is none. */
  readonly lastLsn: number;
  /** Entries in the requested order, in arrays. @throws at damage, after all entries before it were returned */
  batches(options: EntriesOptions): AsyncIterable<readonly WalEntry[]>;
  /** The entries from `from` or `since` on, and new entries as they become durable. */
  follow(start: FollowStart, signal: AbortSignal): AsyncIterable<WalEntry>;
  /** `undefined` if the log has no such entry. */
  get(lsn: number): Promise<WalEntry | undefined>;
  close(): Promise<void>;
}

/**
 * Opens a log for reading. A log that is too damaged to open is read as far as it is readable.
 *
 * @throws if there is no log, or a system call fails
 */
export async function openEntries(context: Context, directory: string): Promise<EntrySource> {
  expectLog(directory);
  const { signal } = context;
  try {
    const opening = Wal.open(directory, { readOnly: true, signal });
    return new WholeLog(await context.waitFor('opening the log', opening));
  } catch (error) {
    const isRefused =
      error instanceof WalError && (error.code === 'ERR_WAL_CORRUPT' || error.code === 'ERR_WAL_UNSUPPORTED');
    const damaged = isRefused ? await DamagedLog.open(context, directory) : undefined;
    if (damaged === undefined) throw error;
    return damaged;
  }
}

class WholeLog implements EntrySource {
  readonly #reader: WalReader;

  constructor(reader: WalReader) {
    this.#reader = reader;
  }

  get firstLsn(): number {
    return this.#reader.firstLsn;
  }

  get lastLsn(): number {
    return this.#reader.lastLsn;
  }

  async *batches(options: EntriesOptions): AsyncGenerator<readonly WalEntry[]> {
    if (options.reverse === true) for await (const entry of this.#reader.entries(options)) yield [entry];
    else yield* this.#reader.batches(options);
  }

  follow(start: FollowStart, signal: AbortSignal): AsyncIterable<WalEntry> {
    return this.#reader.follow({ ...start, signal });
  }

  get(lsn: number): Promise<WalEntry | undefined> {
    return this.#reader.get(lsn);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
