import { createChain, enterSegment } from '../../format/chain.js';
import {
  type SegmentTime,
  START,
  segmentTimeOf,
  speaksOfTime,
  type TimeAnswer,
  type TimeQuestion,
  TimeWalk,
} from '../../format/time-walk.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import { WalError } from '../errors/wal-error.js';
import { purged, truncated } from './log-segments.js';
import type { LogView } from './log-view.js';
import type { Reader } from './readers.js';
import { corruptError, SegmentReader } from './segment-reader.js';

/** Stamps that are further than this ahead of the reader's clock are ignored. */
const HORIZON_MS = 24 * 3600_000;

/**
 * The LSN of the first entry that was made at `ms` or later, as src/format/time-walk.ts defines it. `lastLsn + 1` if no
 * entry is that late.
 *
 * @throws ERR_WAL_UNSUPPORTED if the log's frames do not say; as [SegmentSearch]
 */
export async function firstLsnAt(view: LogView, ms: number): Promise<number> {
  const { answer, lastLsn } = await search(view, 'reaches', Math.floor(ms));
  // `lastLsn` is of the moment at which the search began: an entry that was written since then may be that late.
  if (answer === undefined) return lastLsn + 1;
  if (!answer.isBounded) throw untold(view, ms);
  return Math.max(answer.lsn, view.firstLsn);
}

/** The LSN of the last entry that may have been made at `ms` or before it; Infinity = the newest, 0 = there is none. */
export async function lastLsnAt(view: LogView, ms: number): Promise<number> {
  const { answer } = await search(view, 'passes', Math.floor(ms));
  if (answer === undefined) return Number.POSITIVE_INFINITY;
  if (!answer.isBounded && answer.lsn > view.firstLsn) throw untold(view, ms);
  return answer.lsn - 1;
}

interface Found {
  readonly answer: TimeAnswer | undefined;
  /** The log ended with it when the search began. */
  readonly lastLsn: number;
}

/** Begins again if retention or a cut has changed the log meanwhile. */
async function search(view: LogView, kind: TimeQuestion['kind'], ms: number): Promise<Found> {
  for (;;) {
    view.assertOpen();
    const cuts = view.truncations.length;
    const { firstLsn, lastLsn } = view;
    try {
      const answer = await searchTo(view, kind, ms, lastLsn);
      if (view.truncations.length === cuts) return { answer, lastLsn };
    } catch (error) {
      view.assertOpen();
      const isGone = error instanceof WalError && error.code === 'ERR_WAL_PURGED';
      const hasChanged = view.truncations.length !== cuts || (isGone && view.firstLsn > firstLsn);
      if (!hasChanged) throw error;
    }
  }
}

async function searchTo(
  view: LogView,
  kind: TimeQuestion['kind'],
  ms: number,
  lastLsn: number,
): Promise<TimeAnswer | undefined> {
  const nowMs = view.wallMs();
  const question = { kind, ms, horizonMs: nowMs + HORIZON_MS };
  const segments = view.segments().filter(({ firstLsn }) => firstLsn !== 0 && firstLsn <= lastLsn);
  if (segments.length === 0) return undefined;
  const reader = view.readers.start();
  try {
    const log = new LogSearch(question);
    for (const [at, segment] of segments.entries()) {
      const next = segments[at + 1];
      const time = view.times.of(segment.number);
      if (log.enter(segment, time)) return log.answer;
      const nextTime = next === undefined ? undefined : view.times.of(next.number);
      // After a gap in the numbers, the next segment's record is about another segment.
      const latestMs = next?.number === segment.number + 1 ? nextTime?.previousLatestMs : undefined;
      if (log.passesOver(segment, time, latestMs, nextTime)) continue;
      const walk = await searchSegment(view, reader, segment, question, lastLsn, time !== undefined);
      if (log.leave(segment, walk)) return log.answer;
    }
    return log.end(nowMs);
  } finally {
    await reader.end();
  }
}

/** The same walk as TimeWalk's, one segment at a time. */
class LogSearch {
  readonly #question: TimeQuestion;
  /** The first entry of an open stretch without times that began in an earlier segment. */
  #unknown: TimeAnswer | undefined;
  /** A time is known before this place. */
  #isBounded = false;
  answer: TimeAnswer | undefined;

  constructor(question: TimeQuestion) {
    this.#question = question;
  }

  /** Takes the times in the segment's first frame. True = that frame is the answer. */
  enter({ firstLsn }: SegmentInfo, time: SegmentTime | undefined): boolean {
    const startMs = time === undefined ? 0 : this.#startMs(time);
    if (startMs === 0) return false;
    const { kind, ms } = this.#question;
    if (kind === 'reaches' && this.#unknown !== undefined && startMs >= ms) this.answer = this.#unknown;
    if (kind === 'passes' && startMs > ms)
      this.answer = { lsn: firstLsn, isBounded: this.#isBounded, isStamp: true };
    this.#unknown = undefined;
    this.#isBounded = true;
    return this.answer !== undefined;
  }

  /**
   * The answer is not in the segment, which need not be read.
   *
   * @param latestMs the writer has recorded that every entry of it was made by then
   */
  passesOver(
    { firstLsn }: SegmentInfo,
    time: SegmentTime | undefined,
    latestMs = 0,
    nextTime: SegmentTime | undefined,
  ): boolean {
    if (latestMs > 0 && latestMs <= this.#question.horizonMs) {
      if (!this.#isBefore(latestMs)) return false;
      this.#isBounded = true;
      return true;
    }
    if (time === undefined || nextTime === undefined || this.#believed(time.timeMs) > 0) return false;
    // Its first frame is no stamp: the creation times of the segments count as the times of their entries.
    const nextMs = this.#startMs(nextTime);
    if (nextMs > 0) return this.#isBefore(nextMs);
    if (this.#startMs(time) > 0) return false;
    this.#unknown ??= { lsn: firstLsn, isBounded: this.#isBounded, isStamp: false };
    return true;
  }

  /** Takes the times in the frames of the segment. True = the answer is there. */
  leave({ firstLsn }: SegmentInfo, walk: TimeWalk): boolean {
    const { answer, state } = walk;
    const unknown = this.#unknown;
    const isFromBefore = (lsn: number) => lsn === firstLsn && unknown !== undefined;
    if (answer !== undefined) {
      this.answer =
        this.#question.kind === 'reaches' && isFromBefore(answer.lsn) && !answer.isStamp
          ? unknown
          : { ...answer, isBounded: answer.isBounded || this.#isBounded };
      return true;
    }
    if (state.unknownFrom === 0) this.#unknown = undefined;
    else if (!isFromBefore(state.unknownFrom)) {
      this.#unknown = {
        lsn: state.unknownFrom,
        isBounded: state.isUnknownBounded || this.#isBounded,
        isStamp: false,
      };
    }
    this.#isBounded ||= state.isBounded;
    return false;
  }

  /** The log ends. No correct clock shows more than `nowMs` now. */
  end(nowMs: number): TimeAnswer | undefined {
    const { kind, ms } = this.#question;
    if (kind === 'reaches' && this.#unknown !== undefined && nowMs >= ms) return this.#unknown;
    // There are entries, and no frame says when any of them was made.
    return this.#isBounded ? undefined : { lsn: Number.POSITIVE_INFINITY, isBounded: false, isStamp: false };
  }

  #startMs({ timeMs, createdMs }: SegmentTime): number {
    return this.#believed(timeMs) || this.#believed(createdMs);
  }

  #believed(ms: number): number {
    return ms <= this.#question.horizonMs ? ms : 0;
  }

  #isBefore(ms: number): boolean {
    return this.#question.kind === 'reaches' ? ms < this.#question.ms : ms <= this.#question.ms;
  }
}

/**
 * Reads the frames of one segment up to the answer, from the last known place before it.
 *
 * @throws ERR_WAL_CORRUPT, ERR_WAL_PURGED, ERR_WAL_UNSUPPORTED, ERR_WAL_IO, ERR_WAL_CLOSED as a reader of its entries does
 */
async function searchSegment(
  view: LogView,
  reader: Reader,
  segment: SegmentInfo,
  question: TimeQuestion,
  lastLsn: number,
  mayJump: boolean,
): Promise<TimeWalk> {
  const { number, firstLsn } = segment;
  if (!reader.pin(segment)) throw purged(view, firstLsn);
  const opened = await reader.open(segment, firstLsn);
  try {
    const index = view.times.indexOf(number, opened.identity);
    const place = mayJump ? index.placeBefore(question) : undefined;
    const chain = place?.chain ?? createChain(view.logId, -1);
    const walk = new TimeWalk(question, place?.state ?? START);
    if (place === undefined) {
      enterSegment(chain, number);
      walk.seeUnknown(firstLsn);
    }
    const file = new SegmentReader(opened, chain, undefined, undefined, opened.sizeAtOpen, (frame) => {
      if (walk.answer !== undefined) return;
      const isFirst = chain.fileOffset === 0;
      if (isFirst) view.times.note(number, segmentTimeOf(frame));
      else index.note(chain, walk.state);
      if (speaksOfTime(frame)) walk.see(frame, isFirst);
    });
    while (walk.answer === undefined && !file.isPast && file.end === undefined) {
      await file.next(Number.MAX_SAFE_INTEGER, lastLsn);
      view.assertOpen();
    }
    if (walk.answer === undefined && file.end?.fault !== undefined) {
      view.times.forgetIndex(number);
      await view.proveOwn(segment, undefined);
      // A segment that was removed or replaced during the read is not corrupt.
      if (!(await file.isStillNamed())) throw purged(view, chain.expectedLsn || firstLsn);
      if (view.lastLsn < lastLsn) throw truncated(view, chain.expectedLsn || firstLsn);
      throw corruptError(file.path, file.end.offset, chain.expectedLsn || firstLsn, file.end.fault);
    }
    return walk;
  } finally {
    await reader.closeFiles();
  }
}

function untold(view: LogView, ms: number): WalError {
  const { directory } = view;
  return new WalError(
    'ERR_WAL_UNSUPPORTED',
    `Cannot tell which entries of "${directory}" were made at ${new Date(ms).toISOString()}: the entries there have no time ` +
      'stamps, or stamps of a clock that was far in the future. wal-go writes none. Give LSNs (from, to) instead.',
    { path: directory },
  );
}
