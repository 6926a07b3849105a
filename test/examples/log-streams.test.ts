import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../cleanup.js';
import { startExample } from './example.js';

async function readLog(directory: string): Promise<string[]> {
  const reader = await Wal.open(directory, { readOnly: true });
  const lines = [];
  for await (const { data } of reader.entries()) lines.push(Buffer.from(data).toString());
  await reader.close();
  return lines;
}

test('pino.mjs leaves every line in its log, and finds them when it is run again', async (t) => {
  const directory = join(temporaryDirectory(t), 'log');
  const first = await startExample(t, 'pino.mjs', [directory]).ended;
  assert.deepEqual([first.code, first.errors], [0, '']);
  assert.equal(
    first.output,
    '0 lines from earlier runs\n' +
      '1002 lines are durable, 0 were dropped\n' +
      '#1002 warn: something odd\n' +
      '#1001 info: request completed\n' +
      '#1000 info: request completed\n',
  );
  const lines = (await readLog(directory)).map((line) => JSON.parse(line));
  assert.equal(lines.length, 1003);
  assert.equal(lines.at(-1).msg, 'exits');
  assert.deepEqual(
    lines.slice(1, 1001).map(({ request }) => request),
    Array.from({ length: 1000 }, (_, at) => at + 1),
  );
  const second = await startExample(t, 'pino.mjs', [directory]).ended;
  assert.match(second.output, /^1003 lines from earlier runs\n2005 lines are durable/);
});

test('winston.mjs leaves every line in its log', async (t) => {
  const directory = join(temporaryDirectory(t), 'log');
  const { code, output, errors } = await startExample(t, 'winston.mjs', [directory]).ended;
  assert.deepEqual([code, errors], [0, '']);
  assert.equal(output, '502 lines are durable\nerror: not paid (order 17)\n');
  const lines = (await readLog(directory)).map((line) => JSON.parse(line));
  assert.equal(lines.length, 502);
  assert.equal(lines[0].message, 'started');
});

test('console.mjs has in its log what it said, up to the crash', async (t) => {
  const directory = join(temporaryDirectory(t), 'log');
  const { code, output, errors } = await startExample(t, 'console.mjs', [directory]).ended;
  assert.equal(code, 1);
  assert.match(output, /^\d+ lines went into .*; it crashes now\n$/);
  assert.match(errors, /nobody catches this/);
  const lines = await readLog(directory);
  assert.equal(lines[0], 'started with 3 arguments');
  assert.ok(lines.includes('  is indented'));
  assert.ok(lines.some((line) => line.includes("'tea'")));
  assert.equal(lines.at(-1), 'crashed: nobody catches this');
  const shown = await startExample(t, 'console.mjs', [directory, '--show']).ended;
  assert.equal(shown.output, lines.map((line, at) => `${at + 1}\t${line}\n`).join(''));
});
