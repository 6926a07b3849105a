import assert from 'node:assert/strict';
import { Console } from 'node:console';
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import pino from 'pino';
import type { Wal, WalError } from '#ringwal';
import { SEED } from '../../seed.js';
import {
  Child,
  Faults,
  freshLog,
  left,
  openLog,
  randomSource,
  range,
  runChild,
  SMALL_RING,
  temporaryLog,
  texts,
  turn,
  walError,
} from '../support.js';

/** What is in the log once everything is. */
async function written(wal: Wal): Promise<string[]> {
  await wal.sync();
  return texts(wal.entries());
}

// ── Lines ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('each line becomes an entry, without its newline', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  assert.ok(stream instanceof Writable);
  assert.equal(stream.write('one\n'), true);
  stream.write('two\nthree\n\nfive\r\n');
  stream.write(Buffer.from('six\nsev'));
  stream.write('');
  stream.write(new Uint8Array(Buffer.from('en\n')));
  stream.write('last, without a newline');
  assert.deepEqual(await written(wal), ['one', 'two', 'three', '', 'five\r', 'six', 'seven']);
  stream.end();
  await once(stream, 'close');
  assert.equal((await written(wal)).at(-1), 'last, without a newline');
  assert.equal(stream.dropped, 0);
});

test(`lines come whole, however they are cut into strings and bytes (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const alphabet = ['a', 'é', '€', '😀', '\n', 'long '.repeat(20)];
  let whole = '';
  for (let i = 0; i < 3000; i++) whole += alphabet[random(alphabet.length)];
  for (let at = 0; at < whole.length; ) {
    // Any number of UTF-16 units: strings may be cut in the middle of a character only where a string follows.
    const cut = whole.slice(at, at + 1 + random(40));
    at += cut.length;
    const isSplit = /[\ud800-\udbff]$/.test(cut);
    if (isSplit) {
      stream.write(cut);
      stream.write(whole.slice(at, at + 1));
      at += 1;
    } else if (random(2) === 0) {
      stream.write(cut);
    } else {
      const bytes = Buffer.from(cut);
      const middle = random(bytes.length + 1);
      const first = Buffer.from(bytes.subarray(0, middle));
      stream.write(first);
      // Taken by the time `write` returns.
      first.fill(0);
      stream.write(bytes.subarray(middle));
    }
  }
  stream.end();
  await once(stream, 'finish');
  const lines = whole.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const found = await texts(wal.entries());
  assert.equal(found.length, lines.length);
  for (const [at, line] of lines.entries()) assert.equal(found[at], line);
});

test('text in another encoding is stored as the bytes that it stands for', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  stream.write(Buffer.from('hex\n').toString('hex'), 'hex');
  stream.write(Buffer.from('base64\n').toString('base64'), 'base64');
  stream.setDefaultEncoding('hex');
  stream.write(Buffer.from('default\n').toString('hex'));
  stream.write('utf8\n', 'utf8');
  assert.deepEqual(await written(wal), ['hex', 'base64', 'default', 'utf8']);
  assert.throws(() => stream.write('x', 'nothing' as 'hex'), walError('ERR_WAL_OPTION'));
});

test('what is no text and no bytes is refused, object mode as well', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const chunks: unknown[] = [{ msg: 'x' }, null, undefined, 7, ['x']];
  for (const chunk of chunks) {
    assert.throws(
      () => stream.write(chunk as string),
      walError('ERR_WAL_OPTION', { message: /no object mode/ }),
    );
  }
  const refused: unknown[] = [{ objectMode: true }, { onFull: 'block' }, { highWaterMark: 1 }, null, 'drop'];
  for (const options of refused) {
    assert.throws(() => wal.createLogStream(options as object), walError('ERR_WAL_OPTION'));
  }
  stream.write('still fine\n');
  assert.deepEqual(await written(wal), ['still fine']);
});

test('objects that are piped in end the pipeline with ERR_WAL_OPTION', async (t) => {
  const wal = await freshLog(t);
  const objects: PassThrough = new PassThrough({ objectMode: true });
  const piped = pipeline(objects, wal.createLogStream());
  objects.write({ msg: 'x' });
  await assert.rejects(piped, walError('ERR_WAL_OPTION', { message: /no object mode/ }));
  await assert.rejects(
    pipeline(Readable.from([{ msg: 'x' }]), wal.createLogStream()),
    walError('ERR_WAL_OPTION'),
  );
});

test('callbacks of write() are called in order, of end() when everything is durable', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const said: string[] = [];
  stream.write('a\n', () => said.push('a'));
  stream.write('b\n', 'utf8', (error) => said.push(`b ${error}`));
  assert.equal(said.length, 0);
  await new Promise<void>((resolve) => {
    stream.end('c\n', () => {
      said.push(`end ${wal.durableLsn}`);
      resolve();
    });
  });
  assert.deepEqual(said, ['a', 'b null', 'end 3']);
  const error = await new Promise<unknown>((resolve) => {
    stream.on('error', () => {});
    stream.write('late\n', resolve);
  });
  assert.equal((error as { code: string }).code, 'ERR_STREAM_WRITE_AFTER_END');
  assert.deepEqual(await written(wal), ['a', 'b', 'c']);
});

// ── Who writes ──────────────────────────────────────────────────────────────────────────────────────────────────

test('pino takes it as it is, and its flush() waits until lines are durable', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const logger = pino({ base: null, timestamp: false }, stream);
  for (let i = 1; i <= 1000; i++) logger.info({ i }, 'hello');
  await new Promise<void>((resolve, reject) => {
    logger.flush((error) => (error == null ? resolve() : reject(error)));
  });
  assert.equal(wal.durableLsn, 1000);
  logger.fatal('flushes by itself');
  assert.equal(wal.durableLsn, 1001);
  logger.child({ name: 'child' }).warn('and a child');
  // What pino calls after a rotation by others.
  stream.reopen();
  stream.flushSync();
  const lines = (await written(wal)).map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.slice(0, 1000),
    range(1, 1000).map((i) => ({ level: 30, i, msg: 'hello' })),
  );
  assert.deepEqual(
    lines.slice(1000).map(({ msg }) => msg),
    ['flushes by itself', 'and a child'],
  );
});

test('a console writes to it, and multistream', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const console = new Console(stream, stream);
  console.log('one %d', 1);
  console.error(new Error('two').message);
  const logger = pino({ base: null, timestamp: false }, pino.multistream([{ stream, level: 'warn' }]));
  logger.info('not this');
  logger.error('three');
  const lines = await written(wal);
  assert.deepEqual(lines.slice(0, 2), ['one 1', 'two']);
  assert.deepEqual(JSON.parse(lines[2] as string), { level: 50, msg: 'three' });
});

test('pipeline() brings a source in whole through a ring that is smaller, with back-pressure', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxPending: 1 });
  const lines = range(1, 20_000).map((i) => `line ${i} ${'x'.repeat(i % 100)}`);
  const text = lines.map((line) => `${line}\n`).join('');
  const stream = wal.createLogStream();
  const pieces = function* () {
    for (let at = 0; at < text.length; at += 1013) yield Buffer.from(text.slice(at, at + 1013));
  };
  await pipeline(Readable.from(pieces()), stream);
  assert.equal(wal.durableLsn, lines.length);
  assert.deepEqual(await texts(wal.entries()), lines);
  const async = wal.createLogStream();
  await pipeline(async function* () {
    yield* pieces();
  }, async);
  assert.deepEqual(await texts(wal.entries({ from: lines.length + 1 })), lines);
});

test('a source that fails in the middle of a line leaves what had come of it', async (t) => {
  const wal = await freshLog(t);
  const source = async function* () {
    yield 'whole\nhal';
    throw new Error('mine');
  };
  await assert.rejects(pipeline(source, wal.createLogStream()), /mine/);
  assert.deepEqual(await written(wal), ['whole', 'hal']);
});

// ── A full ring ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A log with a small ring whose writer is held, so that the ring fills. */
async function heldLog(t: Parameters<typeof freshLog>[0], options = {}) {
  const faults = new Faults(t);
  const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl, ...options });
  faults.give('hold-write');
  wal.tryAppend('held');
  while (!faults.isMet('hold-write')) await turn();
  return { wal, faults };
}

const LINE = `${'x'.repeat(999)}\n`;

test("onFull 'wait': write() answers false when the ring is full, takes the line all the same, and 'drain' follows", async (t) => {
  const { wal, faults } = await heldLog(t);
  const stream = wal.createLogStream({ onFull: 'wait' });
  let count = 0;
  do count += 1;
  while (stream.write(LINE));
  assert.equal(stream.writableNeedDrain, true);
  // pino goes on.
  for (let more = 0; more < 100; more++, count++) assert.equal(stream.write(LINE), false);
  const { accepted, pendingBytes } = wal.stats();
  assert.deepEqual([accepted, stream.dropped], [count + 1, 0]);
  assert.ok(pendingBytes > 100_000);
  const drained = once(stream, 'drain');
  faults.recall('hold-write');
  await drained;
  assert.equal(stream.writableNeedDrain, false);
  assert.equal(stream.write('after\n'), true);
  const lines = await written(wal);
  assert.equal(lines.length, count + 2);
  assert.equal(lines.at(-1), 'after');
});

test("onFull 'wait': beyond maxPending write() blocks until the log has caught up, so that memory is bounded and no line is lost", async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxPending: 100_000 });
  const stream = wal.createLogStream();
  let mostPending = 0;
  for (let i = 1; i <= 5000; i++) {
    stream.write(`${String(i).padEnd(999)}\n`);
    mostPending = Math.max(mostPending, wal.stats().pendingBytes);
  }
  assert.ok(mostPending <= 100_000, `${mostPending} bytes`);
  assert.equal(stream.dropped, 0);
  assert.deepEqual((await written(wal)).map(Number), range(1, 5000));
});

test("onFull 'drop': lines that find no room are counted, told by 'drop', and reported in their place", async (t) => {
  const { wal, faults } = await heldLog(t);
  const stream = wal.createLogStream({ onFull: 'drop' });
  const told: unknown[] = [];
  stream.on('drop', (line) => told.push(line));
  let taken = 0;
  while (stream.write(LINE)) taken += 1;
  assert.equal(stream.dropped, 1);
  const isFull = await new Promise<Error | null | undefined>((resolve) => {
    stream.write('dropped as well\n', resolve);
  });
  walError('ERR_WAL_FULL')(isFull);
  stream.write(Buffer.from('and\nso on\n'));
  assert.equal(stream.dropped, 4);
  assert.deepEqual(told, [LINE.trim(), 'dropped as well', Buffer.from('and'), Buffer.from('so on')]);
  assert.equal(wal.stats().pendingBytes, 0);
  const drained = once(stream, 'drain');
  faults.recall('hold-write');
  await drained;
  stream.write('after\n');
  const lines = await written(wal);
  assert.equal(lines.length, 1 + taken + 2);
  const [report, after] = lines.slice(-2);
  assert.equal(after, 'after');
  const { time, ...rest } = JSON.parse(report as string);
  assert.deepEqual(rest, { level: 40, msg: 'ringwal dropped 4 lines here', dropped: 4 });
  assert.ok(Math.abs(Date.now() - time) < 3_600_000);
});

test("a listener for 'drop' that logs to the same stream loses its line like any other, and is not called for that", async (t) => {
  const { wal, faults } = await heldLog(t);
  const stream = wal.createLogStream({ onFull: 'drop' });
  let told = 0;
  stream.on('drop', () => {
    told += 1;
    stream.write('a line was dropped\n');
  });
  while (stream.write(LINE));
  stream.write(LINE);
  assert.deepEqual([told, stream.dropped], [2, 4]);
  const drained = once(stream, 'drain');
  faults.recall('hold-write');
  await drained;
  assert.equal(JSON.parse((await written(wal)).at(-1) as string).dropped, 4);
});

test("onFull 'drop': ending the stream reports what was dropped last", async (t) => {
  const { wal, faults } = await heldLog(t);
  const stream = wal.createLogStream({ onFull: 'drop' });
  while (stream.write(LINE));
  stream.end();
  await turn();
  faults.recall('hold-write');
  await once(stream, 'finish');
  assert.equal(JSON.parse((await texts(wal.entries())).at(-1) as string).dropped, 1);
  assert.equal(wal.durableLsn, wal.lastLsn);
});

test('a line longer than maxEntrySize is dropped and reported, with or without an end in sight', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxEntrySize: 50_000 });
  const stream = wal.createLogStream();
  stream.write('before\n');
  stream.write(`${'x'.repeat(50_001)}\n`);
  for (let i = 0; i < 100; i++) stream.write(i % 2 ? 'x'.repeat(1000) : Buffer.alloc(1000, 'x'));
  stream.write(`${'x'.repeat(50_000)}\n`);
  stream.write(`${'y'.repeat(50_000)}\nafter\n`);
  assert.equal(stream.dropped, 2);
  const lines = await written(wal);
  assert.deepEqual([lines[0], lines.at(-1)], ['before', 'after']);
  const reports = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).dropped);
  assert.equal(
    reports.reduce((sum, each) => sum + each, 0),
    2,
  );
  assert.equal(lines.find((line) => line.startsWith('y'))?.length, 50_000);
});

test('a line that is written while tryEncode encodes is dropped and reported, and the stream goes on', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  wal.tryEncode(10, (view) => {
    stream.write('from within\n');
    return view.write('encoded');
  });
  assert.deepEqual([stream.dropped, stream.destroyed], [1, false]);
  stream.write('after\n');
  const [encoded, report, after] = await written(wal);
  assert.deepEqual([encoded, after], ['encoded', 'after']);
  assert.equal(JSON.parse(report as string).dropped, 1);
});

// ── A log that ends ─────────────────────────────────────────────────────────────────────────────────────────────

test("writing to a log that was closed ends the stream with one 'error', ERR_WAL_CLOSED", async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const errors: unknown[] = [];
  stream.on('error', (error) => errors.push(error));
  stream.write('kept\n');
  await wal.close();
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  for (let i = 0; i < 100; i++) assert.equal(stream.write('late\n'), false);
  await closed;
  for (let i = 0; i < 100; i++) stream.write('later\n');
  await turn();
  assert.equal(errors.length, 1);
  walError('ERR_WAL_CLOSED')(errors[0]);
  assert.equal(stream.dropped, 200);
  walError('ERR_WAL_CLOSED')(await promisify(stream.flush.bind(stream))().catch((error: unknown) => error));
});

test('closing a log whose ring is full ends who waits for room, and nobody else', async (t) => {
  const { wal, faults } = await heldLog(t);
  const quiet = wal.createLogStream();
  let count = 0;
  do count += 1;
  while (quiet.write(LINE));
  const source = async function* () {
    for (;;) yield LINE;
  };
  const waiting = pipeline(source, wal.createLogStream());
  waiting.catch(() => {});
  while (wal.stats().accepted < count + 2) await turn();
  const closed = wal.close();
  faults.recall('hold-write');
  await assert.rejects(waiting, walError('ERR_WAL_CLOSED'));
  await closed;
  assert.equal(quiet.destroyed, false);
  assert.equal((await left(wal.directory)).length, count + 2);
  const failed = once(quiet, 'error');
  quiet.write('late\n');
  walError('ERR_WAL_CLOSED')((await failed)[0]);
});

test('a stream that is ended after its log was closed ends well', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  const stream = wal.createLogStream();
  stream.write('kept\n');
  await wal.close();
  stream.end();
  await once(stream, 'close');
  assert.equal(stream.errored, null);
  assert.deepEqual(await left(directory), ['kept']);
});

test("a log that fails ends its streams with 'error' and the failure, also those that wait for 'drain'", async (t) => {
  const { wal, faults } = await heldLog(t, { onError() {} });
  const waiting = wal.createLogStream();
  while (waiting.write(LINE));
  const writing = wal.createLogStream();
  const failed = once(waiting, 'error');
  faults.give('fail-write', 'EIO');
  faults.recall('hold-write');
  const [error] = (await failed) as [WalError];
  walError('ERR_WAL_IO', { cause: 'EIO' })(error);
  const failedToo = once(writing, 'error');
  writing.write('x\n');
  walError('ERR_WAL_IO', { cause: 'EIO' })((await failedToo)[0]);
  assert.throws(() => writing.flushSync(), walError('ERR_WAL_IO'));
  await assert.rejects(wal.close(), walError('ERR_WAL_IO'));
});

test('a full disk costs the lines that were not written and no more', async (t) => {
  const faults = new Faults(t);
  const told: WalError[] = [];
  const wal = await freshLog(t, { workerUrl: faults.workerUrl, onError: (error) => told.push(error) });
  const stream = wal.createLogStream();
  stream.write('before\n');
  await wal.sync();
  faults.give('fail-write', 'ENOSPC');
  stream.write('lost\n');
  const error = await promisify(stream.flush.bind(stream))().catch((thrown: unknown) => thrown);
  walError('ERR_WAL_IO', { cause: 'ENOSPC' })(error);
  faults.recall('fail-write');
  stream.write('after\n');
  assert.deepEqual(await written(wal), ['before', 'after']);
  assert.equal(wal.stats().lost, 1);
  assert.equal(told.length, 1);
  assert.equal(stream.destroyed, false);
});

test('an error that nobody listens for ends the process once, by an uncaught exception', async (t) => {
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    import pino from 'pino';
    const wal = await Wal.open(process.argv[1]);
    const logger = pino(wal.createLogStream());
    process.on('unhandledRejection', () => console.log('rejection'));
    process.on('uncaughtException', (error) => {
      console.log(error.code);
      logger.fatal(error);
    });
    await wal.close();
    logger.info('late');`,
    [temporaryLog(t)],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, 'ERR_WAL_CLOSED\n'], ended.stderr);
});

// ── The end of the process ──────────────────────────────────────────────────────────────────────────────────────

// Each way to end that pino's users know: logger-exits.test.ts.

test('a line without a newline, and the report of dropped ones, are in the log of a process that exits', async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  const child = new Child(
    t,
    `import { rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 65536, workerUrl: new URL(workerUrl) });
    const partial = wal.createLogStream();
    partial.write('no newline');
    writeFileSync(new URL('hold-write', workerUrl), '');
    const dropping = wal.createLogStream({ onFull: 'drop' });
    while (dropping.write('x'.repeat(999) + '\\n'));
    rmSync(new URL('hold-write', workerUrl));
    process.exit(7);`,
    [directory, faults.workerUrl.href],
  );
  const ended = await child.ended;
  assert.deepEqual([ended.code, ended.stderr], [7, '']);
  const lines = await left(directory);
  assert.ok(lines.includes('no newline'));
  assert.equal(lines.filter((line) => line.startsWith('{"level":40')).length, 1);
});

test('a process that exits right after its log has failed exits as it was told to, whatever its stream still had to say', async (t) => {
  const faults = new Faults(t);
  const ended = await runChild(
    t,
    `import { rmSync, writeFileSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [directory, workerUrl] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 65536, workerUrl: new URL(workerUrl), onError() {} });
    writeFileSync(new URL('hold-write', workerUrl), '');
    const dropping = wal.createLogStream({ onFull: 'drop' });
    while (dropping.write('x'.repeat(999) + '\\n'));
    writeFileSync(new URL('fail-write', workerUrl), 'EIO');
    rmSync(new URL('hold-write', workerUrl));
    try {
      wal.flushSync();
    } catch (error) {
      console.log(error.code, dropping.destroyed);
    }
    process.exit(7);`,
    [temporaryLog(t), faults.workerUrl.href],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [7, 'ERR_WAL_IO false\n', '']);
});

test('a stream that is idle keeps no process alive and leaves no listener', async (t) => {
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const before = process.listenerCount('exit');
    const wal = await Wal.open(process.argv[1]);
    for (let i = 0; i < 20; i++) {
      const stream = wal.createLogStream();
      stream.write('half');
      stream.write(' a line\\n');
    }
    await wal.close();
    console.log(process.listenerCount('exit') - before);`,
    [temporaryLog(t)],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, '0\n', '']);
});
