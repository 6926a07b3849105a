import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory } from '../cleanup.js';
import { startExample } from './example.js';

// By URL, since they have no types.
const load = (name: string) =>
  import(new URL(`../../examples/key-value-store/${name}`, import.meta.url).href);
const { KeyValueStore } = await load('store.mjs');
const { killUnderLoad } = await load('kill.mjs');
const { prove, stepsIn } = await load('prove.mjs');
const { stepOf, WRITERS } = await load('steps.mjs');

const NOTHING: readonly number[] = new Array(WRITERS).fill(0);

describe('a store that is killed', { concurrency: 3 }, () => {
  test('the demo kills the store under load, proves that nothing was lost, and leaves nothing behind', async (t) => {
    const directory = temporaryDirectory(t);
    const demo = startExample(t, 'key-value-store.mjs', ['1'], { TMPDIR: directory });
    const { code, output, errors } = await demo.ended;
    assert.deepEqual({ code, errors }, { code: 0, errors: '' }, output);
    assert.equal(output.match(/keys, each as its writer has left it/g)?.length, 1, output);
    assert.match(output, /Proven: of [\d,]+ steps? none that was acknowledged was lost/);
    assert.deepEqual(readdirSync(directory), []);
  });

  test('the demo works on the store that it left, and says how it is called', async (t) => {
    const directory = join(temporaryDirectory(t), 'store');
    assert.equal((await startExample(t, 'key-value-store.mjs', ['1', directory]).ended).code, 0);
    const before: readonly number[] = await withStore(directory, stepsIn);
    assert.equal((await startExample(t, 'key-value-store.mjs', ['1', directory]).ended).code, 0);
    const after: readonly number[] = await withStore(directory, stepsIn);
    assert.ok(after.every((step, writer) => step >= (before[writer] as number)));
    const { code, errors } = await startExample(t, 'key-value-store.mjs', ['often']).ended;
    assert.equal(code, 2);
    assert.match(errors, /Usage: /);
  });

  test('each acknowledged put is there after every one of a series of kills under load', async (t) => {
    const directory = join(temporaryDirectory(t), 'store');
    let acknowledged = NOTHING;
    for (let round = 1; round <= 3; round++) {
      const { acknowledged: now } = await killUnderLoad(directory, acknowledged);
      assert.ok(now.some((step: number, writer: number) => step > (acknowledged[writer] as number)));
      acknowledged = await withStore(directory, (store) => {
        prove(store, now);
        return stepsIn(store);
      });
    }
  });
});

test('a store under load for long stays as small as its content', async (t) => {
  const directory = temporaryDirectory(t);
  const snapshotBytes = 64 * 1024;
  const store = await KeyValueStore.open(directory, { snapshotBytes, onError: assert.fail });
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      for (let step = 1; step <= 400; step++) await store.putMany(stepOf(writer, step));
    }),
  );
  await store.close();
  const { snapshotLsn, replayed } = await withStore(directory, (again) => {
    prove(again, new Array(WRITERS).fill(400));
    return again.opened;
  });
  assert.equal(snapshotLsn + replayed, WRITERS * 400 * 3);
  assert.ok(snapshotLsn > 0);
  assert.equal(namesIn(directory, /^ringwal\.snapshot-\d+$/).length, 2);
  const logBytes = namesIn(directory, /^wal-/).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
  // What came during a snapshot, and the segments that are not over, come on top.
  const written = WRITERS * 400 * 200;
  assert.ok(logBytes < written / 2, `${logBytes} bytes of log`);
});

test('what a value is, it is also after opening again', async (t) => {
  const directory = temporaryDirectory(t);
  const store = (await KeyValueStore.open(directory)) as Store;
  await store.put('a', { nested: [1, null, 'text'] });
  await store.put('at', new Date(0));
  await store.put('gone', 1);
  await store.delete('gone');
  await store.putMany([{ key: 'x', value: 1 }, { key: 'y', value: 2 }, { key: 'a' }]);
  const content = new Map(store.entries());
  assert.deepEqual(
    content,
    new Map<string, unknown>([
      ['at', '1970-01-01T00:00:00.000Z'],
      ['x', 1],
      ['y', 2],
    ]),
  );
  await store.close();
  assert.deepEqual(await withStore(directory, (again) => new Map(again.entries())), content);
});

test('of a putMany of which a crash has left a part nothing is there', async (t) => {
  const directory = temporaryDirectory(t);
  const segment = join(directory, 'wal-0');
  const state = join(directory, 'ringwal.state');
  const store = (await KeyValueStore.open(directory)) as Store;
  await store.put('before', 1);
  await store.close();
  const bytesBefore = statSync(segment).size;
  const stateBefore = readFileSync(state);
  const second = (await KeyValueStore.open(directory)) as Store;
  await second.putMany([
    { key: 'before', value: 2 },
    { key: 'beside', value: 2 },
  ]);
  await second.close();
  const bytes = readFileSync(segment);
  // As after a power cut during the sync, at any byte: of that nobody has heard, so the state file is the one before.
  for (const end of [bytesBefore + 1, bytes.length - 30, bytes.length - 1]) {
    writeFileSync(segment, bytes.subarray(0, end));
    writeFileSync(state, stateBefore);
    assert.deepEqual(
      await withStore(directory, (torn) => [...torn.entries()]),
      [['before', 1]],
      `${end} bytes`,
    );
  }
});

test('whatever a crash leaves of a snapshot, and if one is damaged, the store opens with all that it had', async (t) => {
  const directory = temporaryDirectory(t);
  const store = (await KeyValueStore.open(directory, {
    snapshotBytes: 16 * 1024,
    onError: assert.fail,
  })) as Store;
  for (let n = 1; n <= 200; n++) await store.put(`key ${n % 50}`, `${n} `.padEnd(500, '.'));
  const content = new Map(store.entries());
  await store.close();
  const names = namesIn(directory, /^ringwal\.snapshot-\d+$/);
  assert.equal(names.length, 2);
  const newest = join(
    directory,
    `ringwal.snapshot-${Math.max(...names.map((name) => Number(name.slice(17))))}`,
  );
  // One that is not finished; one of which a bit has flipped.
  writeFileSync(`${newest}.aside`, 'rwsnapsh');
  const bytes = readFileSync(newest);
  bytes.writeUInt8(bytes.readUInt8(2000) ^ 1, 2000);
  writeFileSync(newest, bytes);
  const found = await withStore(directory, (again) => ({
    ...again.opened,
    content: new Map(again.entries()),
  }));
  assert.deepEqual(found.content, content);
  assert.equal(found.snapshotLsn + found.replayed, 200);
  assert.deepEqual(namesIn(directory, /\.aside$/), []);
});

test('the proof notices a step that is lost, in part, or not the one that was begun', async () => {
  const contentOf = (steps: number) => {
    const content = new Map<string, unknown>();
    for (let step = 1; step <= steps; step++) {
      for (const { key, value } of stepOf(0, step))
        value === undefined ? content.delete(key) : content.set(key, value);
    }
    return content;
  };
  const acknowledged = (steps: number) => [steps, ...NOTHING.slice(1)];
  const whole = contentOf(10);
  prove(whole, acknowledged(10));
  prove(whole, acknowledged(9));
  assert.throws(() => prove(whole, acknowledged(11)), /had step 11 acknowledged, and 10 is there/);
  assert.throws(() => prove(whole, acknowledged(8)), /had step 8 acknowledged, yet 10 is there/);
  const [set] = stepOf(0, 10).slice(1);
  const [, , removed] = stepOf(0, 10);
  assert.throws(
    () => prove(new Map([...whole].filter(([key]) => key !== set.key)), acknowledged(10)),
    /instead of/,
  );
  assert.throws(() => prove(new Map([...whole, [removed.key, 'x']]), acknowledged(10)), /was removed/);
});

interface Store {
  opened: { snapshotLsn: number; replayed: number };
  size: number;
  put(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
  putMany(changes: readonly { key: string; value?: unknown }[]): Promise<void>;
  entries(): IterableIterator<[string, unknown]>;
  close(): Promise<void>;
}

async function withStore<T>(directory: string, use: (store: Store) => T): Promise<T> {
  const store = await KeyValueStore.open(directory);
  try {
    return use(store);
  } finally {
    await store.close();
  }
}

function namesIn(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory).filter((name) => pattern.test(name));
}
