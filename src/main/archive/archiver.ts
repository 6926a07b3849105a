import { AbortController } from '../../files/node-globals.js';
import type { CheckpointChange } from '../../protocol/checkpoint-changes.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import type { Archive } from '../options/archive-option.js';
import { Wakeups } from '../read/wakeups.js';
import { ArchiveBacklog } from './archive-backlog.js';
import { archiveName, hexId } from './archive-name.js';

/**
 * Wait between two attempts, doubled after each failure in a row: a segment that always fails causes at most 60 reports an hour.
 */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 60_000;

/** How long `close()` waits for a call that ignores its signal. */
const CLOSE_WAIT_MS = 10_000;

export interface ArchiverParts {
  readonly directory: string;
  readonly archive: Archive;
  readonly logId: bigint;
  readonly branch: bigint;
  /** Segments with lower numbers were archived. */
  readonly archived: number;
  /** Segments up to this number are sealed; -1 = none is. */
  readonly sealed: number;
  /** The first segment with an entry after segment `number`. */
  readonly segmentAfter: (number: number) => SegmentInfo | undefined;
  readonly segments: () => readonly SegmentInfo[];
  /** How many cuts of the log the opening thread knows of. */
  readonly cuts: () => number;
  /** Makes the progress durable; false: a cut came before. */
  readonly record: (change: CheckpointChange) => Promise<boolean>;
  readonly report: (error: WalError) => void;
  readonly nowMs: () => number;
  /** Resolves after `ms`, or when `signal` aborts. `ref`: keeps the process alive meanwhile. */
  readonly delay: (
    ms: number,
    options: { readonly signal: AbortSignal; readonly ref: boolean },
  ) => Promise<void>;
}

/**
 * Gives each sealed segment to the option `archive`, one at a time, lowest number first, and records the progress in the state
 * file, which releases the segment for retention.
 *
 *   sealed and durable ──▶ archive() ──▶ recorded ──▶ the next one
 *                             └─ fails: reported, and tried again after 1 s, 2 s, … 60 s
 *
 * At least once: a crash between the call and the record repeats the call at the next open. A cut (`truncateAfter`) that reaches a
 * segment makes it live again; its call is aborted, the result of the call does not count, and the segment is archived again once
 * it is sealed again, under the log's new branch.
 */
export class Archiver {
  readonly #parts: ArchiverParts;
  readonly #news = new Wakeups();
  readonly #backlog: ArchiveBacklog;
  readonly #ended: Promise<void>;
  readonly #stop = new AbortController();
  #branch: bigint;
  #archived: number;
  #sealed: number;
  /** The call, or the wait before the next one, and the segment that it is for. */
  #current: { readonly number: number; readonly controller: AbortController } | undefined;
  /** The segment that `archive` took last. It is not given to `archive` again if only its record failed. */
  #given = -1;
  #failuresInRow = 0;
  /** The process that the log belonged to is gone, in a simulation. */
  #isGone = false;

  constructor(parts: ArchiverParts) {
    this.#parts = parts;
    this.#branch = parts.branch;
    this.#archived = parts.archived;
    this.#sealed = parts.sealed;
    this.#backlog = new ArchiveBacklog(parts.nowMs, parts.sealed);
    this.#tellOfHole();
    this.#ended = this.#run();
  }

  /** The segments up to `number` are sealed and durable. */
  noteSealed(number: number): void {
    this.#sealed = Math.max(this.#sealed, number);
    this.#backlog.noteSealed(number);
    this.#news.wakeAll();
  }

  /** The log was cut: segment `live` is its last one now. */
  noteCut(live: number, branch: bigint): void {
    this.#branch = branch;
    this.#sealed = Math.min(this.#sealed, live - 1);
    this.#archived = Math.min(this.#archived, live);
    if (this.#given >= live) this.#given = -1;
    this.#backlog.noteCut(live);
    const current = this.#current;
    if (current !== undefined && current.number >= live)
      current.controller.abort(cutReason(this.#parts.directory));
    this.#news.wakeAll();
  }

  stats() {
    return this.#backlog.read(this.#parts.segments(), this.#archived, this.#sealed);
  }

  /** Aborts the call under way, and starts no other. `reason`: of the signal. */
  abort(reason: WalError): void {
    this.#stop.abort(reason);
    this.#current?.controller.abort(reason);
    this.#news.wakeAll();
  }

  /** Does nothing more, and says nothing: as if the process had ended. */
  letGo(): void {
    this.#isGone = true;
  }

  /** Resolves once the aborted call has settled. If it has not after 10 seconds, resolves too and reports that. */
  async ended(): Promise<void> {
    const { directory, delay, report } = this.#parts;
    const waited = new AbortController();
    const isLate = await Promise.race([
      this.#ended.then(() => false),
      delay(CLOSE_WAIT_MS, { signal: waited.signal, ref: true }).then(() => true),
    ]);
    waited.abort();
    if (!isLate) return;
    report(
      new WalError(
        'ERR_WAL_TIMEOUT',
        `Closed "${directory}" while the option archive is still at work: it has not settled ${CLOSE_WAIT_MS / 1000} s after its signal was aborted.`,
        { path: directory },
      ),
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#isGone) {
      const segment = this.#parts.segmentAfter(this.#archived - 1);
      if (segment === undefined || segment.number > this.#sealed) await this.#news.wait(signal);
      else await this.#attempt(segment);
    }
  }

  async #attempt(segment: SegmentInfo): Promise<void> {
    const controller = new AbortController();
    const current = { number: segment.number, controller };
    this.#current = current;
    const { signal } = controller;
    try {
      if (this.#given !== segment.number) await this.#archive(segment, signal);
      if (signal.aborted || this.#isGone) return;
      this.#given = segment.number;
      await this.#record(segment.number + 1);
      this.#failuresInRow = 0;
    } catch (error) {
      // The log is being closed, or a cut has reached the segment: the outcome of the call does not matter.
      if (signal.aborted || this.#isGone) return;
      await this.#retryLater(segment, error, signal);
    } finally {
      this.#current = undefined;
    }
  }

  async #archive({ number, path, firstLsn, lastLsn, bytes, createdMs }: SegmentInfo, signal: AbortSignal) {
    const { archive, logId } = this.#parts;
    const branch = this.#branch;
    const name = archiveName(logId, branch, number);
    const ids = { logId: hexId(logId), branch: hexId(branch) };
    await archive({ number, path, name, ...ids, firstLsn, lastLsn, bytes, createdMs }, { signal });
  }

  async #record(before: number): Promise<void> {
    const { record, cuts } = this.#parts;
    const isRecorded = await record({ kind: 'archived', before, cuts: cuts() });
    // False: the message of the cut, which comes first, has moved `#archived` back already.
    if (!isRecorded) return;
    this.#archived = Math.max(this.#archived, before);
    this.#backlog.noteArchived(before);
  }

  /** Reports segments that were removed while the log was open without an archive, since retention then waited for none. */
  #tellOfHole(): void {
    const { archived, directory, segments, report } = this.#parts;
    const first = segments()[0]?.number ?? 0;
    if (archived === 0 || first <= archived) return;
    report(
      new WalError(
        'ERR_WAL_PURGED',
        `The archive of "${directory}" has a hole: segments ${archived} to ${first - 1} were removed before they were archived, while the log was open without the option archive. Take a new full backup.`,
        { path: directory },
      ),
    );
  }

  async #retryLater({ number, path }: SegmentInfo, error: unknown, signal: AbortSignal): Promise<void> {
    this.#backlog.noteFailure();
    const ms = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failuresInRow);
    this.#failuresInRow += 1;
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.report(
      new WalError(
        'ERR_WAL_IO',
        `Cannot archive segment ${number} ("${path}"), attempt ${this.#failuresInRow}: ${why}. It is kept, and tried again in ${ms / 1000} s.`,
        { path, cause: error },
      ),
    );
    await this.#parts.delay(ms, { signal, ref: false });
  }
}

function cutReason(directory: string): WalError {
  return new WalError(
    'ERR_WAL_TRUNCATED',
    `truncateAfter has cut the segment of "${directory}" that was being archived.`,
    {
      path: directory,
    },
  );
}
