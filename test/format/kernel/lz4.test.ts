import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compressSync, uncompressSync } from 'lz4-napi';
import { createWasmLz4, type Lz4, referenceLz4 } from '../../../src/format/kernel/lz4.js';
import { propertyTest } from '../property.js';

const wasm = createWasmLz4(
  (globalThis as unknown as { WebAssembly: Parameters<typeof createWasmLz4>[0] }).WebAssembly,
);
assert.ok(wasm);
const implementations: readonly Lz4[] = [wasm, referenceLz4];

/** What lz4-napi puts before a block: the length of what it becomes. */
function withLength(block: Uint8Array, bytes: number): Buffer {
  const framed = Buffer.alloc(4 + block.length);
  framed.writeUInt32LE(bytes);
  framed.set(block, 4);
  return framed;
}

/** Bytes with repetitions near and far, and stretches without. */
const inputs: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 1, maxLength: 12 }).chain((piece) =>
        fc.integer({ min: 1, max: 400 }).map((times) => {
          const repeated = new Uint8Array(piece.length * times);
          for (let at = 0; at < times; at++) repeated.set(piece, at * piece.length);
          return repeated;
        }),
      ),
      fc.integer({ min: 0, max: 80_000 }).map((length) => new Uint8Array(length)),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => new Uint8Array(Buffer.concat(pieces)));

function longest(bytes: number): number {
  return bytes + Math.ceil(bytes / 255) + 16;
}

function compress(lz4: Lz4, input: Uint8Array, maxBytes = longest(input.length)): Uint8Array | undefined {
  return lz4.compress(input, maxBytes)?.slice();
}

for (const lz4 of implementations) {
  propertyTest(
    `${lz4.name}: what it compresses, it and lz4-napi decompress`,
    fc.property(inputs, (input) => {
      const block = compress(lz4, input);
      assert.ok(block);
      const output = new Uint8Array(input.length);
      assert.ok(lz4.decompress(block, output));
      assert.deepEqual(output, input);
      assert.deepEqual(uncompressSync(withLength(block, input.length)), Buffer.from(input));
    }),
    { numRuns: 300 },
  );

  propertyTest(
    `${lz4.name}: it decompresses what lz4-napi compresses`,
    fc.property(inputs, (input) => {
      const block = compressSync(Buffer.from(input)).subarray(4);
      const output = new Uint8Array(input.length);
      assert.ok(lz4.decompress(block, output));
      assert.deepEqual(output, input);
    }),
    { numRuns: 300 },
  );

  propertyTest(
    `${lz4.name}: no block passes for one of another length, and nothing passes with bytes behind it or without its last one`,
    fc.property(inputs, fc.integer({ min: 1, max: 70_000 }), (input, difference) => {
      const block = compress(lz4, input) as Uint8Array;
      assert.equal(lz4.decompress(block, new Uint8Array(input.length + difference)), false);
      if (difference <= input.length)
        assert.equal(lz4.decompress(block, new Uint8Array(input.length - difference)), false);
      const output = new Uint8Array(input.length);
      assert.equal(lz4.decompress(block.subarray(0, -1), output), false);
      for (const junk of [0, 0x10, 0xff])
        assert.equal(lz4.decompress(Uint8Array.of(...block.subarray(0, 2000), junk), output), false);
    }),
    { numRuns: 100 },
  );

  propertyTest(
    `${lz4.name}: it gives up where the block is longer than allowed, and needs not a byte more`,
    fc.property(inputs, (input) => {
      const block = compress(lz4, input) as Uint8Array;
      assert.equal(compress(lz4, input, block.length - 1), undefined);
      assert.ok(compress(lz4, input, longest(block.length)));
    }),
    { numRuns: 100 },
  );
}

propertyTest(
  'both kernels give the same block',
  fc.property(inputs, (input) => {
    assert.deepEqual(compress(wasm, input), compress(referenceLz4, input));
  }),
  { numRuns: 300 },
);

propertyTest(
  'both kernels take and refuse the same bytes, and give the same output, whatever the bytes are',
  fc.property(
    inputs,
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    (input, changes) => {
      const block = compress(wasm, input) as Uint8Array;
      for (const [at, byte] of changes) block[at % block.length] = byte;
      assertAlike(block, input.length);
    },
  ),
  { numRuns: 1000 },
);

propertyTest(
  'the same for bytes that were never a block',
  fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(500), assertAlike),
  { numRuns: 5000 },
);

function assertAlike(block: Uint8Array, bytes: number): void {
  const outputs = implementations.map((lz4) => {
    const output = new Uint8Array(bytes);
    return lz4.decompress(block, output) ? output : undefined;
  });
  assert.deepEqual(outputs[0], outputs[1]);
}

test('an input of the largest size goes through the kernel, and its memory grows for it', () => {
  const input = new Uint8Array(64 * 1024 * 1024);
  for (let at = 0; at < input.length; at += 4096) input[at] = at >>> 12;
  const large = createWasmLz4(
    (globalThis as unknown as { WebAssembly: Parameters<typeof createWasmLz4>[0] }).WebAssembly,
  ) as Lz4;
  const block = large.compress(input, input.length)?.slice();
  assert.ok(block);
  const output = new Uint8Array(input.length);
  assert.ok(large.decompress(block, output));
  assert.ok(Buffer.from(output.buffer).equals(input));
});
