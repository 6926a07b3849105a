import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { openForReading } from '../../files/async-file.js';
import { DirectoryListing, type Listing } from '../../files/directory-listing.js';
import { DirectoryWatch } from '../../files/directory-watch.js';
import { type Disk, type DiskFile, isMissing, isSameFile, readFully } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { nowMs } from '../../files/node-globals.js';
import { WindowedSource } from '../../files/windowed-source.js';
import { type ChainContext, createChain, enterSegment } from '../../format/chain.js';
import { SegmentScanner } from '../../format/scan.js';
import { parseCutLsn, parseSegmentName, STATE_FILE, segmentName } from '../../format/segment-name.js';
import { decodeState, type LogState } from '../../format/state-file.js';
import { describeTrouble, type Judgement, wayOutOf } from '../../format/verdict.js';
import type { RecoveryReport, SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import { inspectLog } from '../jobs/inspect-log.js';
import type { JobOptions } from '../jobs/job-pool.js';
import { hasField } from '../jobs/own-field.js';
import { openSegmentFile, replaced } from './log-segments.js';
import type { LogView } from './log-view.js';
import { Readers } from './readers.js';
import { SegmentList } from './segment-list.js';
import { SparseIndexes } from './sparse-index.js';
import { Wakeups } from './wakeups.js';

/** More than any state file has. */
const STATE_BYTES_MAX = 4096;

/** Of the last frame all but its data, its checksums among it. */
const END_BYTES = 128;

/**
 * A log in a directory that another process may be writing: no lock, nothing is changed, and what is there now counts.
 *
 * Opening judges the log once. After that each look reads on from where the last one ended: the frames that were
 * written since, and the segments that came or went. The live tail has no verdict: an invalid frame there is a write in
 * progress, or the torn end of a log that nobody writes.
 *
 * The names in the directory are listed again only where they may have changed: what a look at a log at rest costs does not
 * grow with the number of its segments.
 *
 * Somebody may put another log in the place of this one. Nothing of that is read: once the log has a name, which its first
 * frames say, each frame is held against it, and a log of another name is an error.
 *
 * Somebody may also cut what was seen. Each cut leaves a side file, named for the first entry that went, before any byte
 * goes: a new one tells of a cut, also when the log has grown again meanwhile. Where no side file tells, as of what was cut
 * by hand, the bytes before the end do.
 */
export class DirectoryView implements LogView {
  readonly directory: string;
  readonly recovery: RecoveryReport;
  readonly indexes = new SparseIndexes();
  readonly openForReading = openForReading;
  readonly files = undefined;
  readonly recent = undefined;
  readonly readers: Readers = new Readers({
    open: (segment, lsn) => openSegmentFile(this, segment, lsn),
    // Nobody is there to be held back: who reads from outside may find that retention was faster.
    pin: () => true,
    assertOpen: () => this.assertOpen(),
  });
  readonly #disk: Disk = createNodeDisk();
  readonly #listing: DirectoryListing;
  /** The names that were taken in last. */
  #seen: Listing;
  /** Behind the last entry that is not inside an unfinished batch: what stands there may be cut and written anew. */
  #end: ChainContext;
  #segments: SegmentList;
  /** Of the segments in the directory, ascending. */
  #numbers: readonly number[];
  #lastLsn: number;
  #durableLsn: number;
  /** What stands right before the end. */
  #endBytes: Uint8Array | undefined;
  /** The state file may say that what stands behind some entry is to be cut off by the next writer. */
  #isCutDue: boolean;
  readonly #truncations: number[] = [];
  /** All names that were seen in the directory and may be side files of cuts. */
  readonly #cutFiles: Set<string>;
  /** There once somebody follows. */
  #watch: DirectoryWatch | undefined;
  readonly #followers = new Wakeups();
  #isClosed = false;

  private constructor(
    directory: string,
    listing: DirectoryListing,
    seen: Listing,
    judgement: Judgement,
    recovery: RecoveryReport,
    isCutDue: boolean,
  ) {
    this.#listing = listing;
    this.#seen = seen;
    this.#isCutDue = isCutDue;
    this.#cutFiles = new Set(seen.names);
    this.#numbers = segmentNumbers(seen.names);
    this.directory = directory;
    this.recovery = recovery;
    this.#lastLsn = judgement.lastLsn;
    this.#durableLsn = Math.min(judgement.watermark, judgement.lastLsn);
    this.#segments = new SegmentList(
      judgement.segments
        .filter((segment) => segment.number <= judgement.end.segment)
        .map((segment) => ({
          number: segment.number,
          path: join(directory, segmentName(segment.number)),
          firstLsn: segment.firstLsn,
          lastLsn: segment.lastLsn,
          bytes: segment.validBytes,
          createdMs: segment.stamp?.createdMs ?? 0,
        })),
    );
    this.#end = createChain(judgement.logId, judgement.end.segment);
    this.#end.fileOffset = judgement.end.offset;
    this.#end.expectedLsn = judgement.lastLsn === 0 ? 0 : judgement.lastLsn + 1;
    this.#endBytes = this.#readEndBytes();
  }

  /** @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED as `Wal.open`; ERR_WAL_IO where there is no such directory */
  static async open(directory: string, options: JobOptions): Promise<DirectoryView> {
    const started = nowMs();
    // Before the log is judged: a cut that comes after this is noticed.
    const listing = new DirectoryListing(createNodeDisk(), directory);
    const seen = list(listing, directory);
    const { judgement, foreignFiles, isCutDue } = await inspectLog(directory, options);
    const { row, verdict, watermark, firstLsn, lastLsn, segments, trouble } = judgement;
    if (trouble !== undefined && (verdict === 'corrupt' || verdict === 'unsupported')) {
      const path = join(directory, segmentName(trouble.segment));
      throw new WalError(
        verdict === 'corrupt' ? 'ERR_WAL_CORRUPT' : 'ERR_WAL_UNSUPPORTED',
        `Cannot read ${describeTrouble(trouble, path)}. ${wayOutOf(verdict, trouble.reason)}`,
        { path, offset: trouble.offset, lsn: trouble.lsn || undefined },
      );
    }
    const recovery = {
      row,
      verdict,
      watermark,
      firstLsn,
      lastLsn,
      segments: segments.length,
      rewrittenBytes: 0,
      foreignFiles,
      durationMs: nowMs() - started,
    };
    return new DirectoryView(directory, listing, seen, judgement, recovery, isCutDue);
  }

  get firstLsn(): number {
    this.#look();
    return this.#segments.after(-1)?.firstLsn ?? 0;
  }

  get lastLsn(): number {
    this.#look();
    return this.#lastLsn;
  }

  get durableLsn(): number {
    this.#look();
    // The last group's frames do not know that they are durable: the state file does, once the log is idle or closed.
    const watermark = Math.min(this.#stateWatermark(), this.#lastLsn);
    if (watermark > this.#durableLsn) this.#durableLsn = watermark;
    return this.#durableLsn;
  }

  get logId(): bigint | undefined {
    return this.#end.logId;
  }

  segments(): readonly SegmentInfo[] {
    this.#look();
    return this.#segments.toArray().map((segment) => ({ ...segment }));
  }

  segmentOf(lsn: number): SegmentInfo | undefined {
    this.#look();
    return this.#segments.holderOf(lsn);
  }

  segmentAfter(number: number): SegmentInfo | undefined {
    this.#look();
    return this.#segments.after(number);
  }

  segmentBefore(number: number): SegmentInfo | undefined {
    this.#look();
    return this.#segments.before(number);
  }

  bytesFrom({ number }: SegmentInfo): number | undefined {
    this.#look();
    return this.#segments.has(number) ? this.#segments.bytesFrom(number) : undefined;
  }

  get truncations(): readonly number[] {
    if (!this.#isClosed) this.#noticeNames();
    return this.#truncations;
  }

  /** A file that was opened proves itself by its frames, if the log has a name. */
  async proveOwn(): Promise<void> {
    if (!this.#isClosed) this.#noticeNames();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async waitForWatermark(
    lsn: number,
    { signal, ref }: { signal: AbortSignal | undefined; ref: boolean },
  ): Promise<void> {
    this.#watch ??= new DirectoryWatch(this.directory, () => this.#followers.wakeAll());
    const watch = this.#watch;
    // Events come in turns of their own: none is missed between the look and the wait.
    if (this.durableLsn > lsn) return;
    if (ref) watch.hold(true);
    try {
      await this.#followers.wait(signal);
    } finally {
      if (ref) watch.hold(false);
    }
  }

  assertOpen(): void {
    if (this.#isClosed)
      throw new WalError(
        'ERR_WAL_CLOSED',
        `Cannot read "${this.directory}": the reader is closed. What is to go on opens another.`,
        { path: this.directory },
      );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    this.#watch = undefined;
    this.#followers.wakeAll();
    await this.readers.endAll();
  }

  /** Takes in what was written since the last look. @throws ERR_WAL_IO, also where another log has come in place of this one */
  #look(): void {
    if (this.#isClosed) return;
    const endBefore = this.#end;
    this.#noticeNames();
    const cut = this.#isCutDue ? this.#readState()?.pendingCut : undefined;
    this.#isCutDue = cut !== undefined;
    const chain = { ...this.#end };
    const numbers = this.#numbers;
    // Retention was faster than this reader, which goes on with what is left.
    if ((numbers[0] ?? 0) > chain.number) chain.expectedLsn = 0;
    const unfinished: SegmentInfo[] = [];
    for (let at = lowerBound(numbers, chain.number); at < numbers.length; at++) {
      const number = numbers[at] as number;
      if (number > chain.number) enterSegment(chain, number);
      this.#walk(chain, unfinished, cut?.lsn ?? Number.POSITIVE_INFINITY);
    }
    if (this.#end !== endBefore) this.#endBytes = this.#readEndBytes();
  }

  /** What the names in the directory tell: segments that are gone, cuts. @throws ERR_WAL_IO: it is another log's directory */
  #noticeNames(): void {
    const listing = list(this.#listing, this.directory);
    if (listing === this.#seen) {
      this.#noticeCut([]);
      return;
    }
    const numbers = segmentNumbers(listing.names);
    if (!isSameFile(listing.identity, this.#seen.identity)) this.#proveSameLog(numbers);
    // Only now: else the next look would not ask again whose it is.
    this.#seen = listing;
    this.#numbers = numbers;
    this.#noticeCut(listing.names);
    // Retention leaves one at least: where there is none it was not retention, and who reads is to be told.
    if (numbers.length === 0) return;
    const present = new Set(numbers);
    this.#segments = new SegmentList(this.#segments.toArray().filter(({ number }) => present.has(number)));
  }

  /**
   * The path leads to another directory, which has the segments `numbers`. The log may have moved there, or have come back from a
   * copy: then what it has of the segments that were seen begins as it did. A log without a name must end as it did, too.
   */
  #proveSameLog(numbers: readonly number[]): void {
    const [lowest] = numbers;
    if (lowest === undefined || this.#lastLsn === 0) return;
    const present = new Set(numbers);
    const known = this.#segments.toArray().find((each) => each.firstLsn !== 0 && present.has(each.number));
    const isSame =
      this.logId === undefined
        ? known !== undefined && this.#beginsAsBefore(known) && this.#isEndAsBefore()
        : known === undefined
          ? this.#firstLsnOf(lowest) !== undefined
          : this.#beginsAsBefore(known);
    if (!isSame) throw this.#replaced(this.directory);
  }

  #replaced(path: string): WalError {
    return replaced(this.directory, path, `the log in "${this.directory}"`);
  }

  /** Has somebody cut what was seen? Then it is taken back, and readers find it in `truncations`. `names`: the news. */
  #noticeCut(names: readonly string[]): void {
    let cutLsn = Number.POSITIVE_INFINITY;
    for (const name of names) {
      if (this.#cutFiles.has(name)) continue;
      const lsn = parseCutLsn(name);
      if (lsn === undefined) continue;
      this.#cutFiles.add(name);
      cutLsn = Math.min(cutLsn, lsn);
    }
    if (cutLsn <= this.#lastLsn) this.#takeBack(cutLsn);
    else if (!this.#isEndAsBefore()) this.#takeBack(Number.POSITIVE_INFINITY);
  }

  /** Entries from `cutLsn` on are not what they were; Infinity = nobody says from where on. The next look reads on before them. */
  #takeBack(cutLsn: number): void {
    const kept = this.#segments.toArray().filter(({ firstLsn }) => firstLsn !== 0 && firstLsn < cutLsn);
    let isCertain = cutLsn !== Number.POSITIVE_INFINITY;
    while (kept.length > 0 && !this.#beginsAsBefore(kept.at(-1) as SegmentInfo)) {
      kept.pop();
      isCertain = false;
    }
    const last = kept.pop();
    this.#end = createChain(this.#end.logId, last?.number ?? 0);
    this.#segments = new SegmentList(kept);
    this.#lastLsn = kept.at(-1)?.lastLsn ?? 0;
    const keptLsn = last !== undefined && isCertain ? cutLsn - 1 : this.#lastLsn;
    this.#durableLsn = Math.min(this.#durableLsn, keptLsn);
    this.#truncations.push(keptLsn);
    this.indexes.clear();
    this.#isCutDue = true;
  }

  #isEndAsBefore(): boolean {
    const { fileOffset } = this.#end;
    if (fileOffset === 0 || this.#endBytes === undefined) return true;
    // A segment that somebody removed was not cut; who asks for it is told that it is gone.
    const found = this.#readEndBytes();
    return found === undefined || Buffer.compare(found, this.#endBytes) === 0;
  }

  /** What stands right before the end now; `undefined` where its segment is gone. */
  #readEndBytes(): Uint8Array | undefined {
    const { number, fileOffset } = this.#end;
    return this.#withSegment(number, (file) => {
      const bytes = new Uint8Array(Math.min(END_BYTES, fileOffset));
      return bytes.subarray(0, readFully(file, bytes, fileOffset - bytes.length));
    });
  }

  #beginsAsBefore({ number, firstLsn }: SegmentInfo): boolean {
    return this.#firstLsnOf(number) === firstLsn;
  }

  /** The first entry of a segment of this log; `undefined` where it begins with none of this log. */
  #firstLsnOf(number: number): number | undefined {
    return this.#withSegment(number, (file) => {
      const scanner = new SegmentScanner(new WindowedSource(file), createChain(this.#end.logId, number));
      return scanner.next() === undefined ? scanner.frame.lsn : undefined;
    });
  }

  /** What `act` makes of a segment's file; `undefined` where there is none. @throws ERR_WAL_IO */
  #withSegment<T>(number: number, act: (file: DiskFile) => T): T | undefined {
    const path = join(this.directory, segmentName(number));
    let file: DiskFile | undefined;
    try {
      file = this.#disk.open(path, 'r');
      return act(file);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unreadable(path, error);
    } finally {
      file?.close();
    }
  }

  /** 0 where the state file tells nothing: it is only one of two witnesses. */
  #stateWatermark(): number {
    return this.#readState()?.watermark ?? 0;
  }

  /** `undefined` where the state file is missing, of another log or not to be read. */
  #readState(): LogState | undefined {
    const path = join(this.directory, STATE_FILE);
    let file: DiskFile;
    try {
      file = this.#disk.open(path, 'r');
    } catch {
      return undefined;
    }
    try {
      const bytes = new Uint8Array(STATE_BYTES_MAX);
      const state = decodeState(bytes.subarray(0, readFully(file, bytes, 0)));
      return hasField(state, 'fault') || state.logId !== this.#end.logId ? undefined : state;
    } catch (error) {
      throw unreadable(path, error);
    } finally {
      file.close();
    }
  }

  /**
   * Walks the valid frames of segment `chain.number` from `chain` on, up to entry `to`. `unfinished`: what the segments hold
   * of a batch whose last frame has not come yet.
   */
  #walk(chain: ChainContext, unfinished: SegmentInfo[], to: number): void {
    const { number } = chain;
    const path = join(this.directory, segmentName(number));
    // A file that is missing went to retention, which was faster.
    this.#withSegment(number, (file) => {
      const source = new WindowedSource(file);
      if (source.size <= chain.fileOffset) return;
      const scanner = new SegmentScanner(source, chain);
      let firstLsn = 0;
      let lastLsn = 0;
      let createdMs = 0;
      let wholeLsn = 0;
      let wholeBytes = 0;
      const next = () => {
        try {
          const outcome = scanner.next();
          // Where the log goes on stands another one's segment.
          if (outcome === 'other-log' && chain.fileOffset === 0) throw this.#replaced(path);
          return outcome;
        } catch (error) {
          // Cut under the walk, as the next look will find.
          if (file.size() < source.size) return 'end';
          throw error;
        }
      };
      while (next() === undefined && scanner.frame.lsn <= to) {
        const { frame } = scanner;
        if (firstLsn === 0) firstLsn = frame.lsn;
        lastLsn = frame.lsn;
        if (createdMs === 0) createdMs = frame.segment?.createdMs ?? 0;
        if (frame.syncedLsn > this.#durableLsn) this.#durableLsn = frame.syncedLsn;
        if (frame.batchRemaining > 0) continue;
        wholeLsn = frame.lsn;
        wholeBytes = chain.fileOffset;
      }
      if (wholeLsn > 0) {
        for (const each of unfinished.splice(0)) this.#extend(each);
        this.#extend({ number, path, firstLsn, lastLsn: wholeLsn, bytes: wholeBytes, createdMs });
        this.#lastLsn = wholeLsn;
        this.#end = { ...chain, fileOffset: wholeBytes, expectedLsn: wholeLsn + 1, batchRemaining: 0 };
      }
      if (lastLsn > wholeLsn) {
        unfinished.push({ number, path, firstLsn, lastLsn, bytes: chain.fileOffset, createdMs });
      }
    });
  }

  /** Segment `news.number` reaches so far; it is the newest, or a new one. */
  #extend(news: SegmentInfo): void {
    const newest = this.#segments.last;
    if (newest?.number !== news.number) {
      this.#segments.push(news);
      return;
    }
    const { firstLsn, createdMs } = newest.firstLsn === 0 ? news : newest;
    this.#segments.replaceLast({ ...news, firstLsn, createdMs });
  }
}

/** @throws ERR_WAL_IO */
function list(listing: DirectoryListing, directory: string): Listing {
  try {
    return listing.read();
  } catch (error) {
    throw unreadable(directory, error);
  }
}

/** Ascending. */
function segmentNumbers(names: readonly string[]): number[] {
  return names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
}

/** The index of the first of `ascending` that is at least `limit`. */
function lowerBound(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function unreadable(path: string, error: unknown): WalError {
  if (error instanceof WalError) return error;
  const { message } = error as Error;
  return new WalError('ERR_WAL_IO', `Cannot read "${path}": ${message}`, { path, cause: error });
}
