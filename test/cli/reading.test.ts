import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, openLog, range, temporaryLog } from '../main/support.js';
import { dataOf } from '../worker/recover/damaged-logs.js';
import {
  commandFile,
  jsonLines,
  noTerminal,
  onTerminal,
  plant,
  plantDamaged,
  Running,
  ringwal,
  ringwalOk,
} from './support.js';

const ENTRIES = ['one', 'two\twith\ttabs', '', Uint8Array.of(0xff, 0, 0x41), 'five ✓'];

test('cat prints what append took, byte for byte', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ENTRIES);
  const { bytes, code } = await ringwal(t, ['cat', log]);
  assert.equal(code, 0);
  assert.deepEqual(bytes, Buffer.from('one\ntwo\twith\ttabs\n\n\xff\0A\nfive \xe2\x9c\x93\n', 'latin1'));
});

for (const [format, expected] of [
  ['raw', 'onetwo\twith\ttabs\xff\0Afive \xe2\x9c\x93'],
  ['nul', 'one\0two\twith\ttabs\0\0\xff\0A\0five \xe2\x9c\x93\0'],
  [
    'length-prefixed',
    '\x03\0\0\0one\x0d\0\0\0two\twith\ttabs\0\0\0\0\x03\0\0\0\xff\0A\x08\0\0\0five \xe2\x9c\x93',
  ],
] as const) {
  test(`cat --format ${format} prints bytes for programs`, async (t) => {
    const log = temporaryLog(t);
    await makeLog(log, ENTRIES);
    const { bytes } = await ringwal(t, ['cat', log, '--format', format]);
    assert.equal(bytes.toString('latin1'), expected);
  });
}

test('cat --json prints text where it is UTF-8, and base64 elsewhere', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ENTRIES);
  assert.deepEqual(jsonLines(await ringwalOk(t, ['cat', log, '--json'])), [
    { lsn: 1, text: 'one' },
    { lsn: 2, text: 'two\twith\ttabs' },
    { lsn: 3, text: '' },
    { lsn: 4, base64: '/wBB' },
    { lsn: 5, text: 'five ✓' },
  ]);
});

test('cat --format hex prints bytes and their characters below the LSN', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['0123456789abcdefgh', Uint8Array.of(7)]);
  assert.deepEqual((await ringwalOk(t, ['cat', log, '-f', 'hex'])).split('\n'), [
    'entry 1, 18 bytes',
    '00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|',
    '00000010  67 68                                             |gh|',
    'entry 2, 1 byte',
    '00000000  07                                                |.|',
    '',
  ]);
});

test('cat goes from one LSN to another, forward and in reverse', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, range(1, 1000).map(String), { maxFileSize: 4096 });
  const limits = ['--from', '400', '--to', '402', '--lsn'];
  assert.equal(await ringwalOk(t, ['cat', log, ...limits]), '400\t400\n401\t401\n402\t402\n');
  assert.equal(await ringwalOk(t, ['cat', log, ...limits, '--reverse']), '402\t402\n401\t401\n400\t400\n');
  assert.equal(await ringwalOk(t, ['cat', join(log, 'wal-0'), '--to', '2']), '1\n2\n');
});

test('cat ends quietly when its reader has had enough', async (t) => {
  const log = temporaryLog(t);
  await makeLog(
    log,
    range(1, 50_000).map(() => 'x'.repeat(100)),
  );
  const running = new Running(t, ['cat', log]);
  await running.says('x\n');
  running.process.stdout.destroy();
  const { code, stderr } = await running.ended;
  assert.deepEqual([code, stderr], [0, '']);
});

test('cat of a damaged log says what to do, and of its segment prints what can be read', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'a flipped byte in the last group');
  const whole = await ringwal(t, ['cat', log]);
  assert.deepEqual([whole.code, whole.stdout.split('\n').length], [1, 25 + 1]);
  assert.match(whole.stderr, /Cannot read entry 26 .*\n {2}`ringwal verify .*log` shows/);
  const one = await ringwal(t, ['cat', join(log, 'wal-4')]);
  assert.equal(one.code, 0);
  assert.equal(one.stdout, `${Buffer.from(dataOf(25))}\n`);
});

test('cat and tail of damage in the middle print what stands in front of it, or in reverse what stands behind its segment', async (t) => {
  const log = temporaryLog(t);
  const lines = range(1, 400).map((n) => `entry ${n}`);
  await makeLog(log, lines, { maxFileSize: 4096 });
  const segment = join(log, 'wal-1');
  const bytes = readFileSync(segment);
  const damaged = 249;
  const at = bytes.indexOf('entry 250');
  assert.ok(at > 0 && bytes.includes('entry 251'));
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(segment, bytes);
  const printed = async (...args: string[]) => {
    const { code, stdout, stderr } = await ringwal(t, args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /at byte [\d,]+/);
    return stdout.split('\n').slice(0, -1);
  };
  assert.deepEqual(await printed('cat', log), lines.slice(0, damaged));
  const behind = await printed('cat', log, '--reverse');
  assert.ok(behind.length > 0);
  assert.deepEqual(behind, lines.slice(-behind.length).reverse());
  assert.deepEqual(await printed('tail', log, '--from', '100'), lines.slice(99, damaged));
  const ofSegment = await printed('cat', segment);
  assert.deepEqual(ofSegment, lines.slice(damaged - ofSegment.length, damaged));
  const upTo = await ringwal(t, ['cat', segment, '--to', String(damaged - 1)]);
  assert.deepEqual([upTo.code, upTo.stderr], [0, ''], 'what was not asked for is not looked at');
});

test('cat of a live segment in a file that is used again does not take what it held before for damage', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { maxFileSize: 8192, maxFiles: 1, preallocate: 'recycle' });
  const isRecycled = () => {
    const segment = join(log, `wal-${wal.segments().at(-1)?.number}`);
    const [entry] = wal.segments().slice(-1);
    return (
      entry !== undefined &&
      entry.bytes < 2000 &&
      readFileSync(segment)
        .subarray(4096)
        .some((byte) => byte !== 0)
    );
  };
  for (let n = 1; n < 100 || !isRecycled(); n++)
    await wal.append(`entry ${n} `.padEnd(100, '-'), { durable: true });
  const { number = 0 } = wal.segments().at(-1) ?? {};
  const { code, stderr, stdout } = await ringwal(t, ['cat', join(log, `wal-${number}`)]);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /stand after it/);
  assert.match(stdout, /^entry \d+ /);
  await wal.close();
});

test("cat prints wal-go's segments", async (t) => {
  const stdout = await ringwalOk(t, [
    'cat',
    join(import.meta.dirname, '../fixtures/walgo/05-rotation/wal-1'),
    '--json',
  ]);
  assert.equal(jsonLines(stdout).length > 10, true);
});

test('cat shows control characters on a terminal, and does not send them', {
  skip: noTerminal,
}, async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['\x1b[2Jgone', 'tab\there']);
  const { screen } = await onTerminal(t, ['cat', log]);
  assert.equal(screen, '\\x1b[2Jgone\ntab\there\n');
});

test('cat of nothing, and of nothing like a log', async (t) => {
  const missing = await ringwal(t, ['cat', join(temporaryDirectory(t), 'missing')]);
  assert.equal(missing.code, 4);
  assert.match(missing.stderr, /^ringwal: There is no ".*missing"\.\n$/);
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, 'this is text, and no segment at all');
  const text = await ringwal(t, ['cat', file]);
  assert.deepEqual([text.code, text.stdout], [0, '']);
});

test('get prints one entry, or ends with 1', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ENTRIES);
  assert.equal(await ringwalOk(t, ['get', log, '1']), 'one\n');
  assert.equal(await ringwalOk(t, ['get', log, '5', '--json']), '{"lsn":5,"text":"five ✓"}\n');
  const missing = await ringwal(t, ['get', log, '6']);
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /There is no entry 6 in ".*": it holds 1 to 5\./);
});

test('a log goes through cat and append unchanged', async (t) => {
  const log = temporaryLog(t);
  const copy = temporaryLog(t);
  await makeLog(log, ENTRIES);
  const { bytes } = await ringwal(t, ['cat', log, '-f', 'length-prefixed']);
  await ringwalOk(t, ['append', copy, '-f', 'length-prefixed'], { input: bytes });
  assert.equal(await ringwalOk(t, ['cat', copy, '--json']), await ringwalOk(t, ['cat', log, '--json']));
  assert.ok(readFileSync(join(copy, 'wal-0')).length > 0);
});

const noFull = existsSync('/dev/full') ? false : '/dev/full is not here';

test('output that finds no room is an error, however little it is', { skip: noFull }, async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ENTRIES);
  for (const command of ['cat', 'inspect', 'stats']) {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [commandFile(), command, log], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    assert.deepEqual([status, stderr], [4, 'ringwal: ENOSPC: no space left on device, write\n'], command);
  }
});

test("cat of a directory in wal-go's later format ends with 5, and says how to import it", async (t) => {
  const log = join(temporaryDirectory(t), 'log');
  const header = Uint8Array.of(0x57, 0x41, 0x4c, 0x47, 1, 0, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0);
  plant(log, new Map([['wal-0', header]]));
  const { code, stderr } = await ringwal(t, ['cat', log]);
  assert.equal(code, 5);
  assert.match(stderr, /ringwal cat SEGMENT -f length-prefixed \| ringwal append/);
  assert.equal(await ringwalOk(t, ['cat', join(log, 'wal-0')]), '');
  assert.match(
    await ringwalOk(t, ['inspect', join(log, 'wal-0'), '--frames']),
    /header of wal-go's later format/,
  );
});
