/** The package where a test has put fakes in place of timers, `process.nextTick`, `setImmediate` and `queueMicrotask`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jestProject, runTool } from './runners.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

const FAKE_TIMERS_TEST = `
const { join } = require('node:path');
const { Wal } = require('ringwal');
beforeEach(() => { jest.useFakeTimers(); });
afterEach(() => { jest.useRealTimers(); });
let number = 0;
const log = () => Wal.open(join(__dirname, 'log-' + number++));

test('appends, batches, syncs and close settle', async () => {
  const wal = await log();
  expect(await wal.append('a', { durable: true })).toBe(1);
  expect(await wal.append('b')).toBe(2);
  expect((await wal.appendBatch(['c', 'd'])).last).toBe(4);
  expect(await wal.sync()).toBe(4);
  await wal.ready();
  await wal.close();
});
test('a write to a log stream calls back, and the stream finishes', async () => {
  const wal = await log();
  const stream = wal.createLogStream();
  await new Promise((resolve, reject) => stream.write('a\\n', (error) => (error ? reject(error) : resolve())));
  await new Promise((resolve, reject) => stream.flush((error) => (error ? reject(error) : resolve())));
  await new Promise((resolve) => stream.end('b\\n', resolve));
  expect(wal.lastLsn).toBe(2);
  await wal.close();
});
test('a log stream that was full drains', async () => {
  const wal = await Wal.open(join(__dirname, 'log-' + number++), { ringSize: 65536, maxPending: 65536 });
  const stream = wal.createLogStream();
  const line = 'x'.repeat(10_000) + '\\n';
  let lines = 1;
  while (stream.write(line)) lines += 1;
  await new Promise((resolve) => stream.once('drain', resolve));
  await new Promise((resolve) => stream.end(resolve));
  expect(wal.lastLsn).toBe(lines);
  await wal.close();
});
test('jobs and followers settle', async () => {
  const wal = await log();
  await wal.append('a', { durable: true });
  for await (const { lsn } of wal.follow()) { expect(lsn).toBe(1); break; }
  await wal.close();
  expect((await Wal.verify(wal.directory)).verdict).toBe('clean');
  for await (const { lsn } of Wal.follow(wal.directory)) { expect(lsn).toBe(1); break; }
});
test('a busy-polling append settles', async () => {
  const wal = await Wal.open(join(__dirname, 'log-' + number++), { busyPoll: true });
  expect(await wal.append('a', { durable: true })).toBe(1);
  await wal.close();
});
`;

for (const environment of ['node', 'jsdom']) {
  test(`under jest.useFakeTimers(), environment ${environment}, appends, log streams, 'drain', jobs and followers settle`, {
    skip,
  }, async (t) => {
    const project = jestProject(t, environment, FAKE_TIMERS_TEST);
    const ended = await runTool(t, project, 'jest', ['--ci', '--no-cache']);
    if (ended === undefined) return;
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stderr, /Tests: +5 passed, 5 total/);
  });
}
