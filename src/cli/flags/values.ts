import { InvalidArgumentError } from 'commander';
import type { WalOptions } from '../../index.js';

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
};

/**
 * A number without a unit is not allowed. One user would mean seconds, another milliseconds, and retention would
 * remove segments by mistake.
 */
const TIME_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
};

/** An LSN. */
export function parseLsn(text: string): number {
  return integer(text, 1, 'an LSN, an integer from 1');
}

export function parseCount(text: string): number {
  return integer(text, 0, 'an integer from 0');
}

/** `65536`, `64KiB`, `64k`, `1GB`. */
export function parseBytes(text: string): number {
  return Math.round(withUnit(text, BYTE_UNITS, 'a size, like 65536, 64KiB or 1GB'));
}

/** `200ms`, `5s`, `7d`, in milliseconds. */
export function parseDuration(text: string): number {
  return withUnit(text, TIME_UNITS_MS, 'a time with its unit, like 200ms, 5s, 10m, 12h or 7d');
}

/** `lz4`, `zstd`, `zstd:9`. */
export function parseCompression(text: string): NonNullable<WalOptions['compression']> {
  const [, codec, level] = /^(lz4|zstd)(?::(\d{1,2}))?$/.exec(text) ?? [];
  if (codec === 'zstd' && level !== undefined) return { codec, level: Number(level) };
  if (level === undefined && (codec === 'lz4' || codec === 'zstd')) return codec;
  throw new InvalidArgumentError('It must be lz4, zstd, or zstd:LEVEL with a level from 1 to 22.');
}

/** The longest delay of a Node timer. A timer with a longer one fires at once. */
const SECONDS_MAX = (2 ** 31 - 1) / 1000;

/** `0.5`, `10`, or a value with a unit as in [parseDuration]; in seconds. */
export function parseSeconds(text: string): number {
  const what = 'a time above 0 and below 25 days: seconds, or with a unit, like 500ms or 10m';
  const seconds = /^(\d+\.?\d*|\.\d+)$/.test(text)
    ? Number(text)
    : withUnit(text, TIME_UNITS_MS, what) / 1000;
  if (seconds > 0 && seconds <= SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`It must be ${what}.`);
}

function integer(text: string, min: number, what: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new InvalidArgumentError(`It must be ${what}.`);
}

function withUnit(text: string, units: Readonly<Record<string, number>>, what: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const factor = units[unit.toLowerCase()];
  if (number !== undefined && factor !== undefined) return Number(number) * factor;
  throw new InvalidArgumentError(`It must be ${what}.`);
}
