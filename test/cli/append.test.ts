import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, createWriteStream, existsSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { RecordSplitter } from '../../src/cli/append/record-splitter.js';
import { pickLogOptions } from '../../src/cli/flags/log-options.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';
import { SmallDisk } from '../main/log/small-disk.js';
import { range, temporaryLog, texts } from '../main/support.js';
import { jsonLines, noTerminal, onTerminal, Running, ringwal, ringwalOk } from './support.js';

const noPipe = process.platform === 'win32' && 'Windows has no such pipes';

async function contentOf(directory: string): Promise<string[]> {
  const reader = await Wal.open(directory, { readOnly: true });
  const found = await texts(reader.entries());
  await reader.close();
  return found;
}

test('append makes an entry of each line, empty ones and the last one without a newline too', async (t) => {
  const log = temporaryLog(t);
  assert.equal(await ringwalOk(t, ['append', log], { input: 'one\n\nthree\r\nfour' }), '');
  assert.deepEqual(await contentOf(log), ['one', '', 'three\r', 'four']);
});

test('append --strip-carriage-return ends lines at CR LF too, wherever the input is cut, and takes any other CR for data', async (t) => {
  const input = 'one\r\n\r\nt\rwo\r\r\nthree\nlast\r';
  const lines = ['one', '', 't\rwo\r', 'three', 'last\r'];
  for (let at = 0; at <= input.length; at++) {
    const splitter = new RecordSplitter('lines', 100, { stripCarriageReturn: true, skipEmptyLines: false });
    const pieces = [input.slice(0, at), input.slice(at)].map((piece) => Buffer.from(piece));
    const records = pieces.flatMap((piece) => [...splitter.push(piece)].map((record) => Buffer.from(record)));
    records.push(Buffer.from(splitter.end() ?? assert.fail()));
    assert.deepEqual(records.map(String), lines, `cut at ${at}`);
  }
  const log = temporaryLog(t);
  await ringwalOk(t, ['append', '--strip-carriage-return', log], { input });
  assert.deepEqual(await contentOf(log), lines);
});

test('append --skip-empty-lines makes no entry of an empty line, and of CR LF alone where the CR goes', async (t) => {
  const input = '\n\none\n\r\n \n\n';
  for (const [flags, lines] of [
    [['--skip-empty-lines'], ['one', '\r', ' ']],
    [
      ['--skip-empty-lines', '--strip-carriage-return'],
      ['one', ' '],
    ],
  ] as const) {
    const log = temporaryLog(t);
    const [summary] = jsonLines(await ringwalOk(t, ['append', '--json', ...flags, log], { input }));
    assert.deepEqual(await contentOf(log), lines);
    const { entries, records } = summary as Record<string, number>;
    assert.deepEqual([entries, records], [lines.length, lines.length]);
  }
});

test('append counts no carriage return that it strips into --max-entry-size', async (t) => {
  const full = 'x'.repeat(1024);
  for (const [input, taken, code] of [
    [`${full}\r\n${full}\r\n`, 2, 0],
    [`${full}\r\n${full}x\n`, 1, 2],
    [`${full}\r\n${full}\r`, 1, 2],
    [`${full}\r\n${full}\r\r\n`, 1, 2],
  ] as const) {
    const log = temporaryLog(t);
    const ended = await ringwal(t, ['append', '--strip-carriage-return', '--max-entry-size', '1k', log], {
      input,
    });
    assert.equal(ended.code, code, ended.stderr);
    if (code !== 0) assert.match(ended.stderr, /Record 2 of the input is longer than 1024 bytes/);
    assert.deepEqual(await contentOf(log), Array(taken).fill(full));
  }
});

test('append refuses flags for lines beside another format, and makes no log', async (t) => {
  for (const flag of ['--strip-carriage-return', '--skip-empty-lines']) {
    const log = temporaryLog(t);
    const { code, stderr } = await ringwal(t, ['append', flag, '-f', 'nul', log], { input: 'a\0' });
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`Cannot use ${flag} with --format nul: it works on lines only`));
    assert.equal(existsSync(log), false);
  }
});

test('append reads a file, and goes on behind what the log holds', async (t) => {
  const log = temporaryLog(t);
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, 'a\nb\n');
  await ringwalOk(t, ['append', log, file]);
  const [summary] = jsonLines(await ringwalOk(t, ['append', '--json', log, file]));
  const { durationMs, ...rest } = summary as Record<string, number>;
  assert.deepEqual(rest, { entries: 2, bytes: 2, firstLsn: 3, lastLsn: 4, records: 2 });
  assert.ok(Number.isInteger(durationMs));
  assert.deepEqual(await contentOf(log), ['a', 'b', 'a', 'b']);
});

test('append divides its input at zero bytes, or by lengths', async (t) => {
  const log = temporaryLog(t);
  await ringwalOk(t, ['append', '-f', 'nul', log], { input: 'a\nb\0c\0' });
  const records = ['x', '', 'long'.repeat(50_000)].flatMap((text) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return [length, Buffer.from(text)];
  });
  await ringwalOk(t, ['append', '-f', 'length-prefixed', log], { input: Buffer.concat(records) });
  assert.deepEqual(await contentOf(log), ['a\nb', 'c', 'x', '', 'long'.repeat(50_000)]);
});

test('append says which record is cut short, and keeps those before it', async (t) => {
  const log = temporaryLog(t);
  const { code, stderr } = await ringwal(t, ['append', '-f', 'length-prefixed', log], {
    input: Uint8Array.of(1, 0, 0, 0, 65, 9, 0, 0, 0, 66),
  });
  assert.equal(code, 2);
  assert.match(stderr, /ends inside record 2: 9 bytes should follow/);
  assert.deepEqual(await contentOf(log), ['A']);
});

test('append refuses a line that is too long without holding it', async (t) => {
  const log = temporaryLog(t);
  const { code, stderr } = await ringwal(t, ['append', '--max-entry-size', '1k', log], {
    input: `short\n${'x'.repeat(200_000)}`,
  });
  assert.equal(code, 2);
  assert.match(stderr, /Record 2 of the input is longer than 1024 bytes/);
  assert.deepEqual(await contentOf(log), ['short']);
});

for (const args of [['--ack'], ['--ack', '--durable']]) {
  test(`append ${args.join(' ')} prints every LSN, in order`, async (t) => {
    const log = temporaryLog(t);
    const input = `${range(1, 20_000).join('\n')}\n`;
    const stdout = await ringwalOk(t, ['append', ...args, log], { input });
    assert.equal(stdout, input);
    assert.deepEqual(await contentOf(log), range(1, 20_000).map(String));
  });
}

test('append acknowledges a line while it waits for the next one', async (t) => {
  const log = temporaryLog(t);
  const running = new Running(t, ['append', '--durable', '--ack', log]);
  running.process.stdin.write('first\n');
  await running.says('1\n');
  running.process.stdin.write('second\nthird\n');
  await running.says('1\n2\n3\n');
  running.process.stdin.end();
  assert.equal((await running.ended).code, 0);
});

test('append keeps what it took when it is interrupted, and ends with 130', async (t) => {
  const log = temporaryLog(t);
  const running = new Running(t, ['append', '--ack', log]);
  running.process.stdin.write('first\nhalf of the sec');
  await running.says('1\n');
  running.process.kill('SIGINT');
  const { code, signal, stderr } = await running.ended;
  assert.deepEqual([code, signal, stderr], [130, null, '']);
  assert.deepEqual(await contentOf(log), ['first']);
});

test('append whose acknowledgements nobody reads ends with an error and keeps what it took', async (t) => {
  const log = temporaryLog(t);
  const running = new Running(t, ['append', '--ack', log]);
  running.process.stdin.write('first\n');
  await running.says('1\n');
  running.process.stdout.destroy();
  running.process.stdin.write('second\n');
  const { code, stderr } = await running.ended;
  assert.equal(code, 4);
  assert.match(stderr, /Cannot print more acknowledgements: .* The first 2 entries/);
  assert.deepEqual(await contentOf(log), ['first', 'second']);
});

test('append takes more than the ring holds', async (t) => {
  const log = temporaryLog(t);
  const line = 'x'.repeat(1023);
  await ringwalOk(t, ['append', log, '--max-file-size', '8MiB'], { input: `${line}\n`.repeat(40_000) });
  const reader = await Wal.open(log, { readOnly: true });
  assert.deepEqual([reader.lastLsn, reader.segments().length], [40_000, 5]);
  await reader.close();
});

test('append reads a pipe as it is written, and can be interrupted while nobody writes there', {
  skip: noPipe,
}, async (t) => {
  const directory = temporaryDirectory(t);
  const pipe = join(directory, 'pipe');
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  const log = join(directory, 'log');
  const watcher = watch(directory);
  cleanUp(t, () => watcher.close());
  const waiting = new Running(t, ['append', '--ack', log, pipe]);
  // The input is opened before the log is made.
  await once(watcher, 'change');
  waiting.process.kill('SIGINT');
  assert.equal((await waiting.ended).code, 130);

  const reading = new Running(t, ['append', '--ack', log, pipe]);
  const writer = createWriteStream(pipe);
  writer.write('first\n');
  await reading.says('1\n');
  writer.end('second\n');
  const { code, stdout, stderr } = await reading.ended;
  assert.deepEqual([code, stdout, stderr], [0, '1\n2\n', '']);
  assert.deepEqual(await contentOf(log), ['first', 'second']);
});

test('append leaves nothing behind where its file is missing', async (t) => {
  const log = temporaryLog(t);
  const { code, stderr } = await ringwal(t, ['append', log, `${log}.missing`]);
  assert.equal(code, 4);
  assert.match(stderr, /^ringwal: ENOENT: no such file or directory, open '.*missing'\n$/);
  assert.equal(existsSync(log), false);
});

test('append to a log that another process writes ends with 3 and names it', async (t) => {
  const log = temporaryLog(t);
  const wal = await Wal.open(log);
  const { code, stderr } = await ringwal(t, ['append', log], { input: 'x\n' });
  await wal.close();
  assert.equal(code, 3);
  assert.match(stderr, new RegExp(`process ${process.pid} has it open`));
});

test('append --json tells an error as JSON on standard error', async (t) => {
  const log = temporaryLog(t);
  const wal = await Wal.open(log);
  const { stdout, stderr } = await ringwal(t, ['append', log, '--json'], { input: 'x\n' });
  await wal.close();
  assert.equal(stdout, '');
  const { error } = JSON.parse(stderr);
  assert.deepEqual([error.code, error.exitCode, error.path], ['ERR_WAL_LOCKED', 3, log]);
});

test('append sums up on a terminal', { skip: noTerminal }, async (t) => {
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, 'a\nb\n');
  const { code, screen } = await onTerminal(t, ['append', temporaryLog(t), file]);
  assert.equal(code, 0);
  assert.match(screen, /^2 entries appended, LSN 1 to 2, 2 B in .*\n$/);
});

test('append takes every setting of preallocate that Wal.open has, "false" for false', async (t) => {
  const log = temporaryLog(t);
  for (const how of ['ahead', 'zero', 'recycle', 'false'] as const) {
    assert.equal(pickLogOptions({ preallocate: how }).preallocate, how === 'false' ? false : how);
    await ringwalOk(t, ['append', log, '--preallocate', how, '--durable'], { input: `${how}\n` });
  }
  assert.deepEqual(await contentOf(log), ['ahead', 'zero', 'recycle', 'false']);
  assert.deepEqual(pickLogOptions({}), {});
});

test('append to a disk that gets full says up to which record the input is in the log, and takes no half of one', async (t) => {
  const disk = SmallDisk.mount(t, 6 * 2 ** 20);
  if (typeof disk === 'string') return t.skip(disk);
  const log = join(disk.root, 'log');
  // Of many lengths, so that small ones find room behind large ones that did not.
  const lines = Array.from({ length: 200_000 }, (_, at) => `${at} ${'x'.repeat((at * 7919) % 150)}`);
  const { code, stdout, stderr } = await ringwal(t, ['append', log, '--json'], { input: lines.join('\n') });
  assert.equal(code, 4);
  assert.match(stderr, /ENOSPC/);
  const { records, bytes, entries } = JSON.parse(stdout);
  const found = await contentOf(log);
  assert.equal(found.length, entries);
  assert.deepEqual(found.slice(0, records), lines.slice(0, records));
  assert.equal(bytes, Buffer.byteLength(lines.slice(0, records).join('')));
  assert.ok(records > 0 && records < lines.length);
  const behind = found.slice(records).map((line) => Number.parseInt(line, 10));
  for (const [at, line] of behind.entries()) {
    assert.equal(found[records + at], lines[line], 'a whole line of the input');
    assert.ok(line >= records && (at === 0 || line > (behind[at - 1] as number)), 'in order');
  }
});

test('a command that opens a log for writing says what that has cut off', async (t) => {
  for (const command of [
    ['append', '--json'],
    ['checkpoint', '1'],
    ['truncate', '--before', '1', '--yes'],
  ]) {
    const log = temporaryLog(t);
    await ringwalOk(t, ['append', log], { input: 'one\ntwo\n' });
    appendFileSync(join(log, 'wal-0'), 'half a frame');
    const [name = '', ...rest] = command;
    const { code, stderr } = await ringwal(t, [name, log, ...rest], { input: '' });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^An interrupted write was cut off after entry 2: 12 B, kept in ringwal\.cut-/m);
  }
});
