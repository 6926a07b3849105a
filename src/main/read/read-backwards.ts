import type { AsyncFile } from '../../files/async-file.js';
import { type ChainContext, createChain, enterSegment } from '../../format/chain.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import { checkEntriesOptions, type EntriesOptions } from '../options/read-options.js';
import { missing, notFound, purged, truncated } from './log-segments.js';
import type { LogView, Look } from './log-view.js';
import { type Reader, unwatchAbandoned, watchAbandoned } from './readers.js';
import { corruptError, SegmentReader, type WalEntry } from './segment-reader.js';
import { PLACE_SPACING_BYTES } from './sparse-index.js';
import { boundsOf } from './time-range.js';

/** Bytes that are read forward, held, and returned backwards. Bet: as for the chunks of a forward reader. */
const RUN_BYTES = 256 * 1024;

/** Bytes of one read besides those of the run: the frames in which it ends. */
const RUN_MARGIN_BYTES = 2 * PLACE_SPACING_BYTES;

/** Bytes that the blocks of a run may become. One that becomes more is read again in shorter runs. */
const RUN_DECODED_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The entries of a log from the last one down, in runs whose entries are in descending order.
 *
 * Frames can only be read forward. So the reader walks a segment once to learn the positions of its entries. Then it
 * reads the segment run by run from its end, each run forward from a learned position. It holds one run in memory, or
 * one atomic batch if that is larger. Retention keeps the segment that is being read, and may remove those before it.
 */
export async function* walkBackwards(
  view: LogView,
  options: EntriesOptions,
  look: () => Look,
): AsyncGenerator<WalEntry[], undefined, undefined> {
  checkEntriesOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  view.assertOpen();
  const { cutsSeen, lastLsn } = look();
  const { from, lowest, to } = await boundsOf(view, options, lastLsn);
  if (from !== undefined && from < view.firstLsn) throw purged(view, from);
  /** The last entry to return. Lower ones may be in its segment, given up by `truncateBefore`. */
  const least = () => Math.max(1, lowest, from ?? view.firstLsn);
  if (to < least()) return;

  const assertReadable = () => {
    signal?.throwIfAborted();
    view.assertOpen();
    if (view.truncations.slice(cutsSeen).some((lsn) => lsn < next)) throw truncated(view, next);
  };
  const reader = view.readers.start();
  const self = {};
  /** LSN of the next entry. */
  let next = to;
  let logId = view.logId;
  /** The oldest segment was read to its beginning. */
  let hasReadAll = false;
  watchAbandoned(self, reader);
  try {
    assertReadable();
    let segment = view.segmentOf(to);
    while (segment !== undefined && next >= least()) {
      const { number, firstLsn } = segment;
      if (!reader.pin(segment)) throw purged(view, next);
      try {
        const file = await reader.open(segment, next);
        const runs = new SegmentRuns(view, reader, segment, file, logId, assertReadable);
        await runs.learnTo(next);
        logId = runs.logId;
        while (next >= Math.max(firstLsn, least())) {
          const run = await runs.read(least(), next);
          next = run.below;
          if (run.entries.length > 0) yield run.entries;
        }
      } catch (error) {
        // `close` of the log has closed the file, or a cut has removed the entry.
        assertReadable();
        throw error;
      } finally {
        await reader.closeFiles();
      }
      segment = view.segmentBefore(number);
      // The segments between the two were removed meanwhile. (Numbers alone do not show it: those of a merged run stay missing.)
      if (segment !== undefined && view.segmentAfter(segment.number)?.number !== number) segment = undefined;
      else hasReadAll = segment === undefined;
    }
    // The LSNs before the oldest entry, from the log's first one on, were skipped.
    if (next < least() || (hasReadAll && next >= view.firstLsn)) return;
    throw notFound(view, next, next, assertReadable);
  } catch (error) {
    // A walk without an end of its own ends where the log begins, even after retention has moved the beginning.
    const isOvertaken = error instanceof WalError && error.code === 'ERR_WAL_PURGED';
    if (from !== undefined || !isOvertaken || view.firstLsn <= next) throw error;
  } finally {
    unwatchAbandoned(self);
    await reader.end();
  }
}

/** Reads one segment in runs, from some entry downwards. */
class SegmentRuns {
  readonly #view: LogView;
  readonly #reader: Reader;
  readonly #segment: SegmentInfo;
  readonly #file: AsyncFile;
  readonly #assertReadable: () => void;
  #logId: bigint | undefined;
  /** Kept even if the view forgets it: entries below a cut do not move. */
  #index;
  /** This walk has learned the index, not an earlier reader. */
  #isFresh = false;
  /** Bytes of a run, as its blocks allow. */
  #runBytes = RUN_BYTES;
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

  /** The log's id, once a frame has shown it. */
  get logId(): bigint | undefined {
    return this.#logId;
  }

  /**
   * Learns the positions of the entries up to `lsn`.
   *
   * @throws ERR_WAL_CORRUPT if the frames do not lead to it; ERR_WAL_PURGED if the file was removed or replaced
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

  /** The run that ends with entry `top`, without entries before `from`. `below` is the LSN before the run. */
  async read(from: number, top: number): Promise<{ entries: WalEntry[]; below: number }> {
    for (;;) {
      const chain = this.#index.placeFarBefore(top, this.#runBytes) ?? this.#start();
      const bottom = chain.expectedLsn === 0 ? this.#segment.firstLsn : chain.expectedLsn;
      const chunkBytes = this.#runBytes + RUN_MARGIN_BYTES;
      const reader = new SegmentReader(this.#file, chain, undefined, chunkBytes, this.#file.sizeAtOpen);
      const entries: WalEntry[] = [];
      while (!reader.isPast && reader.end === undefined && !this.#isTooLong(reader)) {
        for (const entry of await reader.next(from, top)) entries.push(entry);
        this.#assertReadable();
      }
      if (!reader.isPast && this.#isTooLong(reader)) {
        this.#runBytes = Math.max(PLACE_SPACING_BYTES, this.#runBytes / 4);
        continue;
      }
      const isWhole =
        reader.isPast || (reader.end?.fault === undefined && chain.expectedLsn === this.#skippedFrom);
      if (isWhole) return { entries: entries.reverse(), below: bottom - 1 };
      if (this.#isFresh) throw await this.#faultError(reader, chain);
      // Only a walk over the frames, from the first one on, can show the cause.
      this.#forget();
      await this.learnTo(top);
    }
  }

  /** Its blocks become more than a run may hold, and shorter runs can be read. */
  #isTooLong({ decodedBytes }: SegmentReader): boolean {
    return decodedBytes > RUN_DECODED_BYTES_MAX && this.#runBytes > PLACE_SPACING_BYTES;
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

  /**
   * Called when the file ends before entry `lsn`. That is valid only if the next segment says that the LSNs up to its
   * first entry were skipped.
   */
  async #judgeEnd(reader: SegmentReader, chain: ChainContext, lsn: number): Promise<void> {
    if (reader.end?.fault !== undefined) throw await this.#faultError(reader, chain);
    const { number } = this.#segment;
    const above = this.#view.segmentAfter(number);
    if (above === undefined || above.firstLsn <= lsn) throw await this.#faultError(reader, chain);
    this.#logId ??= chain.logId;
    const end = chain.expectedLsn;
    enterSegment(chain, above.number);
    const file = await this.#reader.open(above, above.firstLsn);
    const next = new SegmentReader(file, chain, undefined, RUN_BYTES + RUN_MARGIN_BYTES);
    await next.next(above.firstLsn, above.firstLsn);
    // Another process may have removed the segments between the two.
    if (!next.isPast) throw above.number > number + 1 ? purged(this.#view, lsn) : missing(this.#view, lsn);
    this.#skippedFrom = end;
  }

  async #faultError(reader: SegmentReader, chain: ChainContext): Promise<WalError> {
    const lsn = chain.expectedLsn || this.#segment.firstLsn;
    await this.#view.proveOwn(this.#segment, undefined);
    // A segment that was removed or replaced during the read is not corrupt.
    if (!(await reader.isStillNamed())) return purged(this.#view, lsn);
    return corruptError(reader.path, chain.fileOffset, lsn, reader.end?.fault);
  }
}
