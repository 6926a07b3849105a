import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { openForReading } from '../../files/async-file.js';
import { DirectoryListing, type Listing } from '../../files/directory-listing.js';
import { DirectoryWatch } from '../../files/directory-watch.js';
import { type Disk, type DiskFile, isMissing, isSameFile, readFully } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { nowMs, wallMs } from '../../files/node-globals.js';
import { WindowedSource } from '../../files/windowed-source.js';
import { type ChainContext, createChain, enterSegment } from '../../format/chain.js';
import { FrameReader } from '../../format/frame-reader.js';
import { SegmentScanner } from '../../format/scan.js';
import { parseCutLsn, parseSegmentName, STATE_FILE, segmentName } from '../../format/segment-name.js';
import { decodeState, emptiesLog, type LogState, STATE_BYTES_MAX } from '../../format/state-file.js';
import { segmentTimeOf, segmentTimes } from '../../format/time-walk.js';
import { describeTrouble, type Judgement, wayOutOf } from '../../format/verdict.js';
import type { NamedCheckpoint } from '../../protocol/checkpoint-changes.js';
import type { RecoveryReport, SegmentInfo } from '../../protocol/reports.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import { copyCheckpoints } from '../checkpoints/checkpoint-list.js';
import { WalError } from '../errors/wal-error.js';
import { inspectLog } from '../jobs/inspect-log.js';
import type { JobOptions } from '../jobs/job-pool.js';
import { hasField } from '../jobs/own-field.js';
import { type SnapshotJobs, systemSnapshotJobs } from '../jobs/snapshot-jobs.js';
import { openSegmentFile, replaced } from './log-segments.js';
import type { LogView } from './log-view.js';
import { Readers } from './readers.js';
import { SegmentList } from './segment-list.js';
import { SnapshotFiles } from './snapshot-files.js';
import { readOutlines } from './snapshot-outlines.js';
import { SparseIndexes } from './sparse-index.js';
import { LogTimes } from './time-index.js';
import { Wakeups } from './wakeups.js';

/** Enough to hold the last frame without its data, including its checksums. */
const END_BYTES = 128;

/**
 * A log in a directory that another process may be writing. The view takes no lock, changes nothing, and shows the
 * current content.
 *
 * Opening judges the log once. Each later look continues where the last one ended: it reads the new frames and notes
 * new and removed segments. The live tail has no verdict: an invalid frame there is a write in progress, or the torn
 * end of a log without a writer.
 *
 * The directory is listed again only if its names may have changed, so the cost of a look at an idle log does not
 * grow with its number of segments.
 *
 * Another log may replace this one. The view never reads from it: once the first frames have named the log, every
 * frame is checked against that name, and a log with another name is an error.
 *
 * Another process may also cut entries that the view has seen. A cut creates a side file, named for the first removed
 * entry, before it removes any byte. A new side file therefore reveals a cut even if the log has grown again. A cut
 * without a side file, for example by hand, is found by comparing the bytes before the end.
 */
export class DirectoryView implements LogView {
  readonly directory: string;
  readonly recovery: RecoveryReport;
  readonly indexes = new SparseIndexes();
  readonly times: LogTimes;
  readonly wallMs = wallMs;
  readonly openForReading = openForReading;
  readonly files = undefined;
  readonly snapshotJobs: SnapshotJobs;
  readonly snapshotFiles = new SnapshotFiles(openForReading);
  readonly decoded = undefined;
  readonly recent = undefined;
  readonly readers: Readers = new Readers({
    open: (segment, lsn) => openSegmentFile(this, segment, lsn),
    // There is no retention to hold back here: a reader in another process may find that its next entry is removed.
    pin: () => true,
    assertOpen: () => this.assertOpen(),
  });
  readonly #disk: Disk = createNodeDisk();
  /** One reader for all looks, since it has a window. */
  readonly #frames = new FrameReader();
  readonly #listing: DirectoryListing;
  /** The directory listing that the last look has used. */
  #seen: Listing;
  /**
   * The position after the last entry outside of an unfinished batch. The bytes from there on may be cut and
   * rewritten.
   */
  #end: ChainContext;
  #segments: SegmentList;
  /** Numbers of the segments in the directory, ascending. */
  #numbers: readonly number[];
  #lastLsn: number;
  /** The state file's floor: entries below it were given up. 0 = none were. */
  #floor: number;
  /** For each segment, by number, whose first frame records removed LSNs right before it: how many. */
  readonly #skipped: Map<number, number>;
  #durableLsn: number;
  /** The bytes right before the end. */
  #endBytes: Uint8Array | undefined;
  /** The state file may order the next writer to cut the log after some entry. */
  #isCutDue: boolean;
  /** The snapshots, with the directory listing from which they were read. */
  #snapshots: { readonly listing: Listing; readonly found: readonly SnapshotRecord[] } | undefined;
  readonly #truncations: number[] = [];
  /** All names seen in the directory that may be side files of cuts. */
  readonly #cutFiles: Set<string>;
  /** Exists once a reader follows the log. */
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
    workerUrl: URL | undefined,
  ) {
    this.snapshotJobs = systemSnapshotJobs(workerUrl);
    this.#listing = listing;
    this.#seen = seen;
    this.#isCutDue = isCutDue;
    this.#cutFiles = new Set(seen.names);
    this.#numbers = segmentNumbers(seen.names);
    this.directory = directory;
    this.recovery = recovery;
    this.#lastLsn = judgement.lastLsn;
    this.#floor = judgement.floor;
    this.#skipped = new Map(
      judgement.segments.flatMap(({ number, skipped }) => (skipped > 0 ? [[number, skipped]] : [])),
    );
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
    this.times = new LogTimes(
      segmentTimes(judgement.segments.filter(({ number }) => number <= judgement.end.segment)),
    );
    this.#end = createChain(judgement.logId, judgement.end.segment);
    this.#end.fileOffset = judgement.end.offset;
    this.#end.expectedLsn = judgement.lastLsn === 0 ? 0 : judgement.lastLsn + 1;
    this.#endBytes = this.#readEndBytes();
  }

  /** @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED as `Wal.open`; ERR_WAL_IO if there is no such directory */
  static async open(directory: string, options: JobOptions): Promise<DirectoryView> {
    const started = nowMs();
    // Listed before the log is judged, so that a later cut is noticed.
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
    return new DirectoryView(directory, listing, seen, judgement, recovery, isCutDue, options.workerUrl);
  }

  get firstLsn(): number {
    this.#look();
    const first = this.#segments.after(-1);
    const oldestLsn = first === undefined ? 0 : first.firstLsn - (this.#skipped.get(first.number) ?? 0);
    return Math.max(oldestLsn, this.#floor);
  }

  get lastLsn(): number {
    this.#look();
    return this.#endLsn;
  }

  /** The last entry; if the log has none, the last entry that was given up. */
  get #endLsn(): number {
    return this.#lastLsn === 0 ? Math.max(0, this.#floor - 1) : this.#lastLsn;
  }

  get durableLsn(): number {
    this.#look();
    // The frames of the last group cannot show that they are durable. The state file can, once the log is idle or
    // closed.
    const watermark = Math.min(this.#stateWatermark(), this.#endLsn);
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

  checkpoints(): Map<string, NamedCheckpoint> {
    this.assertOpen();
    return copyCheckpoints(this.#readState()?.namedCheckpoints ?? new Map());
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

  /** The file under the name of a snapshot never changes, so files are read again only if names have changed. */
  snapshots(): readonly SnapshotRecord[] {
    this.#look();
    const listing = this.#seen;
    if (this.#snapshots?.listing !== listing) {
      const found = readOutlines(this.#disk, this.directory, listing.names, this.logId);
      this.#snapshots = { listing, found };
    }
    return this.#snapshots.found;
  }

  bytesFrom({ number }: SegmentInfo): number | undefined {
    this.#look();
    return this.#segments.has(number) ? this.#segments.bytesFrom(number) : undefined;
  }

  get truncations(): readonly number[] {
    if (!this.#isClosed) this.#noticeNames();
    return this.#truncations;
  }

  /** The frames of an opened file prove that it belongs to this log, if the log has a name. */
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
    // Events arrive in later turns of the event loop, so none is missed between the look and the wait.
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
        `Cannot read "${this.directory}": the reader is closed. Open another one to continue.`,
        { path: this.directory },
      );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    this.#watch = undefined;
    this.#followers.wakeAll();
    await Promise.all([this.readers.endAll(), this.snapshotFiles.closeAll()]);
  }

  /** Reads the frames written since the last look. @throws ERR_WAL_IO, also if another log has replaced this one */
  #look(): void {
    if (this.#isClosed) return;
    const endBefore = this.#end;
    this.#noticeNames();
    const state = this.#isCutDue ? this.#readState() : undefined;
    const cut = state?.pendingCut;
    this.#isCutDue = cut !== undefined;
    if (cut !== undefined && emptiesLog(cut, state?.floor ?? 0)) return;
    const chain = { ...this.#end };
    const numbers = this.#numbers;
    // Retention has removed the segment, and the reader continues with the oldest one left.
    if ((numbers[0] ?? 0) > chain.number) chain.expectedLsn = 0;
    const unfinished: SegmentInfo[] = [];
    for (let at = lowerBound(numbers, chain.number); at < numbers.length; at++) {
      const number = numbers[at] as number;
      if (number > chain.number) enterSegment(chain, number);
      this.#walk(chain, unfinished, cut?.lsn ?? Number.POSITIVE_INFINITY);
    }
    if (this.#end !== endBefore) this.#endBytes = this.#readEndBytes();
  }

  /**
   * Finds removed segments and cuts from the names in the directory.
   *
   * @throws ERR_WAL_IO: the directory belongs to another log
   */
  #noticeNames(): void {
    const listing = list(this.#listing, this.directory);
    if (listing === this.#seen) {
      this.#noticeCut([]);
      return;
    }
    const numbers = segmentNumbers(listing.names);
    if (!isSameFile(listing.identity, this.#seen.identity)) this.#proveSameLog(numbers);
    // Stored only now, so that after an error the next look checks again whose directory it is.
    this.#seen = listing;
    this.#numbers = numbers;
    this.#noticeCut(listing.names);
    // The state file is replaced by a rename, which the directory shows.
    this.#floor = this.#readState()?.floor ?? 0;
    // Retention leaves at least one segment. If there is none, something else has removed them, and reads must fail.
    if (numbers.length === 0) return;
    const present = new Set(numbers);
    this.#segments = new SegmentList(this.#segments.toArray().filter(({ number }) => present.has(number)));
    this.times.dropThrough((numbers[0] as number) - 1);
  }

  /**
   * Called when the path leads to another directory, with the segments `numbers`. The log may have been moved or
   * restored from a copy: then its known segments begin as before. A log without a name must also end as before.
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

  /**
   * If another process has cut entries that the view has seen, forgets them and adds the cut to `truncations`.
   * `names`: the new names.
   */
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

  /**
   * Forgets entries from `cutLsn` on, because they have changed; Infinity = the position of the cut is unknown. The
   * next look continues before them.
   */
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
    this.times.forgetFrom(last?.number ?? 0);
    this.#isCutDue = true;
  }

  #isEndAsBefore(): boolean {
    const { fileOffset } = this.#end;
    if (fileOffset === 0 || this.#endBytes === undefined) return true;
    // A removed segment is not a cut: reading from it reports that it is gone.
    const found = this.#readEndBytes();
    return found === undefined || Buffer.compare(found, this.#endBytes) === 0;
  }

  /** The bytes that now stand right before the end; `undefined` if their segment is gone. */
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

  /** The LSN of a segment's first entry; `undefined` if the segment does not begin with an entry of this log. */
  #firstLsnOf(number: number): number | undefined {
    return this.#withSegment(number, (file) => {
      const chain = createChain(this.#end.logId, number);
      const scanner = new SegmentScanner(new WindowedSource(file), chain, this.#frames);
      return scanner.next() === undefined ? scanner.frame.lsn : undefined;
    });
  }

  /** The result of `act` on the file of a segment; `undefined` if there is no such file. @throws ERR_WAL_IO */
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

  /** The watermark in the state file; 0 if there is none. The frames are the other source of the watermark. */
  #stateWatermark(): number {
    return this.#readState()?.watermark ?? 0;
  }

  /** `undefined` if the state file is missing, belongs to another log or cannot be read. */
  #readState(): LogState | undefined {
    const path = join(this.directory, STATE_FILE);
    let file: DiskFile;
    try {
      file = this.#disk.open(path, 'r');
    } catch {
      return undefined;
    }
    try {
      const bytes = new Uint8Array(Math.min(file.size(), STATE_BYTES_MAX + 1));
      const state = decodeState(bytes.subarray(0, readFully(file, bytes, 0)));
      return hasField(state, 'fault') || state.logId !== (this.#end.logId ?? state.logId) ? undefined : state;
    } catch (error) {
      throw unreadable(path, error);
    } finally {
      file.close();
    }
  }

  /**
   * Walks the valid frames of segment `chain.number` from `chain` on, up to entry `to`. `unfinished` collects the
   * parts of a batch whose last frame is not written yet.
   */
  #walk(chain: ChainContext, unfinished: SegmentInfo[], to: number): void {
    const { number } = chain;
    const path = join(this.directory, segmentName(number));
    // If the file is missing, retention has removed it.
    this.#withSegment(number, (file) => {
      // Most looks find nothing new: they need no window.
      if (file.size() <= chain.fileOffset) return;
      const source = new WindowedSource(file);
      const scanner = new SegmentScanner(source, chain, this.#frames);
      const isFromStart = chain.fileOffset === 0;
      let firstLsn = 0;
      let lastLsn = 0;
      let createdMs = 0;
      let wholeLsn = 0;
      let wholeBytes = 0;
      const next = () => {
        try {
          const outcome = scanner.next();
          // A segment of another log stands where this one continues.
          if (outcome === 'other-log' && chain.fileOffset === 0) throw this.#replaced(path);
          return outcome;
        } catch (error) {
          // The file was cut during the walk. The next look finds the cut.
          if (file.size() < source.size) return 'end';
          throw error;
        }
      };
      while (next() === undefined && scanner.frame.lsn <= to) {
        const { frame } = scanner;
        if (firstLsn === 0) {
          firstLsn = frame.lsn;
          if (isFromStart) this.times.note(number, segmentTimeOf(frame));
          if (isFromStart) this.#skipped.set(number, frame.skipped);
        }
        lastLsn = frame.lastLsn;
        if (createdMs === 0) createdMs = frame.segment?.createdMs ?? 0;
        if (frame.syncedLsn > this.#durableLsn) this.#durableLsn = frame.syncedLsn;
        if (frame.batchRemaining > 0) continue;
        wholeLsn = frame.lastLsn;
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

  /** Records the new extent of segment `news.number`, which is the newest segment or a new one. */
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

/** The segment numbers among `names`, ascending. */
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
