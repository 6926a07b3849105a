import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';

/** Of every random test in this process; set RINGWAL_SEED to what a failed run printed to see it again. */
export const SEED = Number(process.env.RINGWAL_SEED ?? randomInt(2 ** 31)) | 0;

/** A test of `property` whose name shows the seed. */
export function propertyTest<Ts>(
  sentence: string,
  property: fc.IRawProperty<Ts>,
  parameters: fc.Parameters<Ts> = {},
): void {
  test(`${sentence} (seed ${SEED})`, () => {
    fc.assert(property, { seed: SEED, ...parameters });
  });
}
