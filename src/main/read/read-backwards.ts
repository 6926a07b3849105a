import type { AsyncFile } from '../../files/async-file.js';
import { type ChainContext, createChain, enterSegment } from '../../format/chain.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import { checkEntriesOptions, type EntriesOptions } from '../options/read-options.js';
import { missing, notFound, purged, truncated } from './log-segments.js';
import type { LogView } from './log-view.js';
import { type Reader, unwatchAbandoned, watchAbandoned } from './readers.js';
import { corruptError, SegmentReader, type WalEntry } from './segment-reader.js';
import { PLACE_SPACING_BYTES } from './sparse-index.js';

/** What is read forward, and held, to be handed out backwards. Bet: as for the chunks of a forward reader. */
const RUN_BYTES = 256 * 1024;

/** A run and the frames on which it ends, in one read. */
const RUN_CHUNK_BYTES = RUN_BYTES + 2 * PLACE_SPACING_BYTES;

/**
 * The entries of a log from the last one down, in runs whose entries are in descending order.
 *
 * Frames lead forward only. So a segment is gone over once, to learn where its entries are; then it is read run by run
 * from its end, each run forward from a place that was learned. What is held is one run, or one atomic batch where that is
 * larger. Retention is kept from the segment that is being read, and free to remove those below it.
 */
export async function* walkBackwards(
  view: LogView,
  options: EntriesOptions,
  written: () => number,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  checkEntriesOptions(options);
  const { from, signal } = options;
  signal?.throwIfAborted();
  view.assertOpen();
  const to = Math.min(options.to ?? Number.POSITIVE_INFINITY, written());
  if (from !== undefined && from < view.firstLsn) throw purged(view, from);
  if (to === 0 || to < (from ?? view.firstLsn)) return;

  const truncationsBefore = view.truncations.length;
  const assertReadable = () => {
    signal?.throwIfAborted();
    view.assertOpen();
    if (view.truncations.slice(truncationsBefore).some((lsn) => lsn < next)) throw truncated(view, next);
  };
  const reader = view.readers.start();
  const self = {};
  /** The entry to come next. */
  let next = to;
  let logId = view.logId;
  let segment = view.segmentOf(to);
  watchAbandoned(self, reader);
  try {
    while (segment !== undefined && next >= (from ?? 1)) {
      const { number, firstLsn } = segment;
      if (!reader.pin(segment)) throw purged(view, next);
      try {
        const file = await reader.open(segment, next);
        const runs = new SegmentRuns(view, reader, segment, file, logId, assertReadable);
        await runs.learnTo(next);
        logId = runs.logId;
        while (next >= Math.max(firstLsn, from ?? 1)) {
          const run = await runs.read(from ?? 1, next);
          next = run.below;
          if (run.entries.length > 0) yield run.entries;
        }
      } catch (error) {
        // Whoever closes the log closes the file; and what was cut off cannot be read.
        assertReadable();
        throw error;
      } finally {
        await reader.closeFiles();
      }
      segment = view.segmentBefore(number);
      if (segment !== undefined && segment.number < number - 1) segment = undefined;
    }
    if (from === undefined ? next < view.firstLsn || next === 0 : next < from) return;
    throw notFound(view, next, next, assertReadable);
  } catch (error) {
    // Who does not say where to end ends where the log begins, though retention has moved that meanwhile.
    const isOvertaken = error instanceof WalError && error.code === 'ERR_WAL_PURGED';
    if (from !== undefined || !isOvertaken || view.firstLsn <= next) throw error;
  } finally {
    unwatchAbandoned(self);
    await reader.end();
  }
}

/** One segment, read in runs from some entry down. */
class SegmentRuns {
  readonly #view: LogView;
  readonly #reader: Reader;
  readonly #segment: SegmentInfo;
  readonly #file: AsyncFile;
  readonly #assertReadable: () => void;
  #logId: bigint | undefined;
  /** Kept though the view may forget it: what is below a cut stays where it is. */
  #index;
  /** Learned by this walk, and not by an earlier reader. */
  #isFresh = false;
  /** The LSN that would follow the segment's last one, if it is known to have been skipped. */
  #skippedFrom: number | undefined;

  constructor(
    view: LogView,
    reader: Reader,
    segment: SegmentInfo,
    file: AsyncFile,
    logId: bigint | undefined,
    assertReadable: () => void,
  ) {
    this.#view = view;
    this.#reader = reader;
    this.#segment = segment;
    this.#file = file;
    this.#logId = logId;
    this.#assertReadable = assertReadable;
    this.#index = view.indexes.of(segment.number, file.identity);
  }

  /** Of the log, once a frame has told. */
  get logId(): bigint | undefined {
    return this.#logId;
  }

  /**
   * Learns where the entries up to `lsn` are.
   *
   * @throws ERR_WAL_CORRUPT where frames do not lead there; ERR_WAL_PURGED where the file was removed or replaced
   */
  async learnTo(lsn: number): Promise<void> {
    for (;;) {
      const place = this.#index.placeBefore(lsn);
      const chain = place ?? this.#start();
      const reader = new SegmentReader(this.#file, chain, this.#index, undefined, this.#file.sizeAtOpen);
      while (!reader.isPast && reader.end === undefined) {
        await reader.next(lsn, lsn);
        this.#assertReadable();
      }
      if (reader.isPast) {
        this.#logId ??= chain.logId;
        return;
      }
      if (place === undefined) {
        await this.#judgeEnd(reader, chain, lsn);
        return;
      }
      this.#forget();
    }
  }

  /** A run that ends with entry `top`, without what is before `from`. `below` is the entry before the run. */
  async read(from: number, top: number): Promise<{ entries: WalEntry[]; below: number }> {
    for (;;) {
      const chain = this.#index.placeFarBefore(top, RUN_BYTES) ?? this.#start();
      const bottom = chain.expectedLsn === 0 ? this.#segment.firstLsn : chain.expectedLsn;
      const reader = new SegmentReader(this.#file, chain, undefined, RUN_CHUNK_BYTES, this.#file.sizeAtOpen);
      const entries: WalEntry[] = [];
      while (!reader.isPast && reader.end === undefined) {
        for (const entry of await reader.next(from, top)) entries.push(entry);
        this.#assertReadable();
      }
      const isWhole =
        reader.isPast || (reader.end?.fault === undefined && chain.expectedLsn === this.#skippedFrom);
      if (isWhole) return { entries: entries.reverse(), below: bottom - 1 };
      if (this.#isFresh) throw await this.#faultError(reader, chain);
      // Whatever it is: only the frames themselves, from the first one on, can tell.
      this.#forget();
      await this.learnTo(top);
    }
  }

  /** The segment's first frame. */
  #start(): ChainContext {
    return createChain(this.#logId, this.#segment.number);
  }

  #forget(): void {
    this.#view.indexes.forget(this.#segment.number);
    this.#index = this.#view.indexes.of(this.#segment.number, this.#file.identity);
    this.#isFresh = true;
  }

  /** The file ended before entry `lsn`. Allowed only where the next segment says that LSNs up to its first were skipped. */
  async #judgeEnd(reader: SegmentReader, chain: ChainContext, lsn: number): Promise<void> {
    if (reader.end?.fault !== undefined) throw await this.#faultError(reader, chain);
    const { number } = this.#segment;
    const above = this.#view.segmentAfter(number);
    if (above === undefined || above.firstLsn <= lsn) throw await this.#faultError(reader, chain);
    this.#logId ??= chain.logId;
    const end = chain.expectedLsn;
    enterSegment(chain, above.number);
    const file = await this.#reader.open(above, above.firstLsn);
    const next = new SegmentReader(file, chain, undefined, RUN_CHUNK_BYTES);
    await next.next(above.firstLsn, above.firstLsn);
    if (!next.isPast) throw missing(this.#view, lsn);
    this.#skippedFrom = end;
  }

  async #faultError(reader: SegmentReader, chain: ChainContext): Promise<WalError> {
    const lsn = chain.expectedLsn || this.#segment.firstLsn;
    await this.#view.proveOwn(this.#segment, undefined);
    // A segment that somebody removed or replaced under the reader is not corrupt.
    if (!(await reader.isStillNamed())) return purged(this.#view, lsn);
    return corruptError(reader.path, chain.fileOffset, lsn, reader.end?.fault);
  }
}
