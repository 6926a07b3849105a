import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CheckpointOptions, Wal } from '#ringwal';
import { SEED } from '../../seed.js';
import {
  Child,
  freshLog,
  openLog,
  randomSource,
  segmentNames,
  temporaryLog,
  text,
  until,
  walError,
} from '../support.js';

const SMALL = { maxFileSize: 4096 } as const;

async function appendAll(wal: Wal, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await wal.append(new Uint8Array(1200));
}

/** name -> [lsn, data] */
function placesOf({
  checkpoints,
}: {
  readonly checkpoints: Wal['checkpoints'];
}): Record<string, [number, string]> {
  return Object.fromEntries([...checkpoints].map(([name, { lsn, data }]) => [name, [lsn, text(data)]]));
}

test('a named checkpoint is there with its data, at once, after reopening and for a reader; the unnamed one stays beside it', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await appendAll(wal, 6);
  await wal.checkpoint(2);
  await wal.checkpoint(5, { name: 'mailer', data: 'sent 17' });
  await wal.checkpoint(0, { name: 'Überblick', data: Buffer.from([0, 255]) });
  const expected = { mailer: [5, 'sent 17'], Überblick: [0, text(Buffer.from([0, 255]))] };
  assert.deepEqual(placesOf(wal), expected);
  assert.deepEqual([...wal.checkpoints.keys()], ['mailer', 'Überblick'], 'sorted');
  assert.equal(wal.checkpointLsn, 2);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual(placesOf(reader), expected);
  await wal.checkpoint(6, { name: 'mailer' });
  assert.deepEqual(
    placesOf(reader).mailer,
    [6, ''],
    'a reader sees the newest ones; data are not kept from before',
  );
  await reader.close();
  await wal.close();
  const again = await openLog(t, directory);
  assert.deepEqual(placesOf(again), { ...expected, mailer: [6, ''] });
  assert.equal(again.checkpointLsn, 2);
});

test('a named checkpoint may go back', async (t) => {
  const wal = await freshLog(t);
  await appendAll(wal, 3);
  await wal.checkpoint(3, { name: 'mailer' });
  await wal.checkpoint(1, { name: 'mailer' });
  assert.equal(wal.checkpoints.get('mailer')?.lsn, 1);
});

test('what a caller does to the data before or after, or to the map, changes nothing', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x');
  const mine = Buffer.from('mine');
  const recorded = wal.checkpoint(1, { name: 'mailer', data: mine });
  mine.fill(0);
  await recorded;
  wal.checkpoints.get('mailer')?.data.fill(0);
  (wal.checkpoints as Map<string, unknown>).clear();
  assert.deepEqual(placesOf(wal), { mailer: [1, 'mine'] });
  await wal.close();
});

test('removeCheckpoint says whether there was one', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await wal.append('x');
  await wal.checkpoint(1, { name: 'mailer', data: 'x' });
  assert.equal(await wal.removeCheckpoint('nobody'), false);
  assert.equal(await wal.removeCheckpoint('mailer'), true);
  assert.equal(await wal.removeCheckpoint('mailer'), false);
  await wal.close();
  assert.deepEqual(placesOf(await openLog(t, directory)), {});
});

test('a checkpoint that is not well formed is refused, and nothing of it is taken', async (t) => {
  const wal = await freshLog(t);
  await wal.append('x');
  const wrong: [number, unknown, RegExp][] = [
    [1, { name: '' }, /name must be 1 to 255 bytes of UTF-8, not 0/],
    [1, { name: 'é'.repeat(128) }, /name must be 1 to 255 bytes of UTF-8, not 256/],
    [1, { name: 'half \ud83d' }, /half a surrogate pair/],
    [1, { name: 7 }, /name must be text/],
    [1, { name: null }, /name must be text/],
    [1, { data: 'x' }, /give it a name/],
    [1, { name: 'a', data: new Uint8Array(4097) }, /data must be at most 4096 bytes, not 4097/],
    [1, { name: 'a', data: 'é'.repeat(2049) }, /data must be at most 4096 bytes, not 4098/],
    [1, { name: 'a', data: [1, 2] }, /data must be a Uint8Array or text/],
    [1, { nam: 'a' }, /Unknown option "nam"/],
    [1, 'mailer', /options must be an object/],
    [-1, { name: 'a' }, /lsn must be/],
    [1.5, { name: 'a' }, /lsn must be/],
    [2, { name: 'a' }, /the log holds entries 1 to 1/],
  ];
  for (const [lsn, options, message] of wrong) {
    await assert.rejects(
      wal.checkpoint(lsn, options as CheckpointOptions),
      walError('ERR_WAL_OPTION', { message }),
    );
  }
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  await assert.rejects(wal.checkpoint(1, { name: 'a', data: detached }), walError('ERR_WAL_OPTION'));
  for (const name of ['', 'x'.repeat(256), 7, undefined])
    await assert.rejects(wal.removeCheckpoint(name as string), walError('ERR_WAL_OPTION'));
  assert.equal(wal.checkpoints.size, 0);
  await wal.checkpoint(1, { name: 'x'.repeat(255), data: new Uint8Array(4096) });
  await wal.close();
  await assert.rejects(wal.checkpoint(1, { name: 'a' }), walError('ERR_WAL_CLOSED'));
  await assert.rejects(wal.removeCheckpoint('a'), walError('ERR_WAL_CLOSED'));
});

test('256 named checkpoints with 4,096 bytes each are kept, one more is refused, and its refusal refuses no other', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await wal.append('x');
  const nameOf = (at: number) => `${at}`.padEnd(255, '-');
  const data = (at: number) => new Uint8Array(4096).fill(at);
  await Promise.all(
    Array.from({ length: 255 }, (_, at) => wal.checkpoint(1, { name: nameOf(at), data: data(at) })),
  );
  const outcomes = await Promise.allSettled([
    wal.checkpoint(1, { name: nameOf(255), data: data(255) }),
    wal.checkpoint(1, { name: 'one more' }),
    wal.checkpoint(0, { name: nameOf(3), data: data(3) }),
  ]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  walError('ERR_WAL_FULL', { message: /256 named checkpoints/ })(
    (outcomes[1] as PromiseRejectedResult).reason,
  );
  await wal.removeCheckpoint(nameOf(7));
  await wal.checkpoint(1, { name: 'one more' });
  await wal.close();
  const again = await openLog(t, directory);
  assert.equal(again.checkpoints.size, 256);
  for (const [name, checkpoint] of again.checkpoints) {
    const at = Number.parseInt(name, 10);
    if (name !== 'one more') assert.deepEqual(Buffer.from(checkpoint.data), Buffer.from(data(at)));
  }
});

test('calls in flight at the same time share a write of the state file', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  await appendAll(wal, 100);
  await wal.sync();
  const seen = new Set<string>();
  const look = () => seen.add(readFileSync(join(directory, 'ringwal.state')).toString('base64'));
  const calls = Array.from({ length: 100 }, (_, at) =>
    wal.checkpoint(at + 1, { name: `consumer ${at % 10}`, data: `${at}` }).then(look),
  );
  await Promise.all(calls);
  assert.ok(seen.size <= 2, `${seen.size} states were written`);
  assert.deepEqual(placesOf(wal)['consumer 9'], [100, '99']);
});

test('checkpoints and other commands are carried out in the order of the calls', async (t) => {
  const wal = await freshLog(t);
  await appendAll(wal, 9);
  const calls = [
    wal.checkpoint(9, { name: 'a', data: '1' }),
    wal.checkpoint(8, { name: 'b', data: '2' }),
    wal.truncateAfter(5),
    wal.checkpoint(4, { name: 'c', data: '3' }),
  ];
  await Promise.all(calls);
  assert.deepEqual(placesOf(wal), { a: [5, '1'], b: [5, '2'], c: [4, '3'] });
  const last = wal.checkpoint(3, { name: 'a', data: '4' });
  const waiting = wal.checkpoint(2, { name: 'b', data: '5' });
  await wal.close();
  await Promise.all([last, waiting]);
});

test("with retainFrom: 'checkpoint' the lowest of all checkpoints holds, until it moves or is removed", async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, { ...SMALL, maxFiles: 2, retainFrom: 'checkpoint' });
  await appendAll(wal, 15);
  await wal.checkpoint(7, { name: 'mailer' });
  await wal.checkpoint(13, { name: 'index' });
  await appendAll(wal, 3);
  await until(() => wal.firstLsn >= 7);
  assert.equal(
    wal.firstLsn,
    7,
    'three entries in a segment; the unnamed checkpoint was never set and does not count',
  );
  assert.deepEqual(
    wal.stats().checkpoints.map(({ name, lsn, lag }) => [name, lsn, lag]),
    [
      ['mailer', 7, 11],
      ['index', 13, 5],
    ],
  );
  await wal.removeCheckpoint('mailer');
  await until(() => wal.firstLsn >= 13);
  await appendAll(wal, 3);
  await wal.close();
  const again = await openLog(t, directory, { ...SMALL, maxFiles: 2, retainFrom: 'checkpoint' });
  assert.equal(again.firstLsn, 13);
  await again.checkpoint(1);
  await again.checkpoint(21, { name: 'index' });
  await appendAll(again, 6);
  await again.sync();
  assert.equal(again.firstLsn, 13, 'the unnamed one holds, since it was set');
  assert.equal(again.stats().checkpoints[0]?.name, '');
});

test('a state file that is lost loses the checkpoints, and retention then keeps everything', async (t) => {
  const directory = temporaryLog(t);
  const options = { ...SMALL, maxFiles: 2, retainFrom: 'checkpoint' } as const;
  const wal = await openLog(t, directory, options);
  await appendAll(wal, 9);
  await wal.checkpoint(3, { name: 'mailer', data: 'x' });
  await wal.close();
  const path = join(directory, 'ringwal.state');
  const bytes = readFileSync(path);
  bytes[bytes.length - 9] ^= 1;
  writeFileSync(path, bytes);
  const reader = await Wal.open(directory, { readOnly: true });
  assert.deepEqual(placesOf(reader), {});
  await reader.close();
  rmSync(path);
  const kept = segmentNames(directory);
  const again = await openLog(t, directory, options);
  assert.deepEqual(placesOf(again), {});
  await appendAll(again, 6);
  await again.sync();
  assert.ok(kept.every((name) => segmentNames(directory).includes(name)));
});

/** A consumer that keeps its own sum beside its place: after each kill one must explain the other. */
const CONSUMER = `
  import { Wal } from '#ringwal';
  import { writeSync } from 'node:fs';
  const [directory] = process.argv.slice(1);
  const wal = await Wal.open(directory, { maxFileSize: 4096, maxFiles: 3, retainFrom: 'checkpoint' });
  const place = (name) => {
    const { lsn, data } = wal.checkpoints.get(name) ?? { lsn: 0, data: Buffer.from('0') };
    return { lsn, sum: Number(Buffer.from(data).toString()) };
  };
  const consume = async (name) => {
    let { lsn, sum } = place(name);
    for await (const entry of wal.follow({ from: Math.max(lsn + 1, wal.firstLsn) })) {
      sum += Number(Buffer.from(entry.data).toString().trim());
      lsn = entry.lsn;
      await wal.checkpoint(lsn, { name, data: String(sum) });
      writeSync(1, name + ' ' + lsn + '\\n');
    }
  };
  if (wal.lastLsn === 0) for (const name of ['a', 'b']) await wal.checkpoint(0, { name, data: '0' });
  console.log('open');
  for (const name of ['a', 'b']) void consume(name);
  for (let lsn = wal.lastLsn + 1; ; lsn++) {
    await wal.append(String(lsn).padEnd(300), { durable: true });
  }
`;

test(`a killed consumer finds the state that belongs to its place, and none before one that it was told of (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const directory = temporaryLog(t);
  const rounds = Number(process.env.RINGWAL_ROUNDS ?? 5);
  for (let round = 0; round < rounds; round++) {
    const child = new Child(t, CONSUMER, [directory]);
    await child.says('open');
    await new Promise((resolve) => setTimeout(resolve, 20 + random(150)));
    child.process.kill('SIGKILL');
    const { stdout } = await child.ended;
    const wal = await Wal.open(directory);
    for (const name of ['a', 'b']) {
      const { lsn, data } = wal.checkpoints.get(name) ?? assert.fail(`${name} is gone`);
      assert.equal(Number(text(data)), (lsn * (lsn + 1)) / 2, `${name} at ${lsn}`);
      const told = [...stdout.matchAll(new RegExp(`^${name} (\\d+)$`, 'gm'))].map(([, at]) => Number(at));
      assert.ok(lsn >= Math.max(0, ...told), `${name} was told of ${Math.max(0, ...told)} and finds ${lsn}`);
      assert.ok(lsn + 1 >= wal.firstLsn, 'its next entry is there');
    }
    await wal.close();
  }
});
