import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBatch, encodeShipped, joinFrames } from '../../src/replica/payload.js';
import { SEED } from '../seed.js';

const entries = fc
  .array(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 8,
  })
  .chain((batches) =>
    fc
      .record({
        first: fc.integer({ min: 1, max: 2 ** 40 }),
        skips: fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }),
      })
      .map(({ first, skips }) => {
        let lsn = first - 1;
        return {
          first,
          frames: batches.flatMap((batch, number) =>
            batch.map((data, at) => {
              const skipped = at === 0 ? (skips[number] as number) : 0;
              lsn += 1 + skipped;
              return { lsn, data, batchRemaining: batch.length - 1 - at, skipped };
            }),
          ),
        };
      }),
  );

test(`a batch comes back as it was (seed ${SEED})`, () => {
  fc.assert(
    fc.property(entries, ({ first, frames }) => {
      const data = joinFrames(frames.map(encodeShipped));
      const last = (frames.at(-1) as { lsn: number }).lsn;
      const decoded = decodeBatch({ first, last, data }).map(({ bytes: _, ...entry }) => ({
        ...entry,
        data: Uint8Array.from(entry.data),
      }));
      assert.deepEqual(decoded, frames);
    }),
    { seed: SEED },
  );
});

test(`a batch of which any byte is another one is refused (seed ${SEED})`, () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ first, frames }, at, flip) => {
      const data = joinFrames(frames.map(encodeShipped));
      const place = at % data.length;
      data[place] = (data[place] as number) ^ flip;
      const last = (frames.at(-1) as { lsn: number }).lsn;
      assert.throws(() => decodeBatch({ first, last, data }), { code: 'ERR_WAL_REPLICA' });
    }),
    { seed: SEED },
  );
});

test(`arbitrary bytes are refused without a crash (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer(), fc.integer(), (data, first, last) => {
      assert.throws(() => decodeBatch({ first, last, data }), { code: 'ERR_WAL_REPLICA' });
    }),
    { seed: SEED },
  );
});

test('a batch that ends inside an atomic batch is refused', () => {
  const data = encodeShipped({ lsn: 1, data: Buffer.from('a'), batchRemaining: 1, skipped: 0 });
  assert.throws(() => decodeBatch({ first: 1, last: 1, data }), /inside an atomic batch/);
});
