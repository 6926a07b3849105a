import { Want } from '../../ring/producer.js';
import { type AppendOptions, takeAppendOptions } from '../options/append-options.js';
import type { LaneOptions } from '../options/wal-options.js';

/** The requests that come with an append. */
export interface Wish {
  /** Bits of `Want`. */
  readonly wants: number;
  /** Once it is durable, it waits for the replica. */
  readonly isReplicated: boolean;
  /** `undefined`: any. */
  readonly expectLsn: number | undefined;
}

/** The requests of an append with these options. Reading the options may run the caller's code. */
export function wishOf(options: AppendOptions, defaults: LaneOptions): Wish {
  const { durable, commit, expectLsn } = takeAppendOptions(options, defaults.replicaChannel !== undefined);
  const level = durable ?? defaults.durable;
  return {
    wants: wantsOf(level, commit ?? defaults.commit),
    isReplicated: level === 'replicated',
    expectLsn,
  };
}

/** What an append without options asks for. */
export function defaultWish({ durable, commit }: LaneOptions): Wish {
  return { wants: wantsOf(durable, commit), isReplicated: durable === 'replicated', expectLsn: undefined };
}

function wantsOf(durable: LaneOptions['durable'], commit: LaneOptions['commit']): number {
  // What is to be replicated must be durable here first.
  if (durable === false) return Want.written;
  return commit === 'group' ? Want.durable | Want.commit : Want.durable;
}
