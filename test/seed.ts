import { randomInt } from 'node:crypto';
import { type TestContext, test } from 'node:test';

/** Of every random test in this process; set RINGWAL_SEED to what a failed run printed to see it again. */
export const SEED = Number(process.env.RINGWAL_SEED ?? randomInt(2 ** 31)) | 0;

/** A test whose name shows the seed that it works with. */
export function seededTest(
  sentence: string,
  body: (seed: number, t: TestContext) => void | Promise<void>,
): void {
  test(`${sentence} (seed ${SEED})`, (t) => body(SEED, t));
}
