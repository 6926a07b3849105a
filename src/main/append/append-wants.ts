import { Want } from '../../ring/producer.js';
import { type AppendOptions, takeAppendOptions } from '../options/append-options.js';
import type { LaneOptions } from '../options/wal-options.js';

const NO_OPTIONS: AppendOptions = Object.freeze({ durable: undefined, commit: undefined });

/** What an append with these options asks of the writer, as bits of `Want`. To read the options may run the caller's code. */
export function wantsOf(options: AppendOptions | undefined, defaults: LaneOptions): number {
  const { durable, commit } = options === undefined ? NO_OPTIONS : takeAppendOptions(options);
  if (!(durable ?? defaults.durable)) return Want.written;
  return (commit ?? defaults.commit) === 'group' ? Want.durable | Want.commit : Want.durable;
}
