import { InvalidArgumentError } from 'commander';

/**
 * The moments that `--since` and `--until` accept, in milliseconds since 1970:
 *
 *   2h  30m  1h30m  45s  500ms  7d      that long ago; a day is 24 hours
 *   10:05  10:05:30  10:05:30.250       that time of today, or of yesterday if it is still to come today
 *   2026-03-29  2026-03-29T10:05        local time; a space in place of the T is allowed
 *   2026-03-29T10:05Z  …T10:05+02:00    with an offset from UTC
 *   now  today  yesterday               the last two: the midnight at which the day began
 *
 * Times without an offset are local: the environment variable TZ, or the system's zone. Where the clocks are set
 * forward, local times are missing, and such a time is refused. Where they are set back, local times come twice:
 * `--since` takes the first one and `--until` the second, so that no entry is left out.
 */
export function parseMoment(text: string, edge: MomentEdge, nowMs: number): number {
  const trimmed = text.trim();
  return (
    wordOf(trimmed, nowMs) ??
    agoOf(trimmed, nowMs) ??
    timeOfDay(trimmed, edge, nowMs) ??
    dateOf(trimmed, edge)
  );
}

export type MomentEdge = 'since' | 'until';

/** Parsers of commander's options. */
export const parseSince = (text: string): number => parseMoment(text, 'since', Date.now());
export const parseUntil = (text: string): number => parseMoment(text, 'until', Date.now());

export const SINCE_FLAG = '--since <time>';
export const UNTIL_FLAG = '--until <time>';
/** A paragraph of the commands that have both. */
export const MOMENT_DETAILS =
  'A <time> is 2h, 30m or 1h30m (that long ago), 10:05 (local time, today; yesterday if it is still to come today), an ISO time like 2026-03-29T10:05, with or without a zone, or now, today or yesterday. The time stamps in the log are at most 100 ms apart, or as the option timeResolution of the writer says; --since begins at most that much too early, and --until ends at most that much too late.';

const FORMS = 'like 2026-03-29T10:05, 10:05, 2h (two hours ago) or now';

function refuse(why: string): never {
  throw new InvalidArgumentError(why);
}

/** A local time; the month counts from 1. */
interface LocalTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
}

function wordOf(text: string, nowMs: number): number | undefined {
  if (text === 'now') return nowMs;
  if (text !== 'today' && text !== 'yesterday') return undefined;
  const now = new Date(nowMs);
  const day = now.getDate() - (text === 'today' ? 0 : 1);
  // In some zones a day begins at 01:00: this is the first moment of it then.
  return new Date(now.getFullYear(), now.getMonth(), day).getTime();
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
  w: 7 * 86_400e3,
};

const AGO = /^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+?(?:ago)?$/i;
const AGO_PART = /(\d+(?:\.\d+)?)\s*([a-z]+)/gi;

/** `2h`, `1h30m`, `90s ago`. */
function agoOf(text: string, nowMs: number): number | undefined {
  if (!AGO.test(text)) return undefined;
  let ms = 0;
  for (const [part, count, unit = ''] of text.replace(/\s*ago$/i, '').matchAll(AGO_PART)) {
    // An M is a month to one user and a minute to the other.
    const factor = UNITS_MS[unit];
    if (factor === undefined) refuse(`"${part}" has no known unit: use ms, s, m (minutes), h, d or w.`);
    ms += Number(count) * factor;
  }
  const moment = Math.round(nowMs - ms);
  return isMoment(moment) ? moment : refuse(`"${text}" ago lies before every time that can be named.`);
}

const TIME = '(\\d{1,2}):(\\d{2})(?::(\\d{2})(?:[.,](\\d{1,3})\\d*)?)?';
const TIME_OF_DAY = new RegExp(`^${TIME}$`);
const DATE = new RegExp(
  `^(\\d{4})-(\\d{2})-(\\d{2})(?:[T ]${TIME}\\s*(Z|[+-]\\d{2}:?\\d{2}|[+-]\\d{2})?)?$`,
  'i',
);

function timeOfDay(text: string, edge: MomentEdge, nowMs: number): number | undefined {
  const match = TIME_OF_DAY.exec(text);
  if (match === null) return undefined;
  const time = timeFrom(match.slice(1));
  const now = new Date(nowMs);
  const on = (day: Date) =>
    localMoment(
      { year: day.getFullYear(), month: day.getMonth() + 1, day: day.getDate(), ...time },
      edge,
      text,
    );
  // Noon, since midnight is missing in some zones.
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1, 12);
  const today = isMissing({ year: now.getFullYear(), month: now.getMonth() + 1, day: now.getDate(), ...time })
    ? undefined
    : on(now);
  // A time that is missing today, and would be past by now, is refused with a message that names it.
  if (today === undefined) return isPast(time, now) ? on(now) : on(yesterday);
  return today <= nowMs ? today : on(yesterday);
}

function isPast(
  { hour, minute, second, ms }: Pick<LocalTime, 'hour' | 'minute' | 'second' | 'ms'>,
  now: Date,
) {
  const asMs = (h: number, m: number, s: number, rest: number) => ((h * 60 + m) * 60 + s) * 1000 + rest;
  const nowMs = asMs(now.getHours(), now.getMinutes(), now.getSeconds(), now.getMilliseconds());
  return asMs(hour, minute, second, ms) <= nowMs;
}

function dateOf(text: string, edge: MomentEdge): number {
  const match = DATE.exec(text);
  if (match === null) {
    if (/^[+-]?\d+(\.\d+)?$/.test(text)) refuse(`"${text}" has no unit. It must be a time ${FORMS}.`);
    refuse(`It must be a time ${FORMS}.`);
  }
  const [, year, month, day, ...rest] = match;
  const hasTime = rest[0] !== undefined;
  const date = { year: Number(year), month: Number(month), day: Number(day) };
  assertDate(date, text);
  const time = hasTime ? timeFrom(rest.slice(0, 4)) : { hour: 0, minute: 0, second: 0, ms: 0 };
  const offset = rest[4];
  if (offset === undefined) {
    // A day without midnight begins with its first moment.
    if (!hasTime) return startOfDay(date);
    return localMoment({ ...date, ...time }, edge, text);
  }
  return utcMs({ ...date, ...time }) - offsetMs(offset);
}

function timeFrom([hour, minute, second = '0', fraction = '0']: readonly (string | undefined)[]) {
  const time = {
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
    ms: Number(fraction.padEnd(3, '0')),
  };
  if (time.hour > 23) refuse(`There is no hour ${time.hour}: hours are 00 to 23.`);
  if (time.minute > 59) refuse(`There is no minute ${time.minute}: minutes are 00 to 59.`);
  if (time.second > 59) refuse(`There is no second ${time.second}: seconds are 00 to 59.`);
  return time;
}

function assertDate({ year, month, day }: Pick<LocalTime, 'year' | 'month' | 'day'>, text: string): void {
  if (month < 1 || month > 12) refuse(`There is no month ${month}: "${text}" must be year-month-day.`);
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (day < 1 || day > days) refuse(`There is no day ${day} in ${text.slice(0, 7)}, which has ${days} days.`);
}

/** `Z`, `+02:00`, `-0330`, `+02`. */
function offsetMs(offset: string): number {
  if (/^z$/i.test(offset)) return 0;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(offset) ?? [];
  if (Number(hours) > 23 || Number(minutes) > 59) refuse(`There is no offset "${offset}" from UTC.`);
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

function utcMs({ year, month, day, hour, minute, second, ms }: LocalTime): number {
  const moment = new Date(0);
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  moment.setUTCFullYear(year, month - 1, day);
  return moment.setUTCHours(hour, minute, second, ms);
}

function startOfDay({ year, month, day }: Pick<LocalTime, 'year' | 'month' | 'day'>): number {
  const moment = new Date(0);
  moment.setFullYear(year, month - 1, day);
  return moment.setHours(0, 0, 0, 0);
}

/** Converts a local time as JavaScript does: a time that comes twice is the first one; a missing one moves to after the gap. */
function toDate({ year, month, day, hour, minute, second, ms }: LocalTime): Date {
  const moment = new Date(2000, 0, 1);
  moment.setFullYear(year, month - 1, day);
  moment.setHours(hour, minute, second, ms);
  return moment;
}

function isAt(moment: Date, { hour, minute, second, day }: LocalTime): boolean {
  return (
    moment.getHours() === hour &&
    moment.getMinutes() === minute &&
    moment.getSeconds() === second &&
    moment.getDate() === day
  );
}

function isMissing(time: LocalTime): boolean {
  return !isAt(toDate(time), time);
}

const QUARTER_MS = 15 * 60_000;
/** Clocks are set back by an hour mostly, by half an hour on Lord Howe Island. */
const SET_BACK_QUARTERS_MAX = 12;

function localMoment(time: LocalTime, edge: MomentEdge, text: string): number {
  const first = toDate(time);
  if (!isAt(first, time)) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    refuse(
      `"${text}" did not exist on ${dateText(time)} in ${zone}: the clocks were set forward. Give a time before or after that, or one with an offset, like ${dateText(time)}T02:30Z.`,
    );
  }
  if (edge === 'since') return first.getTime();
  for (let quarters = SET_BACK_QUARTERS_MAX; quarters > 0; quarters--) {
    const later = new Date(first.getTime() + quarters * QUARTER_MS);
    if (isAt(later, time)) return later.getTime();
  }
  return first.getTime();
}

function dateText({ year, month, day }: LocalTime): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

function isMoment(ms: number): boolean {
  return !Number.isNaN(new Date(ms).getTime());
}
