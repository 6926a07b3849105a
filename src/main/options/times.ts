import { types } from 'node:util';
import { WalError } from '../errors/wal-error.js';
import { refuse } from './checks.js';

/** A moment: a `Date`, or milliseconds since 1970 as of `Date.now()`. */
export type WalTime = Date | number;

/** The largest distance from 1970 that a Date can have. */
const MS_MAX = 8.64e15;

/** The moment in milliseconds. @throws ERR_WAL_OPTION */
export function checkTime(name: string, time: unknown): number {
  const expected = 'a valid Date, or milliseconds since 1970';
  const ms = copyTime(time);
  if (typeof ms === 'number' && Math.abs(ms) <= MS_MAX) return ms;
  if (types.isDate(time))
    throw new WalError('ERR_WAL_OPTION', `${name} must be ${expected}, not an invalid Date.`);
  return refuse(name, expected, time);
}

/** A Date's milliseconds, so that a later change of the Date does not change the request; anything else as it is. */
export function copyTime<T>(time: T): T | number {
  // Not instanceof: the Date may come from another realm. Runs no code of the value's own.
  return types.isDate(time) ? Date.prototype.getTime.call(time) : time;
}
