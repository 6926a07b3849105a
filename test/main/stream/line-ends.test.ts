/** CR LF and empty lines in log streams and in `ringwal/pino`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import pino from 'pino';
import { type LogStreamOptions, Wal } from '#ringwal';
import { SEED } from '../../seed.js';
import { freshLog, randomSource, runChild, temporaryLog, texts, walError } from '../support.js';

/** The entries that become of `pieces`. */
async function entriesOf(
  t: Parameters<typeof freshLog>[0],
  options: LogStreamOptions,
  pieces: readonly (string | Uint8Array)[],
): Promise<string[]> {
  const wal = await freshLog(t);
  const stream = wal.createLogStream(options);
  for (const piece of pieces) stream.write(piece);
  stream.end();
  await once(stream, 'close');
  assert.equal(stream.dropped, 0);
  return texts(wal.entries());
}

const TEXT = 'one\r\n\r\n\nt\rwo\r\r\nthree\n \r\nlast\r';

for (const [options, entries] of [
  [{}, ['one\r', '\r', '', 't\rwo\r\r', 'three', ' \r', 'last\r']],
  [{ emptyLines: 'skip' }, ['one\r', '\r', 't\rwo\r\r', 'three', ' \r', 'last\r']],
  [{ stripCarriageReturn: true }, ['one', '', '', 't\rwo\r', 'three', ' ', 'last\r']],
  [{ stripCarriageReturn: true, emptyLines: 'skip' }, ['one', 't\rwo\r', 'three', ' ', 'last\r']],
] as const) {
  test(`a log stream with ${JSON.stringify(options)} has these lines of a text with CR LF, wherever it is cut`, async (t) => {
    const wal = await freshLog(t);
    let expected: string[] = [];
    for (let at = 0; at <= TEXT.length; at++) {
      for (const make of [(text: string) => text, (text: string) => Buffer.from(text)]) {
        const stream = wal.createLogStream(options);
        stream.write(make(TEXT.slice(0, at)));
        stream.write(make(TEXT.slice(at)));
        stream.end();
        await once(stream, 'close');
        expected = expected.concat(entries);
      }
    }
    assert.deepEqual(await texts(wal.entries()), expected);
  });
}

test('a line that comes whole, text and bytes, with and without a callback, loses its carriage return', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream({ stripCarriageReturn: true, emptyLines: 'skip' });
  stream.write('text\r\n');
  stream.write(Buffer.from('bytes\r\n'));
  await new Promise((resolve) => stream.write('with a callback\r\n', resolve));
  assert.equal(await new Promise((resolve) => stream.write('\r\n', resolve)), null);
  stream.write('\r');
  stream.write(Buffer.from('\n'));
  stream.write('cut\r');
  stream.write('\n');
  stream.write(Buffer.from('\r\nhex\r\n').toString('hex'), 'hex');
  await wal.sync();
  assert.deepEqual(await texts(wal.entries()), ['text', 'bytes', 'with a callback', 'cut', 'hex']);
  assert.equal(stream.dropped, 0);
});

test(`lines are the same however a text with CR and LF is cut into strings and bytes (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  for (let round = 0; round < 20; round++) {
    const options = {
      stripCarriageReturn: random(2) === 0,
      emptyLines: random(2) === 0 ? 'keep' : 'skip',
    } as const;
    let text = '';
    for (let i = 0; i < 500; i++) text += ['a', '\r', '\n', '\r\n', 'é😀'][random(5)];
    const pieces: (string | Uint8Array)[] = [];
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) {
      const cut = bytes.subarray(at, at + 1 + random(9));
      at += cut.length;
      // A string must not be cut within a character.
      pieces.push(random(2) === 0 && cut.equals(Buffer.from(cut.toString())) ? cut.toString() : cut);
    }
    let lines = text.split('\n');
    const last = lines.pop() as string;
    if (options.stripCarriageReturn) lines = lines.map((line) => line.replace(/\r$/, ''));
    if (options.emptyLines === 'skip') lines = lines.filter((line) => line !== '');
    if (last !== '') lines.push(last);
    assert.deepEqual(await entriesOf(t, options, pieces), lines, `round ${round}`);
  }
});

test('a carriage return that goes does not count towards maxEntrySize, in one piece or in many', async (t) => {
  const wal = await freshLog(t, { maxEntrySize: 1000 });
  const full = 'x'.repeat(1000);
  const stream = wal.createLogStream({ stripCarriageReturn: true });
  stream.write(`${full}\r\n`);
  for (const piece of [full, '\r', '\n']) stream.write(piece);
  for (const piece of [full, '\r', '\n']) stream.write(Buffer.from(piece));
  assert.equal(stream.dropped, 0);
  for (const long of [`${full}x\r\n`, `${full}x\n`, `${full}\r\r\n`]) {
    stream.write(long);
    for (const unit of long) stream.write(unit);
  }
  assert.equal(stream.dropped, 6);
  stream.write(`${full}\r`);
  stream.end();
  await once(stream, 'close');
  // The carriage return at the end of it all is data.
  assert.equal(stream.dropped, 7);
  const lines = await texts(wal.entries());
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('{')),
    [full, full, full],
  );
});

test('options of log streams that are not known, and values that they do not take, are refused', async (t) => {
  const wal = await freshLog(t);
  for (const [options, message] of [
    [{ stripCarriageReturn: 'yes' }, /stripCarriageReturn must be true or false/],
    [{ emptyLines: 'drop' }, /emptyLines must be 'keep' or 'skip'/],
    [{ emptyLines: true }, /emptyLines must be 'keep' or 'skip'/],
    [
      { stripCR: true },
      /Unknown log stream option "stripCR".*Known: onFull, stripCarriageReturn, emptyLines/,
    ],
  ] as const) {
    assert.throws(() => wal.createLogStream(options as object), walError('ERR_WAL_OPTION', { message }));
  }
});

test("pino's option crlf and stripCarriageReturn go together", async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream({ stripCarriageReturn: true });
  const logger = pino({ base: null, timestamp: false, crlf: true }, stream);
  logger.info('a \r line');
  await wal.sync();
  assert.deepEqual(await texts(wal.entries()), ['{"level":30,"msg":"a \\r line"}']);
});

test('ringwal/pino takes the same options, and keeps text without a newline until the transport ends', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import pino from 'pino';
    import { once } from 'node:events';
    import { Wal } from 'ringwal';
    const [directory] = process.argv.slice(1);
    const transport = pino.transport({
      target: import.meta.resolve('ringwal/pino'),
      options: { directory, stripCarriageReturn: true, emptyLines: 'skip' },
    });
    await once(transport, 'ready');
    pino({ base: null, timestamp: false, crlf: true }, transport).info('line');
    transport.write('\\r\\n\\ncut\\r');
    transport.flushSync();
    transport.write('\\nno newline');
    await new Promise((resolve, reject) => transport.flush((error) => (error ? reject(error) : resolve())));
    const reader = await Wal.open(directory, { readOnly: true });
    console.log(reader.lastLsn);
    await reader.close();
    transport.end();`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, '2\n', '']);
  const wal = await Wal.open(directory);
  const lines = await texts(wal.entries());
  await wal.close();
  assert.deepEqual(lines, ['{"level":30,"msg":"line"}', 'cut', 'no newline']);
});
