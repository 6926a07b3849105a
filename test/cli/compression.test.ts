import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeLog, openLog, temporaryLog } from '../main/support.js';
import { jsonLines, ringwal, ringwalOk } from './support.js';

/** A closed log with a batch of so many entries in blocks. */
async function compressedLog(t: Parameters<typeof openLog>[0], entries: number): Promise<string> {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { compression: 'lz4' });
  await wal.append('plain', { durable: true });
  await wal.appendBatch(Array.from({ length: entries }, (_, at) => `{"entry":${at},"text":"of a batch"}`));
  await wal.close();
  return log;
}

test('append --compression compresses what it appends', async (t) => {
  const input = Array.from({ length: 20_000 }, (_, at) => `{"line":${at},"text":"some text"}`).join('\n');
  const sizes: number[] = [];
  for (const flags of [[], ['--compression', 'lz4']]) {
    const log = temporaryLog(t);
    await ringwalOk(t, ['append', log, ...flags], { input });
    assert.equal(await ringwalOk(t, ['cat', log]), `${input}\n`);
    sizes.push(readFileSync(join(log, 'wal-0')).length);
  }
  const [plain, compressed] = sizes as [number, number];
  assert.ok(compressed < plain / 2, `${plain} and ${compressed} bytes`);
});

test('a codec, or a level, that does not exist is refused', async (t) => {
  for (const codec of ['gzip', 'lz4:1', 'zstd:', 'zstd:100']) {
    const { code, stderr } = await ringwal(t, ['append', temporaryLog(t), '--compression', codec], {
      input: 'x',
    });
    assert.equal(code, 2, codec);
    assert.match(stderr, /lz4, zstd, or zstd:LEVEL/);
  }
});

test('inspect shows codec and ratio of each segment that has blocks', async (t) => {
  const log = await compressedLog(t, 500);
  const stdout = await ringwalOk(t, ['inspect', log]);
  assert.match(stdout, /^ +LSN +size +filled +compression .*verdict$/m);
  assert.match(stdout, /^wal-0 .* lz4 \d+\.\d:1 /m);
  const [report] = jsonLines<{ segments: { blocks: { count: number; codecs: string[] } }[] }>(
    await ringwalOk(t, ['inspect', log, '--json']),
  );
  assert.deepEqual(report?.segments[0]?.blocks.codecs, ['lz4']);
  const plain = temporaryLog(t);
  await makeLog(plain, ['one']);
  assert.doesNotMatch(await ringwalOk(t, ['inspect', plain]), /compression/);
});

test('inspect --frames shows blocks with their entries, and get and cat read them', async (t) => {
  const log = await compressedLog(t, 100);
  const file = join(log, 'wal-0');
  const frames = await ringwalOk(t, ['inspect', file, '--frames']);
  assert.match(frames, /lz4 block: 2 to 101, [\d,]+ bytes/);
  assert.match(frames, /^1 block \(lz4\): .* stored as .*, \d+\.\d:1$/m);
  const found = jsonLines<{ lsn: number; lastLsn?: number; block?: { entries: number } }>(
    await ringwalOk(t, ['inspect', file, '--frames', '--json', '--from', '50', '--to', '60']),
  );
  assert.deepEqual(
    found.map(({ lsn, lastLsn, block }) => [lsn, lastLsn, block?.entries]),
    [[2, 101, 100]],
  );
  assert.equal(await ringwalOk(t, ['get', log, '51']), '{"entry":49,"text":"of a batch"}\n');
});

test('a damaged block is shown, and what stands around it is read', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log, { compression: 'lz4' });
  const batch = (from: number) =>
    Array.from({ length: 100 }, (_, at) => `{"entry":${from + at},"text":"of a batch"}`);
  for (const from of [1, 101, 201]) await wal.appendBatch(batch(from), { durable: true });
  await wal.close();
  const file = join(log, 'wal-0');
  const frames = jsonLines<{ offset: number; bytes: number }>(
    await ringwalOk(t, ['inspect', file, '--frames', '--json']),
  );
  const { offset, bytes } = frames[1] as { offset: number; bytes: number };
  const content = readFileSync(file);
  content[offset + (bytes >> 1)] = (content[offset + (bytes >> 1)] as number) ^ 1;
  writeFileSync(file, content);
  const { stdout } = await ringwal(t, ['inspect', file, '--frames']);
  assert.match(stdout, /the checksum of its data does not match/);
  const tail = await ringwal(t, ['cat', log, '--from', '201']);
  assert.equal(tail.stdout, `${batch(201).join('\n')}\n`);
});
