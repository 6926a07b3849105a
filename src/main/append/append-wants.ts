import { Want } from '../../ring/producer.js';
import { type AppendOptions, takeAppendOptions } from '../options/append-options.js';
import type { LaneOptions } from '../options/wal-options.js';

/** The requests that come with an append. */
export interface Wish {
  /** Bits of `Want`. */
  readonly wants: number;
  /** `undefined`: any. */
  readonly expectLsn: number | undefined;
}

/** The requests of an append with these options. Reading the options may run the caller's code. */
export function wishOf(options: AppendOptions, defaults: LaneOptions): Wish {
  const { durable, commit, expectLsn } = takeAppendOptions(options);
  return { wants: wantsOf(durable ?? defaults.durable, commit ?? defaults.commit), expectLsn };
}

/** What an append without options asks of the writer, as bits of `Want`. */
export function defaultWants({ durable, commit }: LaneOptions): number {
  return wantsOf(durable, commit);
}

function wantsOf(durable: boolean, commit: LaneOptions['commit']): number {
  if (!durable) return Want.written;
  return commit === 'group' ? Want.durable | Want.commit : Want.durable;
}
