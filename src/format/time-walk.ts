/**
 * When the entries of a log were made, as far as its frames show it.
 *
 *   frames    S     .     .     S     .      | M     .     .     S     .
 *   time_ms   100               250          |                   900
 *             └ stretch ┘       └ stretch ┘    └ no times ┘      └ stretch
 *
 * A *stamp* S is a frame with time_ms t. It begins a stretch: the entries from there to the next stamp were made at t or
 * after it, and before t + r, since the writer stamps the first group at which its resolution r has passed. A Segment without
 * time_ms, M, says that the times from there on are not known: its writer made no stamps. Entries before the first stamp of a
 * log have none either (wal-go's files).
 *
 *   reach of a stretch     the last millisecond in which an entry of it can have been made: t + r - 1
 *                          without times: the next stamp's t
 *   question 'reaches' m   the first entry whose stretch reaches m or a later time: no entry made at m or later is before it
 *   question 'passes' m    the first entry that was certainly made after m: that of the first stamp above m
 *
 * Both answers move only forward as m grows, whatever the clock did, because each is the first that passes a limit. If the clock
 * went back, it showed some times twice: the entries of the second pass come after the first ones that reached those times.
 *
 * A stamp above the horizon, which is a day after the reader's own present, comes from a clock that was wrong. From such a stamp
 * on, times are not known: the entries are between the stamps before and after it.
 */

import type { Frame } from './frame.js';

/** The resolution of a Segment that records none. */
export const DEFAULT_RESOLUTION_MS = 100;

/** The largest that the option `timeResolution` allows. */
export const RESOLUTION_MS_MAX = 3_600_000;

/** The fields of a frame that concern time. */
export type TimedFrame = Pick<Frame, 'lsn' | 'timeMs' | 'segment'>;

/** The times in the first frame of a segment. It crosses threads. */
export interface SegmentTime {
  /** Of that frame; 0 = it is no stamp. */
  readonly timeMs: number;
  /** When the segment was created; 0 = not known. */
  readonly createdMs: number;
  /**
   * Every entry of the segment with the number before was made at this time or before it; 0 = not known. The writer recorded
   * it, so that readers can pass over a whole segment without reading it.
   */
  readonly previousLatestMs: number;
}

/** A segment of wal-go. */
export const NO_TIME: SegmentTime = { timeMs: 0, createdMs: 0, previousLatestMs: 0 };

export function segmentTimeOf({ timeMs, segment }: Omit<TimedFrame, 'lsn'>): SegmentTime {
  if (segment === undefined) return NO_TIME;
  return { timeMs, createdMs: segment.createdMs, previousLatestMs: segment.previousLatestMs ?? 0 };
}

/** Of the segments whose first frames are valid, by number, ascending. */
export function segmentTimes(
  segments: readonly { readonly number: number; readonly time: SegmentTime | undefined }[],
): Map<number, SegmentTime> {
  return new Map(segments.flatMap(({ number, time }) => (time === undefined ? [] : [[number, time]])));
}

/** May this frame begin a stretch? All others are passed over. */
export function speaksOfTime({ timeMs, segment }: Omit<TimedFrame, 'lsn'>): boolean {
  return timeMs > 0 || segment !== undefined;
}

export interface TimeQuestion {
  readonly kind: 'reaches' | 'passes';
  /** A whole number. */
  readonly ms: number;
  /** See above. */
  readonly horizonMs: number;
}

export interface TimeAnswer {
  readonly lsn: number;
  /** A time before it is known. False: nothing shows how much too early it may be. */
  readonly isBounded: boolean;
  /** It is the entry of a stamp, and not the first one of a stretch without times. */
  readonly isStamp: boolean;
}

/** The state of a walk at a place, so that a later walk can begin there. Plain data. */
export interface TimeState {
  /** r of the stamps from here on. */
  readonly resolutionMs: number;
  /** The first entry of an open stretch without times; 0 = there is none. */
  readonly unknownFrom: number;
  readonly isUnknownBounded: boolean;
  /** The lowest question of each kind that has no answer before this place. */
  readonly reachMs: number;
  readonly highestMs: number;
  /** A time is known before this place. */
  readonly isBounded: boolean;
  /** A stamp above the horizon was met: the state holds for this horizon only. */
  readonly hasDisbelieved: boolean;
}

export const START: TimeState = {
  resolutionMs: DEFAULT_RESOLUTION_MS,
  unknownFrom: 0,
  isUnknownBounded: false,
  reachMs: 0,
  highestMs: 0,
  isBounded: false,
  hasDisbelieved: false,
};

/** Takes the frames that concern time, in order, until a question is answered. */
export class TimeWalk {
  readonly #question: TimeQuestion;
  #state: { -readonly [name in keyof TimeState]: TimeState[name] };
  #answer: TimeAnswer | undefined;

  constructor(question: TimeQuestion, state: TimeState = START) {
    this.#question = question;
    this.#state = { ...state };
  }

  get answer(): TimeAnswer | undefined {
    return this.#answer;
  }

  /** A copy. */
  get state(): TimeState {
    return { ...this.#state };
  }

  /** An entry without a time, unless the next call is [see] for the same entry. */
  seeUnknown(lsn: number): void {
    const state = this.#state;
    if (state.unknownFrom !== 0) return;
    state.unknownFrom = lsn;
    state.isUnknownBounded = state.isBounded;
  }

  /** A frame for which [speaksOfTime] holds. `isFirst`: of its segment. */
  see({ lsn, timeMs, segment }: TimedFrame, isFirst: boolean): void {
    const state = this.#state;
    const { horizonMs } = this.#question;
    if (segment !== undefined) state.resolutionMs = segment.timeResolutionMs ?? DEFAULT_RESOLUTION_MS;
    if (timeMs > horizonMs) state.hasDisbelieved = true;
    if (timeMs > 0 && timeMs <= horizonMs) {
      this.#closeUnknown(lsn, timeMs);
      this.#stamp(lsn, timeMs);
      return;
    }
    // The segment was created before its first frame was made.
    if (isFirst && segment !== undefined) this.#seeCreation(lsn, segment.createdMs);
    this.seeUnknown(lsn);
  }

  /** The segment that begins with this entry was created at that time; 0 = not known. */
  #seeCreation(lsn: number, createdMs: number): void {
    const { kind, ms, horizonMs } = this.#question;
    if (createdMs === 0 || createdMs > horizonMs) return;
    const state = this.#state;
    this.#closeUnknown(lsn, createdMs);
    if (kind === 'passes' && createdMs > ms) this.#answerWith(lsn, state.isBounded, false);
    state.highestMs = Math.max(state.highestMs, createdMs);
    state.isBounded = true;
  }

  #stamp(lsn: number, timeMs: number): void {
    const state = this.#state;
    const { kind, ms } = this.#question;
    const reachMs = timeMs + state.resolutionMs - 1;
    if (kind === 'reaches' && reachMs >= ms) this.#answerWith(lsn, true, true);
    if (kind === 'passes' && timeMs > ms) this.#answerWith(lsn, state.isBounded, true);
    state.reachMs = Math.max(state.reachMs, reachMs);
    state.highestMs = Math.max(state.highestMs, timeMs);
    state.isBounded = true;
  }

  /** The entries before `lsn` were made by then. */
  #closeUnknown(lsn: number, byMs: number): void {
    const state = this.#state;
    const { unknownFrom, isUnknownBounded } = state;
    state.unknownFrom = 0;
    if (unknownFrom === 0 || unknownFrom === lsn) return;
    const { kind, ms } = this.#question;
    if (kind === 'reaches' && byMs >= ms) this.#answerWith(unknownFrom, isUnknownBounded, false);
    state.reachMs = Math.max(state.reachMs, byMs);
  }

  #answerWith(lsn: number, isBounded: boolean, isStamp: boolean): void {
    this.#answer ??= { lsn, isBounded, isStamp };
  }
}

/** The latest time at which an entry of a segment can have been made, from all of its frames. */
export class LatestTime {
  #resolutionMs = DEFAULT_RESOLUTION_MS;
  #latestMs = 0;
  #isKnown = true;
  #isStamped = false;

  /** Milliseconds since 1970; 0 = no frame yet; `undefined` = the times of some entries are not known. */
  get ms(): number | undefined {
    return this.#isKnown ? this.#latestMs : undefined;
  }

  /** Takes the frames in order; frames that do not concern time may be left out, except the first one. */
  see({ timeMs, segment }: Omit<TimedFrame, 'lsn'>): void {
    if (segment !== undefined) this.#resolutionMs = segment.timeResolutionMs ?? DEFAULT_RESOLUTION_MS;
    if (timeMs > 0) {
      this.#isStamped = true;
      this.#latestMs = Math.max(this.#latestMs, timeMs + this.#resolutionMs - 1);
    } else if (segment !== undefined || !this.#isStamped) {
      this.#isKnown = false;
    }
  }
}
