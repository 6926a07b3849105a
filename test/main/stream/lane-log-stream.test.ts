/** Log streams on the lane of another thread than the one that opened the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wal } from '#ringwal';
import { Producer } from '../append/producers.js';
import { Faults, freshLog, range, SMALL_RING, texts, turn, until } from '../support.js';

type Test = Parameters<typeof freshLog>[0];

/** What is in the log once everything is. */
async function written(wal: Wal): Promise<string[]> {
  await wal.sync();
  return texts(wal.entries());
}

/** Waits until the writer has dealt with the end of a lane's thread. */
function laneIsGone(wal: Wal): Promise<void> {
  return until(() => wal.stats().lanes.gone === 1);
}

const LINE_LENGTH = 999;

/** In a thread: a stream, and its ring filled by a writer that is held. Answers the lines that were taken. */
const FILL = `
  const stream = lane.createLogStream({ onFull: data.onFull });
  let taken = 0;
  while (stream.write(String(taken + 1).padEnd(${LINE_LENGTH}) + '\\n')) taken += 1;
`;

/** A log whose writer is held, and a thread with a stream on it. */
async function heldThread(t: Test, onFull: 'wait' | 'drop', code: string, options = {}) {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl, ...options });
  const attachment = wal.attachment();
  await until(() => wal.stats().lanes.open === 2);
  faults.give('hold-write');
  wal.tryAppend('held');
  await until(() => faults.isMet('hold-write'));
  return { wal, faults, producer: new Producer(t, attachment, FILL + code, { onFull }) };
}

// ── Threads that end ────────────────────────────────────────────────────────────────────────────────────────────

const COUNT = 2000;
const LOG_ALL = `
  const { pino } = require('pino');
  const logger = pino({ base: null, timestamp: false }, lane.createLogStream());
  const logAll = () => { for (let i = 1; i <= ${COUNT}; i++) logger.info('line ' + i); };
`;
const ALL = range(1, COUNT).map((i) => `{"level":30,"msg":"line ${i}"}`);

for (const [how, code, isError] of [
  ['closes its lane', 'logAll(); await lane.close();', false],
  ['ends by itself', 'logAll();', false],
  ['calls process.exit()', 'logAll(); process.exit(0);', false],
  ['throws', "setImmediate(() => { logAll(); throw new Error('as intended'); });", true],
] as const) {
  test(`pino in a thread that ${how} loses no line`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    const producer = new Producer(t, wal.attachment(), LOG_ALL + code);
    await producer.exited;
    assert.equal(producer.error !== undefined, isError, String(producer.error));
    await until(() => wal.stats().lanes.open === 1);
    assert.deepEqual(await written(wal), ALL);
  });
}

test("pino's flush() in a thread waits until its lines are durable, while the opening thread is blocked", async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, syncInterval: 60_000 });
  const word = new Int32Array(new SharedArrayBuffer(4));
  const producer = new Producer(
    t,
    wal.attachment(),
    `${LOG_ALL}
      logAll();
      logger.flush((error) => {
        Atomics.store(data.word, 0, error ? 2 : 1);
        Atomics.notify(data.word, 0);
      });
      await lane.sync();`,
    { word },
  );
  while (Atomics.load(word, 0) === 0) Atomics.wait(word, 0, 0, 1000);
  assert.equal(word[0], 1);
  assert.equal(wal.durableLsn, COUNT);
  await producer.ends();
});

for (const [how, code] of [
  ['ends by itself', ''],
  ['calls process.exit()', 'process.exit(0);'],
] as const) {
  test(`a line without a newline is in the log when its thread ${how}`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    const producer = new Producer(
      t,
      wal.attachment(),
      `lane.createLogStream().write('whole\\nno newline'); ${code}`,
    );
    await producer.ends();
    await laneIsGone(wal);
    assert.deepEqual(await written(wal), ['whole', 'no newline']);
  });
}

test('a thread that is terminated leaves every whole line that it had written, also those queued before a full ring', async (t) => {
  const { wal, faults, producer } = await heldThread(
    t,
    'wait',
    `
      for (let more = 0; more < 50; more++) stream.write('queued ' + more + '\\n');
      stream.write('half a line');
      say({ taken, pending: lane.stats().pendingBytes });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`,
  );
  const { taken, pending } = (await producer.says()) as { taken: number; pending: number };
  assert.ok(pending > LINE_LENGTH);
  await producer.worker.terminate();
  faults.recall('hold-write');
  await laneIsGone(wal);
  const lines = await written(wal);
  // The line that met the full ring was queued like those behind it.
  assert.deepEqual(lines.slice(1, taken + 2).map(Number), range(1, taken + 1));
  assert.deepEqual(
    lines.slice(taken + 2),
    range(0, 49).map((more) => `queued ${more}`),
  );
});

// ── A full ring ─────────────────────────────────────────────────────────────────────────────────────────────────

test("onFull 'wait' in a thread: write() answers false, takes the line, and 'drain' follows", async (t) => {
  const { wal, faults, producer } = await heldThread(
    t,
    'wait',
    `
      say('full');
      await once(stream, 'drain');
      say({ taken, isClear: stream.write('after\\n'), dropped: stream.dropped });
      stream.end();
      await once(stream, 'finish');
      await lane.close();`,
  );
  assert.equal(await producer.says(), 'full');
  faults.recall('hold-write');
  const { taken, isClear, dropped } = (await producer.says()) as {
    taken: number;
    isClear: boolean;
    dropped: number;
  };
  assert.deepEqual([isClear, dropped], [true, 0]);
  await producer.ends();
  const lines = await written(wal);
  assert.deepEqual(lines.slice(1, -1).map(Number), range(1, taken + 1));
  assert.equal(lines.at(-1), 'after');
});

test("onFull 'wait' in a thread: beyond maxPending write() blocks that thread alone, and no line is lost", async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxPending: 100_000 });
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const stream = lane.createLogStream();
      let most = 0;
      for (let i = 1; i <= 3000; i++) {
        stream.write(String(i).padEnd(${LINE_LENGTH}) + '\\n');
        most = Math.max(most, lane.stats().pendingBytes);
      }
      say(most);
      await lane.close();`,
  );
  assert.ok((await wal.append('opener', { durable: true })) > 0);
  const most = (await producer.says()) as number;
  assert.ok(most <= 100_000, `${most} bytes`);
  await producer.ends();
  const lines = (await written(wal)).filter((line) => line !== 'opener');
  assert.deepEqual(lines.map(Number), range(1, 3000));
});

test("onFull 'drop' in a thread: lines that find no room are counted, and reported in their place", async (t) => {
  const { wal, faults, producer } = await heldThread(
    t,
    'drop',
    `
      for (let more = 0; more < 9; more++) stream.write('dropped\\n');
      say(stream.dropped);
      await once(stream, 'drain');
      stream.write('after\\n');
      say(taken);
      await lane.close();`,
  );
  assert.equal(await producer.says(), 10);
  faults.recall('hold-write');
  const taken = (await producer.says()) as number;
  await producer.ends();
  const [report, after] = (await written(wal)).slice(1 + taken);
  assert.deepEqual([JSON.parse(report as string).dropped, after], [10, 'after']);
});

for (const [how, code] of [
  ['ends by itself', ''],
  ['calls process.exit()', 'process.exit(0);'],
] as const) {
  test(`onFull 'drop': what a thread had dropped is reported though it ${how} while the ring is full`, async (t) => {
    const { wal, faults, producer } = await heldThread(t, 'drop', `say(taken); ${code}`);
    const taken = (await producer.says()) as number;
    faults.recall('hold-write');
    await producer.ends();
    await laneIsGone(wal);
    const lines = await written(wal);
    assert.equal(lines.length, 1 + taken + 1);
    assert.equal(JSON.parse(lines.at(-1) as string).dropped, 1);
  });
}

// ── A lane that ends ────────────────────────────────────────────────────────────────────────────────────────────

test('writing to a lane that was closed ends the stream with one ERR_WAL_CLOSED, and the log goes on', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const producer = new Producer(
    t,
    wal.attachment(),
    `
      const [stream, ended] = [lane.createLogStream(), lane.createLogStream()];
      stream.write('kept\\n');
      ended.write('kept too');
      ended.end();
      await once(ended, 'close');
      await lane.close();
      const errors = [];
      stream.on('error', (error) => errors.push(error.code));
      for (let i = 0; i < 3; i++) stream.write('late\\n');
      await new Promise((resolve) => stream.once('close', resolve));
      say({ errors, dropped: stream.dropped });`,
  );
  assert.deepEqual(await producer.says(), { errors: ['ERR_WAL_CLOSED'], dropped: 3 });
  await producer.ends();
  assert.deepEqual(await written(wal), ['kept', 'kept too']);
});

test('closing the log ends a stream of another thread that waits for room, and keeps what it had taken', async (t) => {
  const { wal, faults, producer } = await heldThread(
    t,
    'wait',
    `
      const failed = new Promise((resolve) => stream.once('error', resolve));
      stream.once('drain', () => {
        // Room came before word of the close: the next line meets it.
        const next = setInterval(() => stream.write('late\\n') || clearInterval(next), 1);
      });
      say('full');
      say({ taken, code: (await failed).code, dropped: stream.dropped, accepted: lane.stats().accepted });
      await lane.close();`,
  );
  assert.equal(await producer.says(), 'full');
  const directory = wal.directory;
  const closed = wal.close();
  await turn();
  faults.recall('hold-write');
  await closed;
  const { taken, code } = (await producer.says()) as { taken: number; code: string };
  assert.equal(code, 'ERR_WAL_CLOSED');
  await producer.ends();
  const { Wal } = await import('#ringwal');
  const reader = await Wal.open(directory, { readOnly: true });
  const lines = (await texts(reader.entries())).filter((line) => line !== 'late');
  await reader.close();
  assert.deepEqual(lines.slice(1).map(Number), range(1, taken + 1));
});

test("the threads of a log die: a stream of another thread ends with 'error', also while its write() blocks", async (t) => {
  const { faults, producer } = await heldThread(
    t,
    'wait',
    `
      stream.on('error', (error) => say(error.code));
      say('full');
      while (!stream.destroyed) stream.write('x'.repeat(${LINE_LENGTH}) + '\\n');`,
    { maxPending: 100_000, onError() {} },
  );
  assert.equal(await producer.says(), 'full');
  faults.give('die-at-write');
  faults.recall('hold-write');
  assert.equal(await producer.says(), 'ERR_WAL_WORKER_DIED');
  await producer.exited;
});
