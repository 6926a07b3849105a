/**
 * Hostile bytes, through the public API: logs that the writer made and something mutated. Whatever has become of them there is
 * an answer or a WalError, no entry that was never appended, no allocation by what the bytes claim, and nobody hangs.
 *
 * A few seconds of it; RINGWAL_FUZZ_RUNS makes them as many as one has time for (docs/testing.md).
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { Wal, type WalEntry, WalError } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { SEED } from '../../seed.js';
import { fill, randomSource, SMALL_RING, snapshot, temporaryLog } from '../support.js';

const READ_RUNS = Number(process.env.RINGWAL_FUZZ_RUNS ?? 50);
const CHANGE_RUNS = Math.ceil(READ_RUNS / 3);

/** No run takes a hundredth of it: who takes longer hangs. */
const RUN_MS_MAX = 20_000;

const WALGO = fileURLToPath(new URL('../../fixtures/walgo/05-rotation', import.meta.url));

/** What a mutated log may answer. The others are about appending, or threads. */
const CODES = ['ERR_WAL_CORRUPT', 'ERR_WAL_UNSUPPORTED', 'ERR_WAL_IO', 'ERR_WAL_PURGED', 'ERR_WAL_TRUNCATED'];

// ── Logs ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The files of a directory by name. */
type Image = ReadonlyMap<string, Buffer>;

interface Original {
  readonly image: Image;
  /** All that was ever appended as each LSN: `truncateAfter` gives LSNs out again. */
  readonly appended: ReadonlyMap<number, readonly Buffer[]>;
}

function imageOf(directory: string): Image {
  return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]));
}

/** The same of a log that is open: it is as it was at one moment only if no file came or went meanwhile. */
function imageOfOpen(directory: string): Image {
  for (;;) {
    const names = readdirSync(directory);
    const image = new Map<string, Buffer>();
    for (const name of names) {
      try {
        image.set(name, readFileSync(join(directory, name)));
      } catch (error) {
        // Retention has removed it: looked at anew.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    if (image.size === names.length && String(readdirSync(directory)) === String(names)) return image;
  }
}

/** Rotation, retention, batches that span segments, cuts with their side files, a second opening; and the same, killed. */
async function writtenLogs(t: TestContext): Promise<Original[]> {
  const directory = temporaryLog(t);
  const random = randomSource(SEED);
  const appended = new Map<number, Buffer[]>();
  const note = (lsn: number, data: Buffer) => appended.set(lsn, [...(appended.get(lsn) ?? []), data]);
  const append = async (wal: Wal, count: number) => {
    for (let i = 0; i < count; i++) {
      const data = Array.from({ length: random(6) === 0 ? 1 + random(8) : 1 }, () =>
        fill(random(500), random(1000)),
      );
      const options = { durable: random(3) === 0 };
      const first =
        data.length === 1 && data[0] !== undefined
          ? await wal.append(data[0], options)
          : (await wal.appendBatch(data, options)).first;
      for (const [at, each] of data.entries()) note(first + at, each);
    }
  };
  const cutSomewhere = async (wal: Wal, back: number) => {
    // Inside a batch it is refused.
    for (let lsn = wal.lastLsn - back; ; lsn++) {
      const refused = await wal.truncateAfter(lsn).then(
        () => false,
        (error) => error.code === 'ERR_WAL_OPTION' || Promise.reject(error),
      );
      if (!refused) return;
    }
  };
  const options = { maxFileSize: 4096, maxFiles: 7 };
  const first = await Wal.open(directory, { ...options, readOnly: false });
  await append(first, 60);
  await cutSomewhere(first, 20);
  await append(first, 40);
  await first.checkpoint(first.lastLsn);
  await first.close();
  const closed = imageOf(directory);
  const second = await Wal.open(directory, { ...options, readOnly: false, syncInterval: 60_000 });
  await append(second, 25);
  await second.append('the last durable one', { durable: true });
  note(second.lastLsn, Buffer.from('the last durable one'));
  for (let i = 0; i < 20; i++) note(await second.append(`in doubt ${i}`), Buffer.from(`in doubt ${i}`));
  const killed = imageOfOpen(directory);
  await second.close();
  return [
    { image: closed, appended },
    { image: killed, appended },
  ];
}

async function walgoLog(): Promise<Original> {
  const appended = new Map<number, Buffer[]>();
  for (const name of readdirSync(WALGO))
    for await (const { lsn, data } of Wal.readSegment(join(WALGO, name)))
      appended.set(lsn, [Buffer.from(data)]);
  return { image: imageOf(WALGO), appended };
}

// ── Mutations ───────────────────────────────────────────────────────────────────────────────────────────────────

interface Mutation {
  readonly kind: (typeof KINDS)[number];
  /** Which file, and which other one. */
  readonly file: number;
  readonly other: number;
  /** Where, as a share of the file; and of how many bytes. */
  readonly at: number;
  readonly length: number;
  readonly value: number;
}

const KINDS = [
  'flip',
  'flip',
  'flip',
  'overwrite',
  'forge-size',
  'forge-varint',
  'truncate',
  'cut-out',
  'repeat',
  'zeros-behind',
  'splice',
  'copy-over',
  'swap',
  'remove',
  'renumber',
  'walg',
  'salvage-mark',
] as const;

const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    file: fc.nat(1000),
    other: fc.nat(1000),
    // Not fc.double: most doubles lie close to 0.
    at: fc.nat(999_999).map((millionths) => millionths / 1_000_000),
    length: fc.nat(600),
    value: fc.nat(0xffff_ffff),
  }),
  { minLength: 1, maxLength: 6 },
);

const FORGED_SIZES = [-1, 0, 1, 2 ** 30, 2 ** 30 + 128, 0x7fff_ffff];

function mutate(original: Image, all: readonly Mutation[]): Map<string, Buffer> {
  const image = new Map([...original].map(([name, bytes]) => [name, Buffer.from(bytes)]));
  for (const mutation of all) {
    // Mostly segments, and some of what lies beside them.
    const isAside = mutation.value % 5 === 0;
    const names = [...image.keys()].filter(
      (name) => name.startsWith('wal-') !== isAside && name !== 'ringwal.lock',
    );
    const name = names[mutation.file % names.length];
    const other = names[mutation.other % names.length];
    if (name !== undefined && other !== undefined) mutateFile(image, name, other, mutation);
  }
  return image;
}

function mutateFile(image: Map<string, Buffer>, name: string, other: string, mutation: Mutation): void {
  const { kind, length, value } = mutation;
  const bytes = image.get(name) ?? Buffer.alloc(0);
  const others = image.get(other) ?? Buffer.alloc(0);
  const at = Math.floor(mutation.at * bytes.length);
  const put = (...parts: readonly Buffer[]) => image.set(name, Buffer.concat(parts));
  const [before, behind] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (kind) {
    case 'flip':
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << (value & 7));
      break;
    case 'overwrite':
      bytes.fill(value & 0xff, at, Math.min(bytes.length, at + length));
      break;
    case 'forge-size': {
      // Where a frame starts, or anywhere.
      const place = value % 3 === 0 ? at : startOfFrame(bytes, at);
      if (place + 4 <= bytes.length)
        bytes.writeInt32LE(FORGED_SIZES[value % FORGED_SIZES.length] ?? bytes.length, place);
      break;
    }
    case 'forge-varint':
      bytes.fill(0xff, at, Math.min(bytes.length, at + (value % 10)));
      break;
    case 'truncate':
      put(before);
      break;
    case 'cut-out':
      put(before, behind.subarray(length));
      break;
    case 'repeat':
      put(bytes, behind);
      break;
    case 'zeros-behind':
      put(bytes, Buffer.alloc(length * 10));
      break;
    case 'splice':
      put(before, others.subarray(Math.floor(mutation.at * others.length)).subarray(0, length), behind);
      break;
    case 'copy-over':
      image.set(name, Buffer.from(others));
      break;
    case 'swap':
      image.set(name, others).set(other, bytes);
      break;
    case 'remove':
      image.delete(name);
      break;
    case 'renumber':
      image.delete(name);
      image.set(`wal-${value % 4 === 0 ? value : value % 20}`, bytes);
      break;
    case 'walg':
      put(Buffer.from('57414c47010010000100000000000000', 'hex'), behind);
      break;
    case 'salvage-mark':
      image.set('ringwal.salvage', Buffer.alloc(0));
      break;
  }
}

/** The last frame that starts at or before `at`, as far as size words lead. */
function startOfFrame(bytes: Buffer, at: number): number {
  let start = 0;
  while (start + 4 <= bytes.length) {
    const next = start + 4 + bytes.readInt32LE(start);
    if (next <= start || next > at) break;
    start = next;
  }
  return start;
}

// ── What must hold ──────────────────────────────────────────────────────────────────────────────────────────────

/** The answer, or `undefined` for an error that says what is wrong with the log. */
async function survive<T>(act: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    assert.ok(CODES.includes(error.code), `${error.code}: ${error.stack}`);
    // Anything that a job throws arrives as ERR_WAL_IO: only the system's errors have a right to that.
    if (error.code === 'ERR_WAL_IO')
      assert.equal(
        typeof (error.cause as { code?: unknown } | undefined)?.code,
        'string',
        `crashed: ${error.stack}`,
      );
    return undefined;
  }
}

/** Goes over them as far as that is possible: each is as it was appended, and LSNs only grow. */
async function survey(original: Original, entries: AsyncIterable<WalEntry>): Promise<number[]> {
  const found: number[] = [];
  await survive(async () => {
    for await (const { lsn, data } of entries) {
      assert.ok(lsn > (found.at(-1) ?? 0), `entry ${lsn} comes after ${found.at(-1)}`);
      found.push(lsn);
      const isKnown = original.appended.get(lsn)?.some((each) => each.equals(data)) === true;
      assert.ok(isKnown, `entry ${lsn} was never appended so: ${data.length} bytes`);
    }
  });
  return found;
}

async function* flat(batches: AsyncIterable<WalEntry[]>): AsyncGenerator<WalEntry> {
  for await (const batch of batches) yield* batch;
}

async function readAll(original: Original, directory: string): Promise<void> {
  for (const name of readdirSync(directory).filter((each) => !each.endsWith('.lock')))
    await survey(original, Wal.readSegment(join(directory, name)));
  const report = await survive(() => Wal.verify(directory));
  for (const mode of ['truncate', 'salvage'] as const) {
    const dry = await survive(() => Wal.repair(directory, { mode, dryRun: true }));
    if (dry !== undefined && report !== undefined && report.verdict === 'corrupt')
      assert.ok(dry.lostLsns >= 0 && dry.lastLsn >= dry.firstLsn);
  }
  const reader = await survive(() => Wal.open(directory, { readOnly: true }));
  if (reader === undefined) return;
  const { firstLsn, lastLsn } = reader;
  assert.ok(reader.durableLsn <= lastLsn);
  const found = await survey(original, reader.entries());
  assert.deepEqual(await survey(original, flat(reader.batches())), found);
  for (const lsn of [firstLsn, lastLsn, Math.floor((firstLsn + lastLsn) / 2), lastLsn + 1].filter(
    (each) => each > 0,
  )) {
    const entry: unknown = await survive(() => reader.get(lsn));
    if (found.includes(lsn)) assert.ok(entry !== undefined, `entry ${lsn}`);
  }
  await reader.close();
}

/** Runs `check` on a fresh directory that holds each of many mutated logs. */
async function eachMutant(
  t: TestContext,
  numRuns: number,
  check: (original: Original, directory: string, choice: number) => Promise<void>,
): Promise<void> {
  const originals = [...(await writtenLogs(t)), await walgoLog()];
  const parent = temporaryDirectory(t);
  let runs = 0;
  const property = fc.asyncProperty(
    fc.constantFrom(...originals.keys(), 0, 1),
    mutations,
    fc.nat(1000),
    async (which, all, choice) => {
      const original = originals[which] ?? assert.fail();
      const directory = join(parent, `run-${runs++}`);
      mkdirSync(directory);
      for (const [name, bytes] of mutate(original.image, all)) writeFileSync(join(directory, name), bytes);
      await check(original, directory, choice);
      rmSync(directory, { recursive: true });
    },
  );
  await fc.assert(property, { seed: SEED, numRuns });
}

test(`whoever only reads a mutated log gets an answer or a WalError, and changes nothing (seed ${SEED})`, {
  timeout: READ_RUNS * RUN_MS_MAX,
}, async (t) => {
  // A forged size claims up to two gigabytes; what all these files hold is less than one megabyte.
  const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
  const asked = () => allocate.mock.calls.map(({ arguments: [bytes] }) => bytes);
  let residentKibibytes = 0;
  let runs = 0;
  await eachMutant(t, READ_RUNS, async (original, directory) => {
    const before = snapshot(directory);
    await readAll(original, directory);
    assert.deepEqual(snapshot(directory), before);
    assert.ok(Math.max(0, ...asked()) <= 2 ** 20, `${Math.max(...asked())} bytes asked for`);
    allocate.mock.resetCalls();
    // After the first runs the pool has its threads. Of what they allocate the pages that they touch are seen.
    if (++runs === 5) residentKibibytes = process.resourceUsage().maxRSS;
  });
  const grownBytes = (process.resourceUsage().maxRSS - residentKibibytes) * 1024;
  assert.ok(grownBytes < 2 ** 29, `${grownBytes} bytes more in use than at first`);
});

test(`a mutated log opens, or is repaired and then opens, or refuses with a WalError (seed ${SEED})`, {
  timeout: CHANGE_RUNS * RUN_MS_MAX,
}, async (t) => {
  await eachMutant(t, CHANGE_RUNS, async (original, directory, choice) => {
    const recovery = (['strict', 'point-in-time', 'skip-corrupt'] as const)[choice % 3] ?? 'strict';
    if (choice % 2 === 0) {
      const mode = choice % 4 === 0 ? 'truncate' : 'salvage';
      const report = await survive(() => Wal.repair(directory, { mode }));
      if (report !== undefined) {
        const { verdict } = await Wal.verify(directory);
        assert.ok(verdict === 'clean' || verdict === 'torn', `${verdict} after a repair`);
        const again = await Wal.repair(directory, { mode });
        assert.deepEqual([again.sideFiles, again.lastLsn], [[], report.lastLsn]);
      }
    }
    const before = snapshot(directory);
    const wal = await survive(() => Wal.open(directory, { recovery, ringSize: SMALL_RING, readOnly: false }));
    if (wal === undefined) {
      assert.deepEqual(snapshot(directory), before, 'a refused log was changed');
      return;
    }
    try {
      const found = await survey(original, wal.entries());
      const lsn = await wal.append('new', { durable: true });
      assert.ok(lsn > (found.at(-1) ?? 0));
      assert.equal((await wal.get(lsn))?.lsn, lsn);
    } finally {
      await wal.close();
    }
    assert.notEqual((await Wal.verify(directory)).verdict, 'unsupported');
  });
});
