import fc from 'fast-check';
import type { SegmentStamp } from '../../../src/format/frame.js';
import type { Item } from './records.js';

/** One drained run and how the writer cuts it into calls. */
export interface Scenario {
  readonly items: readonly Item[];
  readonly wrap: boolean;
  readonly lsn: number;
  readonly fileOffset: number;
  readonly logId: bigint;
  readonly segmentNumber: number;
  readonly calls: readonly Call[];
}

/** What differs from call to call; the last one stands for all that follow. */
export interface Call {
  /** How many of the records that are left lie before `to`. */
  readonly records: number;
  readonly maxEntries: number;
  readonly roomBytes: number;
  readonly syncedLsn: number;
  readonly stamp: Pick<SegmentStamp, 'createdMs' | 'recycled' | 'branch'> | undefined;
}

/** Data lengths where the kernels' loops and the varint of the length change. */
const lengths = fc.oneof(
  { weight: 6, arbitrary: fc.nat(40) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 15, 16, 17, 63, 64, 65, 79, 80, 81, 127, 128, 129) },
  { weight: 1, arbitrary: fc.nat(400) },
  { weight: 1, arbitrary: fc.constantFrom(16_383, 16_384) },
);

const data = fc
  .tuple(lengths, fc.integer())
  .map(([length, filler]) => Uint8Array.from({ length }, (_, i) => Math.imul(filler ^ i, 0x9e3779b1) >>> 23));

const items: fc.Arbitrary<Item[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: data },
    { weight: 1, arbitrary: fc.array(data, { minLength: 1, maxLength: 6 }) },
  ),
  { maxLength: 12 },
);

/** Around every length of a varint, up to 2^53 - 1. */
function upTo2To53(least: number): fc.Arbitrary<number> {
  const boundaries = [7, 14, 21, 28, 31, 32, 35, 42, 49].map((bits) =>
    fc.integer({ min: 2 ** bits - 4, max: 2 ** bits + 4 }),
  );
  return fc.oneof(
    fc.integer({ min: least, max: 300 }),
    ...boundaries,
    fc.integer({ min: least, max: Number.MAX_SAFE_INTEGER }),
    fc.constant(Number.MAX_SAFE_INTEGER),
  );
}

/** Of the first entry: the last one must still be below 2^53. */
const firstLsn = upTo2To53(1).map((lsn) => Math.min(lsn, Number.MAX_SAFE_INTEGER - 100));

const call: fc.Arbitrary<Call> = fc.record({
  records: fc.oneof(fc.nat(6), fc.constant(100)),
  maxEntries: fc.oneof(fc.nat(5), fc.constant(0x7fffffff)),
  roomBytes: fc.oneof(fc.nat(120), fc.nat(1000), fc.constant(100_000)),
  syncedLsn: fc.oneof(fc.constantFrom(-1, 0), upTo2To53(0)),
  stamp: fc.option(
    fc.record({
      createdMs: upTo2To53(0),
      recycled: fc.boolean(),
      branch: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
    { nil: undefined },
  ),
});

export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  items,
  wrap: fc.boolean(),
  lsn: firstLsn,
  fileOffset: upTo2To53(0).map((offset) => Math.min(offset, Number.MAX_SAFE_INTEGER - 2 ** 30)),
  logId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  segmentNumber: upTo2To53(0),
  calls: fc.array(call, { maxLength: 8 }),
});
