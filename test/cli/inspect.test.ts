import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { visibleLength } from '../../src/cli/text/text.js';
import { makeLog, openLog, range, temporaryLog } from '../main/support.js';
import { jsonLines, noTerminal, onTerminal, plantDamaged, ringwal, ringwalOk } from './support.js';

const WALGO = join(import.meta.dirname, '../fixtures/walgo');
const FLIPPED = 'a flipped byte in the payload of an entry in the middle of a group';

test('inspect shows segments, times, watermark, checkpoint, who writes, side files and a picture', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { maxFileSize: 4096 });
  await wal.append('x'.repeat(3000));
  await wal.append('y'.repeat(2000), { durable: true });
  await wal.checkpoint(1);
  appendFileSync(join(log, 'notes.txt'), 'somebody left this');
  const stdout = await ringwalOk(t, ['inspect', log]);
  assert.match(stdout, /^entries {11}1 to 2$/m);
  assert.match(stdout, /^checkpoint {8}1$/m);
  assert.match(stdout, new RegExp(`^open for writing  process ${process.pid}$`, 'm'));
  assert.match(stdout, /^ +LSN +size +filled +written +verdict$/m);
  assert.match(stdout, /^wal-0 {2}1 .* 100 % {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}clean {4}█+$/m);
  assert.match(stdout, /^wal-1 {2}2 .* 4 KiB {4}50 % .* clean {4}█+░+$/m);
  assert.match(stdout, /^ringwal\.lock .* locked by the writer$/m);
  assert.match(stdout, /^notes\.txt .* not the log's$/m);
  await wal.close();
  assert.match(await ringwalOk(t, ['inspect', log]), /^open for writing {2}nobody$/m);
});

test('inspect says of every file of a log what it is for', async (t) => {
  const log = temporaryLog(t);
  const purposes = {
    'ringwal.snapshot-7.aside': 'a snapshot while it is written',
    'ringwal.snapshot-8': 'the state after entry 8',
    'ringwal.cut-snapshot-9-k1': 'a snapshot that a cut removed, after entry 9',
    'ringwal.cut-3-9-k1': 'bytes removed from wal-3',
    'ringwal.shortened': 'a segment while a cut shortens it',
    'ringwal.part-2-4096': 'bytes of wal-2 in a backup',
    'ringwal.backup': 'the manifest of a backup',
    'ringwal.backup.aside': 'the manifest of an unfinished backup',
  };
  await makeLog(log, ['one']);
  for (const name of Object.keys(purposes)) writeFileSync(join(log, name), '');
  const lines = (await ringwalOk(t, ['inspect', log])).split('\n');
  for (const [name, purpose] of Object.entries(purposes)) {
    const line = lines.find((each) => each.startsWith(`${name} `));
    assert.equal(line?.endsWith(` ${purpose}`), true, `${name}: ${line}`);
  }
});

/** How wide the lines of `text` are, without colours, and without progress that was shown in their place before. */
function widths(text: string): number[] {
  return text
    .split('\n')
    .map((line) => visibleLength(line.slice(line.lastIndexOf('\x1b[K') + 1).replace(/^\[K/, '')));
}

test('inspect fits the window, and is 80 columns wide where there is none', {
  skip: noTerminal,
}, async (t) => {
  const log = temporaryLog(t);
  await makeLog(
    log,
    range(1, 400).map((n) => `entry ${n}`),
    { maxFileSize: 4096 },
  );
  const segment = join(log, 'wal-1');
  const bytes = readFileSync(segment);
  bytes[1000] = (bytes[1000] as number) ^ 1;
  writeFileSync(segment, bytes);
  const whole = ['inspect', log];
  const frames = ['inspect', segment, '--frames', '--from', '200', '--to', '240'];
  for (const args of [whole, frames]) {
    const piped = (await ringwal(t, args)).stdout;
    assert.equal(Math.max(...widths(piped)) <= 80, true, piped);
    for (const columns of [60, 80, 130]) {
      const { screen } = await onTerminal(t, args, { columns, env: { NO_COLOR: '1' } });
      assert.ok(Math.max(...widths(screen)) <= columns, `${columns}: ${screen}`);
      assert.match(screen, args === whole ? /^wal-1 .* corrupt/m : /✗/);
      assert.equal(/created .* written/.test(screen), args === whole && columns === 130, screen);
    }
  }
  const pipedTwice = await ringwal(t, whole, { env: { COLUMNS: '200' } });
  assert.equal(pipedTwice.stdout, (await ringwal(t, whole)).stdout);
});

test('inspect --frames --hex shows as many bytes as are asked for, below the line where it has no room', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['x'.repeat(100)], { timeResolution: 0 });
  const path = join(log, 'wal-0');
  const few = await ringwalOk(t, ['inspect', path, '--frames', '--hex', '3']);
  assert.match(few, /^ .* synced 0 +[0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2} …$/m);
  const many = (await ringwalOk(t, ['inspect', path, '--frames', '--hex', '40'])).split('\n');
  assert.deepEqual(
    many.filter((line) => /^ {2}[0-9a-f]{8} {2}/.test(line)).map((line) => line.slice(2, 10)),
    ['00000000', '00000010', '00000020'],
  );
  assert.ok(Math.max(...many.map(visibleLength)) <= 80);
});

test('inspect draws what is free, torn and corrupt', async (t) => {
  const torn = temporaryLog(t);
  await makeLog(torn, ['x'.repeat(1000), 'y'.repeat(1000)]);
  appendFileSync(join(torn, 'wal-0'), Buffer.alloc(500, 1));
  assert.match(await ringwalOk(t, ['inspect', torn]), / torn {5}█+▒+$/m);
  truncateSync(join(torn, 'wal-0'), 2100);
  const free = temporaryLog(t);
  await makeLog(free, ['x'.repeat(1000)]);
  truncateSync(join(free, 'wal-0'), 4000);
  assert.match(await ringwalOk(t, ['inspect', free]), / clean {4}█+░+$/m);
  const corrupt = await ringwal(t, ['inspect', plantDamaged(temporaryLog(t), FLIPPED)]);
  assert.equal(corrupt.code, 1);
  assert.match(corrupt.stdout, / corrupt {2}█+▓+$/m);
});

test('inspect --json has everything for programs', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one', 'two']);
  const found = JSON.parse(await ringwalOk(t, ['inspect', log, '--json']));
  assert.deepEqual([found.verdict, found.lastLsn, found.checkpointLsn], ['clean', 2, 0]);
  assert.deepEqual(found.lock, { isHeld: false });
  const [segment] = found.segments;
  assert.deepEqual([segment.live, segment.free, segment.torn, segment.corrupt], [segment.bytes, 0, 0, 0]);
  assert.ok(segment.createdMs > 0 && segment.modifiedMs > 0);
  assert.deepEqual(
    found.sideFiles.map(({ name }: { name: string }) => name),
    ['ringwal.lock', 'ringwal.state'],
  );
});

test('inspect --frames shows each frame with its offset, fields and bytes', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { timeResolution: 0 });
  await wal.append('first', { durable: true });
  await wal.appendBatch(['a', 'b'], { durable: true });
  await wal.close();
  const path = join(log, 'wal-0');
  const frames = jsonLines(await ringwalOk(t, ['inspect', path, '--frames', '--json']));
  assert.deepEqual(
    frames.map(({ kind, lsn, dataBytes, batchRemaining }) => [kind, lsn, dataBytes, batchRemaining]),
    [
      ['valid', 1, 5, undefined],
      ['valid', 2, 1, 1],
      ['valid', 3, 1, undefined],
    ],
  );
  // The first of each group carries the watermark, as far as the writer knew it then.
  assert.deepEqual(
    frames.map(({ syncedLsn }) => typeof syncedLsn),
    ['number', 'number', 'undefined'],
  );
  const stdout = await ringwalOk(t, ['inspect', path, '--frames', '--from', '2', '--to', '2']);
  assert.match(stdout, /^ +\d+ +\d+ +2 +1 {2}synced [01], batch: 1 to come {2}14 00 00 00 08 02 12 01 …$/m);
  assert.match(stdout, /^3 valid frames, LSN 1 to 3, 2 groups, 7 B of data in \d+ B$/m);
});

test('inspect --frames marks a damaged frame, and goes on behind it', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const path = join(log, 'wal-0');
  const frames = jsonLines(await ringwalOk(t, ['inspect', path, '--frames', '--json']));
  assert.deepEqual(
    frames.map(({ kind, lsn }) => [kind, lsn]),
    [
      ['valid', 1],
      ['valid', 2],
      ['valid', 3],
      ['damaged', 4],
      ['unproven', 5],
      // The head of the next group proves itself.
      ['valid', 6],
    ],
  );
  const stdout = await ringwalOk(t, ['inspect', path, '--frames']);
  assert.match(
    stdout,
    /^✗ .* 4 .*\n {4}the frame is not valid: the checksum of its data does not match\n {2}[0-9a-f]{8} {2}/m,
  );
  assert.match(stdout, /^\? .* 5 /m);
});

test('inspect --frames finds its way through bytes that are no frames', async (t) => {
  for (const [name, file] of [
    ['a zeroed sector', 'wal-2'],
    ['a flipped byte in a size word', 'wal-3'],
    ['the live segment cut off inside a frame', 'wal-4'],
  ] as const) {
    const log = plantDamaged(temporaryLog(t), name);
    const pieces = jsonLines<{ kind: string; offset: number; bytes: number }>(
      await ringwalOk(t, ['inspect', join(log, file), '--frames', '--json']),
    );
    let offset = 0;
    for (const piece of pieces) {
      assert.equal(piece.offset, offset, name);
      offset += piece.bytes;
    }
    assert.ok(
      pieces.some(({ kind }) => kind === 'damaged'),
      name,
    );
  }
});

test("inspect of wal-go's segments", async (t) => {
  const stdout = await ringwalOk(t, ['inspect', join(WALGO, 'torn/wal-0'), '--frames']);
  assert.match(stdout, /^✗ .* damaged\n {4}no frame: it does not end within the file$/m);
  assert.match(stdout, /^9 valid frames, LSN 1 to 9/m);
});
