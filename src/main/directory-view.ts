import { join } from 'node:path';
import { type Disk, type DiskFile, isMissing, readFully } from '../files/disk.js';
import { createNodeDisk } from '../files/node-disk.js';
import { WindowedSource } from '../files/windowed-source.js';
import type { ByteSource } from '../format/bytes.js';
import { type ChainContext, createChain, enterSegment } from '../format/chain.js';
import { SegmentScanner } from '../format/scan.js';
import { parseSegmentName, STATE_FILE, segmentName } from '../format/segment-name.js';
import { decodeState, type LogState } from '../format/state-file.js';
import { describeReason, type Judgement } from '../format/verdict.js';
import type { RecoveryReport, SegmentInfo } from '../worker/messages.js';
import { inspectDirectory } from './job-pool.js';
import type { LogView } from './log-view.js';
import { WalError } from './wal-error.js';

/** More than any state file has. */
const STATE_BYTES_MAX = 4096;

/**
 * A log in a directory that another process may be writing: no lock, nothing is changed, and what is there now counts.
 *
 * Opening judges the log once. After that each look reads on from where the last one ended: the frames that were
 * written since, and the segments that came or went. The live tail has no verdict: an invalid frame there is a write in
 * progress, or the torn end of a log that nobody writes.
 */
export class DirectoryView implements LogView {
  readonly directory: string;
  readonly recovery: RecoveryReport;
  readonly #disk: Disk = createNodeDisk();
  /** Behind the last entry that is not inside an unfinished batch: what stands there may be cut and written anew. */
  #end: ChainContext;
  #segments: SegmentInfo[];
  #lastLsn: number;
  #durableLsn: number;
  /** What stands behind the end is to be cut off by the next writer. */
  #isCutDue: boolean;
  #isClosed = false;

  private constructor(directory: string, judgement: Judgement, recovery: RecoveryReport, isCutDue: boolean) {
    this.#isCutDue = isCutDue;
    this.directory = directory;
    this.recovery = recovery;
    this.#lastLsn = judgement.lastLsn;
    this.#durableLsn = Math.min(judgement.watermark, judgement.lastLsn);
    this.#segments = judgement.segments
      .filter((segment) => segment.number <= judgement.end.segment)
      .map((segment) => ({
        number: segment.number,
        path: join(directory, segmentName(segment.number)),
        firstLsn: segment.firstLsn,
        lastLsn: segment.lastLsn,
        bytes: segment.validBytes,
        createdMs: segment.stamp?.createdMs ?? 0,
      }));
    this.#end = createChain(judgement.logId, judgement.end.segment);
    this.#end.fileOffset = judgement.end.offset;
    this.#end.expectedLsn = judgement.lastLsn === 0 ? 0 : judgement.lastLsn + 1;
  }

  /** @throws ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED as `Wal.open`; ERR_WAL_IO where there is no such directory */
  static async open(directory: string, signal: AbortSignal | undefined): Promise<DirectoryView> {
    const started = performance.now();
    const { judgement, foreignFiles, isCutDue } = await inspectDirectory({ directory, full: false }, signal);
    const { row, verdict, watermark, firstLsn, lastLsn, segments, trouble } = judgement;
    if (trouble !== undefined && (verdict === 'corrupt' || verdict === 'unsupported')) {
      const path = join(directory, segmentName(trouble.segment));
      throw new WalError(
        verdict === 'corrupt' ? 'ERR_WAL_CORRUPT' : 'ERR_WAL_UNSUPPORTED',
        `Cannot read entry ${trouble.lsn} in "${path}" at byte ${trouble.offset}: ${describeReason(trouble.reason)}.`,
        { path, offset: trouble.offset, lsn: trouble.lsn },
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
      durationMs: performance.now() - started,
    };
    return new DirectoryView(directory, judgement, recovery, isCutDue);
  }

  get firstLsn(): number {
    this.#look();
    return this.#segments.find((segment) => segment.firstLsn !== 0)?.firstLsn ?? 0;
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

  segments(): readonly SegmentInfo[] {
    this.#look();
    return this.#segments.map((segment) => ({ ...segment }));
  }

  /** Not known from outside. */
  readonly truncations: readonly number[] = [];

  /** Nobody is there to be held back: who reads from outside may find that retention was faster. */
  pin(): void {}

  assertOpen(): void {
    if (this.#isClosed)
      throw new WalError('ERR_WAL_CLOSED', 'The reader is closed.', { path: this.directory });
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Takes in what was written since the last look. */
  #look(): void {
    if (this.#isClosed) return;
    this.#isCutDue = this.#isCutDue && this.#readState()?.pendingCut !== undefined;
    if (this.#isCutDue) return;
    const numbers = this.#listNumbers();
    this.#segments = this.#segments.filter((segment) => numbers.includes(segment.number));
    const chain = { ...this.#end };
    // Retention was faster than this reader, which goes on with what is left.
    if ((numbers[0] ?? 0) > chain.number) chain.expectedLsn = 0;
    const unfinished: SegmentInfo[] = [];
    for (const number of numbers) {
      if (number < chain.number) continue;
      if (number > chain.number) enterSegment(chain, number);
      this.#walk(chain, unfinished);
    }
  }

  /** 0 where the state file tells nothing: it is only one of two witnesses. */
  #stateWatermark(): number {
    return this.#readState()?.watermark ?? 0;
  }

  /** `undefined` where the state file is missing, of another log or not to be read. */
  #readState(): LogState | undefined {
    let file: DiskFile;
    try {
      file = this.#disk.open(join(this.directory, STATE_FILE), 'r');
    } catch {
      return undefined;
    }
    try {
      const bytes = new Uint8Array(STATE_BYTES_MAX);
      const state = decodeState(bytes.subarray(0, readFully(file, bytes, 0)));
      return 'fault' in state || state.logId !== this.#end.logId ? undefined : state;
    } finally {
      file.close();
    }
  }

  #listNumbers(): number[] {
    try {
      const names = this.#disk.list(this.directory);
      return names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
    } catch (error) {
      const { message } = error as Error;
      throw new WalError('ERR_WAL_IO', `Cannot read "${this.directory}": ${message}`, {
        path: this.directory,
        cause: error,
      });
    }
  }

  /**
   * Walks the valid frames of segment `chain.number` from `chain` on. `unfinished`: what the segments hold of a batch whose
   * last frame has not come yet.
   */
  #walk(chain: ChainContext, unfinished: SegmentInfo[]): void {
    const { number } = chain;
    const path = join(this.directory, segmentName(number));
    let source: ByteSource;
    try {
      source = new WindowedSource(this.#disk.open(path, 'r'));
    } catch (error) {
      // Retention was faster.
      if (isMissing(error)) return;
      throw error;
    }
    try {
      if (source.size <= chain.fileOffset) return;
      const scanner = new SegmentScanner(source, chain);
      let firstLsn = 0;
      let lastLsn = 0;
      let createdMs = 0;
      let wholeLsn = 0;
      let wholeBytes = 0;
      while (scanner.next() === undefined) {
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
    } finally {
      source.close?.();
    }
  }

  /** Segment `news.number` reaches so far; it is the newest, or a new one. */
  #extend(news: SegmentInfo): void {
    const newest = this.#segments.at(-1);
    if (newest?.number !== news.number) {
      this.#segments.push(news);
      return;
    }
    const { firstLsn, createdMs } = newest.firstLsn === 0 ? news : newest;
    this.#segments[this.#segments.length - 1] = { ...news, firstLsn, createdMs };
  }
}
