import { join } from 'node:path';
import { type Disk, isMissing } from '../files/disk.js';
import { createNodeDisk } from '../files/node-disk.js';
import { WindowedSource } from '../files/windowed-source.js';
import type { ByteSource } from '../format/bytes.js';
import { type ChainContext, createChain, enterSegment } from '../format/chain.js';
import { SegmentScanner } from '../format/scan.js';
import { parseSegmentName, segmentName } from '../format/segment-name.js';
import { describeReason, type Judgement } from '../format/verdict.js';
import type { RecoveryReport, SegmentInfo } from '../worker/messages.js';
import { inspectDirectory } from './job-pool.js';
import type { LogView } from './log-view.js';
import { WalError } from './wal-error.js';

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
  #isClosed = false;

  private constructor(directory: string, judgement: Judgement, recovery: RecoveryReport) {
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
    const { judgement, foreignFiles } = await inspectDirectory({ directory, full: false }, signal);
    const { row, verdict, watermark, firstLsn, lastLsn, segments, trouble } = judgement;
    if (trouble !== undefined && (verdict === 'corrupt' || verdict === 'unsupported')) {
      const path = join(directory, segmentName(trouble.segment));
      throw new WalError(
        verdict === 'corrupt' ? 'ERR_WAL_CORRUPT' : 'ERR_WAL_UNSUPPORTED',
        `Cannot read entry ${trouble.lsn} in "${path}" at byte ${trouble.offset}: ${describeReason(trouble.reason)}.`,
        { path, offset: trouble.offset, lsn: trouble.lsn },
      );
    }
    return new DirectoryView(directory, judgement, {
      row,
      verdict,
      watermark,
      firstLsn,
      lastLsn,
      segments: segments.length,
      rewrittenBytes: 0,
      foreignFiles,
      durationMs: performance.now() - started,
    });
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
    return this.#durableLsn;
  }

  segments(): readonly SegmentInfo[] {
    this.#look();
    return this.#segments.map((segment) => ({ ...segment }));
  }

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
    const numbers = this.#listNumbers();
    this.#segments = this.#segments.filter((segment) => numbers.includes(segment.number));
    const chain = { ...this.#end };
    for (const number of numbers) {
      if (number < chain.number) continue;
      if (number > chain.number) enterSegment(chain, number);
      this.#walk(chain);
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

  /** Walks the valid frames of segment `chain.number` from `chain` on. */
  #walk(chain: ChainContext): void {
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
      let createdMs = 0;
      while (scanner.next() === undefined) {
        const { frame } = scanner;
        firstLsn ||= frame.lsn;
        createdMs ||= frame.segment?.createdMs ?? 0;
        if (frame.syncedLsn > this.#durableLsn) this.#durableLsn = frame.syncedLsn;
        if (frame.batchRemaining > 0) continue;
        this.#lastLsn = frame.lsn;
        this.#end = { ...chain };
        this.#extend({ number, path, firstLsn, lastLsn: frame.lsn, bytes: chain.fileOffset, createdMs });
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
