import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { Wal, WalError } from '#ringwal';
import { compressRun } from '../../../src/blocks/encode-block.js';
import { type Block, CODEC } from '../../../src/format/block.js';
import { packRun } from '../../../src/format/block-run.js';
import { temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import { collect } from '../support.js';
import { forgedLog } from './forged-blocks.js';

const RUNS = Number(process.env.RINGWAL_FUZZ_RUNS ?? 40);

/** What such a log may answer. */
const CODES = ['ERR_WAL_CORRUPT', 'ERR_WAL_UNSUPPORTED', 'ERR_WAL_PURGED'];

interface Forgery {
  /** Bytes of the stored run that are changed: where, as a share of it, and to what. */
  readonly changes: readonly (readonly [at: number, byte: number])[];
  /** Bytes that are cut off or added at its end. */
  readonly longer: number;
  readonly fields: Partial<Block>;
  readonly batchRemaining: number;
}

const forgeries: fc.Arbitrary<Forgery> = fc.record({
  changes: fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(255)), { maxLength: 3 }),
  longer: fc.constantFrom(0, 0, 0, -1, -7, 1, 40),
  fields: fc.record(
    {
      entries: fc.integer({ min: 1, max: 40 }),
      rawBytes: fc.integer({ min: 5, max: 70_000 }),
      codec: fc.constantFrom(CODEC.stored, CODEC.lz4, CODEC.zstd),
      continues: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
  batchRemaining: fc.constantFrom(0, 0, 0, 1, 5),
});

const TEXTS = Array.from({ length: 30 }, (_, at) => `entry ${at} of the block, of the block, of the block`);
const RUN = packRun(
  TEXTS.map((each) => ({ data: Buffer.from(each), more: false })),
  crc32,
);

function forge({ changes, longer, fields, batchRemaining }: Forgery) {
  const { bytes } = compressRun(RUN, TEXTS.length, { codec: 'lz4' }, RUN.length) ?? assert.fail();
  const data = Buffer.alloc(Math.max(1, bytes.length + longer), bytes.subarray(0, 1));
  data.set(bytes.subarray(0, data.length));
  for (const [at, byte] of changes) data[Math.floor(at * data.length)] = byte;
  const block = { codec: CODEC.lz4, entries: TEXTS.length, rawBytes: RUN.length, ...fields };
  return { block, data, batchRemaining };
}

/** The texts, as far as `read` gives them; it may fail in one of the allowed ways. */
async function textsOf(read: () => Promise<readonly { readonly data: Uint8Array }[]>): Promise<string[]> {
  try {
    return (await read()).map(({ data }) => Buffer.from(data).toString());
  } catch (error) {
    assert.ok(error instanceof WalError && CODES.includes(error.code), String((error as Error).stack));
    return [];
  }
}

/** An older Node has no zstd, and says so. */
async function verdictOf(directory: string): Promise<string> {
  try {
    return (await Wal.verify(directory)).verdict;
  } catch (error) {
    assert.ok(
      error instanceof WalError && error.code === 'ERR_WAL_UNSUPPORTED',
      String((error as Error).stack),
    );
    return 'unsupported';
  }
}

test(`whatever a block says under checksums that match, it gives its own entries or an error (seed ${SEED})`, async (t) => {
  await fc.assert(
    fc.asyncProperty(forgeries, fc.boolean(), async (forgery, isLast) => {
      const after = {
        block: { codec: CODEC.lz4, entries: TEXTS.length, rawBytes: RUN.length },
        data: forge({ changes: [], longer: 0, fields: {}, batchRemaining: 0 }).data,
      };
      const directory = await forgedLog(t, isLast ? [forge(forgery)] : [forge(forgery), after]);
      const all = new Set([...TEXTS, 'first']);
      const assertKnown = (texts: readonly string[]) => {
        for (const each of texts) assert.ok(all.has(each), each);
      };
      assertKnown(await textsOf(() => collect(Wal.readSegment(join(directory, 'wal-0')))));
      const verdict = await verdictOf(directory);
      const reader = await Wal.open(directory, { readOnly: true }).catch((error: WalError) => error);
      if (reader instanceof Error) assert.ok(CODES.includes(reader.code), reader.stack);
      else {
        const read = await textsOf(() => collect(reader.entries()));
        assertKnown(read);
        assertKnown(await textsOf(() => collect(reader.entries({ reverse: true }))));
        // What verify calls clean every reader can read.
        if (verdict === 'clean') assert.equal(read.length, reader.lastLsn);
        await reader.close();
      }
      for (const mode of ['truncate', 'salvage'] as const) {
        const copy = join(temporaryDirectory(t), 'copy');
        cpSync(directory, copy, { recursive: true });
        const report = await Wal.repair(copy, { mode }).catch((error: WalError) => error);
        if (report instanceof Error) {
          assert.ok(report.code === 'ERR_WAL_UNSUPPORTED', report.stack);
          continue;
        }
        // What is repaired is clean, or torn where it was torn.
        assert.notEqual(await verdictOf(copy), 'corrupt');
      }
    }),
    { seed: SEED, numRuns: RUNS },
  );
});
