import assert from 'node:assert/strict';
import { test } from 'node:test';

/** x^32 + x^26 + … + 1, the polynomial of the checksum. */
const POLYNOMIAL = 0x104c11db7n;

function remainderOf(dividend: bigint): bigint {
  let rest = dividend;
  for (let bit = dividend.toString(2).length - 1; bit >= 32; bit--) {
    if ((rest >> BigInt(bit)) & 1n) rest ^= POLYNOMIAL << BigInt(bit - 32);
  }
  return rest;
}

test("the checksum's polynomial divides the one that the kernels fold by, and not with a term left out", () => {
  const terms = [300, 155, 117, 89, 0];
  const sumOf = (powers: readonly number[]) => powers.reduce((sum, power) => sum | (1n << BigInt(power)), 0n);
  assert.equal(remainderOf(sumOf(terms)), 0n);
  for (const missing of terms)
    assert.notEqual(remainderOf(sumOf(terms.filter((each) => each !== missing))), 0n);
});
