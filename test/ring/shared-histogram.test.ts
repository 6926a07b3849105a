import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countBelow, HISTOGRAM_BYTES, Histogram } from '../../src/ring/shared-histogram.js';
import { propertyTest } from '../format/property.js';

const VALUE_MAX = 2 ** 31 - 1;

function histogramOf(values: readonly number[]) {
  const histogram = new Histogram(new SharedArrayBuffer(HISTOGRAM_BYTES), 0);
  for (const value of values) histogram.record(value);
  return histogram.read();
}

test('an empty histogram is all zeros', () => {
  const { buckets, ...figures } = histogramOf([]);
  assert.deepEqual(buckets, []);
  assert.deepEqual(new Set(Object.values(figures)), new Set([0]));
});

test('values below 8 are kept as they are', () => {
  assert.deepEqual(histogramOf([0, 1, 7, 7]).buckets, [
    { below: 1, count: 1 },
    { below: 2, count: 1 },
    { below: 8, count: 2 },
  ]);
});

test('fractions are cut off, and what is out of range counts as the nearest value in it', () => {
  const { sum, max } = histogramOf([2.9, -1, Number.NaN, VALUE_MAX + 5]);
  assert.equal(sum, 2 + VALUE_MAX);
  assert.equal(max, VALUE_MAX);
});

propertyTest(
  'percentiles are those of the sorted values, an eighth too high at most',
  fc.property(fc.array(fc.integer({ min: 0, max: VALUE_MAX }), { minLength: 1 }), (values) => {
    const reading = histogramOf(values);
    const sorted = [...values].sort((a, b) => a - b);
    assert.equal(reading.count, values.length);
    assert.equal(
      reading.sum,
      values.reduce((sum, value) => sum + value, 0),
    );
    for (const [share, found] of [
      [0.5, reading.p50],
      [0.9, reading.p90],
      [0.99, reading.p99],
      [1, reading.max],
    ] as const) {
      const exact = sorted[Math.ceil(share * values.length) - 1] as number;
      assert.ok(found >= exact && found <= exact + exact / 8, `${share}: ${found} for ${exact}`);
    }
  }),
);

propertyTest(
  'the count below a power of two is exact',
  fc.property(
    fc.array(fc.integer({ min: 0, max: VALUE_MAX })),
    fc.integer({ min: 0, max: 30 }),
    (values, power) => {
      const edge = 2 ** power;
      assert.equal(countBelow(histogramOf(values), edge), values.filter((value) => value < edge).length);
    },
  ),
);
