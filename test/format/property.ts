import fc from 'fast-check';
import { seededTest } from '../seed.js';

/** A test of `property` whose name shows the seed. */
export function propertyTest<Ts>(
  sentence: string,
  property: fc.IRawProperty<Ts>,
  parameters: fc.Parameters<Ts> = {},
): void {
  seededTest(sentence, (seed) => {
    fc.assert(property, { seed, ...parameters });
  });
}
