import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { indexRun, packedBytes, packRun, type RunEntry, type RunFrame } from '../../src/format/block-run.js';
import { concat, flip, hex } from './log-builder.js';
import { propertyTest } from './property.js';

interface Case {
  readonly entries: RunEntry[];
  readonly frame: RunFrame;
}

/** Whole batches and single entries, or entries of one batch that is split over blocks. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    data: fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 40 }),
    more: fc.infiniteStream(fc.boolean()),
    split: fc.constantFrom('no', 'begins', 'continues', 'ends'),
    remaining: fc.integer({ min: 1, max: 1000 }),
  })
  .map(({ data, more, split, remaining }) => {
    const batchRemaining = split === 'begins' || split === 'continues' ? remaining : 0;
    const entries = data.map((bytes, index) => ({
      data: bytes,
      more: index === data.length - 1 ? batchRemaining > 0 : split !== 'no' || (more.next().value as boolean),
    }));
    const rawBytes = 4 + entries.reduce((sum, entry) => sum + packedBytes(entry.data.length), 0);
    const continues = split === 'continues' || split === 'ends';
    return { entries, frame: { block: { entries: data.length, rawBytes, continues }, batchRemaining } };
  });

propertyTest(
  'any entries come out of the run that they are packed into',
  fc.property(cases, ({ entries, frame }) => {
    const run = packRun(entries, crc32);
    const index = indexRun(run, frame, crc32);
    assert.ok(index);
    const found = entries.map((_, at) => ({
      data: run.slice(index.bounds[2 * at], index.bounds[2 * at + 1]),
      more: index.more[at] === 1,
    }));
    assert.deepEqual(found, entries);
  }),
);

propertyTest(
  'a run with any one bit changed is refused',
  fc.property(cases, fc.nat(), fc.nat(7), ({ entries, frame }, at, bit) => {
    const run = packRun(entries, crc32);
    assert.equal(indexRun(flip(run, at % run.length, 1 << bit), frame, crc32), undefined);
  }),
);

propertyTest(
  'a run is refused if the frame says anything else of it',
  fc.property(cases, ({ entries, frame }) => {
    const run = packRun(entries, crc32);
    const { block } = frame;
    const others: RunFrame[] = [
      { ...frame, block: { ...block, entries: block.entries + 1 } },
      { ...frame, block: { ...block, rawBytes: block.rawBytes + 1 } },
      { ...frame, batchRemaining: frame.batchRemaining > 0 ? 0 : 1 },
    ];
    if (block.entries > 1) others.push({ ...frame, block: { ...block, entries: block.entries - 1 } });
    for (const other of others) assert.equal(indexRun(run, other, crc32), undefined);
  }),
);

/** A run with a checksum that matches, whatever is in it. */
function sealed(content: Uint8Array): Uint8Array {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(content));
  return concat([content, checksum]);
}

describe('a run whose checksum matches is refused', () => {
  const cases: Readonly<Record<string, readonly [entries: number, content: string]>> = {
    'if a length is not minimal': [1, '8200 aa'],
    'if an entry passes the end': [1, '04 aa'],
    'if a length does not end': [1, '82'],
    'if bytes are left': [1, '02 aa bb'],
    'if an entry is missing': [2, '02 aa'],
    'if the last entry says that more of its batch follow': [2, '00 03 aa'],
    'if a length is beyond any file': [1, 'ffffffffffffff0f aa'],
  };
  for (const [what, [entries, content]] of Object.entries(cases)) {
    test(what, () => {
      const run = sealed(hex(content));
      const frame = { block: { entries, rawBytes: run.length, continues: false }, batchRemaining: 0 };
      assert.equal(indexRun(run, frame, crc32), undefined);
    });
  }

  test('if a single entry stands in a block of a batch that is split', () => {
    const run = sealed(hex('02 aa 02 bb'));
    const frame = { block: { entries: 2, rawBytes: run.length, continues: true }, batchRemaining: 0 };
    assert.equal(indexRun(run, frame, crc32), undefined);
    assert.ok(indexRun(run, { ...frame, block: { ...frame.block, continues: false } }, crc32));
  });
});
