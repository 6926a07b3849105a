import { describeValue } from '../errors/describe-value.js';
import { WalError } from '../errors/wal-error.js';
import { isAbortSignal } from './abort-signal.js';
import { givenOptions } from './given-options.js';

/** See [givenOptions]. @throws ERR_WAL_OPTION: `options` is no object, or has a name that is not known; `hintOf` says more of that */
export function takeOptions<T extends object>(
  options: T,
  kind: string,
  known: readonly (keyof T & string)[],
  hintOf: (name: string) => string = () => '',
): T {
  if (typeof options !== 'object' || options === null) refuse(`${kind}s`, 'an object', options);
  const given = givenOptions(options, known);
  for (const name of Object.keys(given)) {
    if (!known.includes(name as keyof T & string)) {
      const list = known.join(', ');
      throw new WalError('ERR_WAL_OPTION', `Unknown ${kind} "${name}". Known: ${list}.${hintOf(name)}`);
    }
  }
  return given;
}

export function integer(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (!isIntegerWithin(value, min, max)) refuse(name, `an integer from ${min} to ${max}`, value);
  return value as number;
}

export function number(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= min && value <= max))
    refuse(name, `a number from ${min} to ${max}`, value);
  return value;
}

export function limit(name: string, value: unknown, min: number): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (!isIntegerWithin(value, min, Number.MAX_SAFE_INTEGER))
    refuse(name, `an integer from ${min}, or Infinity`, value);
  return value as number;
}

export function flag(name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') refuse(name, 'true or false', value);
  return value ?? false;
}

export function oneOf<T extends string>(name: string, value: unknown, allowed: readonly [T, ...T[]]): T {
  if (value === undefined) return allowed[0];
  if (!allowed.includes(value as T)) refuse(name, allowed.map((each) => `'${each}'`).join(' or '), value);
  return value as T;
}

export function callback<T>(name: string, value: ((argument: T) => void) | undefined): typeof value {
  if (value !== undefined && typeof value !== 'function') refuse(name, 'a function', value);
  return value;
}

/** Checks the bytes that somebody wants room for. */
export function checkBytes(bytes: unknown): number {
  if (!isIntegerWithin(bytes, 0, Number.MAX_SAFE_INTEGER)) refuse('bytes', 'an integer from 0', bytes);
  return bytes as number;
}

/** Checks a time that a blocking call may take; `undefined`: any. */
export function checkTimeout(timeoutMs: unknown): number | undefined {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    refuse('timeoutMs', 'a number from 0', timeoutMs);
  }
  return timeoutMs;
}

export function checkLsn(name: string, lsn: unknown): number {
  if (!isIntegerWithin(lsn, 1, Number.MAX_SAFE_INTEGER)) refuse(name, 'an LSN, an integer from 1', lsn);
  return lsn as number;
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal !== undefined && !isAbortSignal(signal)) refuse('signal', 'an AbortSignal', signal);
  return signal;
}

/** Checks the options of a call that takes nothing but a signal. */
export function checkSignalOptions(given: {
  readonly signal?: AbortSignal | undefined;
}): AbortSignal | undefined {
  return checkSignal(takeOptions(given, 'option', ['signal']).signal);
}

export function isIntegerWithin(value: unknown, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

export function refuse(name: string, expected: string, value: unknown): never {
  const unit = UNITS[name];
  const inUnit = unit === undefined ? '' : `, in ${unit}`;
  throw new WalError('ERR_WAL_OPTION', `${name} must be ${expected}${inUnit}, not ${describeValue(value)}.`);
}

/** Of those that are numbers of something. */
const UNITS: Readonly<Record<string, string>> = {
  maxFileSize: 'bytes',
  maxTotalSize: 'bytes',
  maxPending: 'bytes',
  maxEntrySize: 'bytes',
  maxAge: 'milliseconds',
  archiveTimeout: 'milliseconds',
  syncInterval: 'milliseconds',
  commitDelay: 'milliseconds',
  timeResolution: 'milliseconds',
};
