import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Latencies, type LatencySummary } from '../../src/cli/bench/latencies.js';
import { judgePreallocation, judgeSync } from '../../src/cli/bench/verdict.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';
import { Running, ringwal, ringwalOk } from './support.js';

test('bench measures the disk and ringwal, judges, draws and cleans up', async (t) => {
  const directory = temporaryDirectory(t);
  const html = join(temporaryDirectory(t), 'report.html');
  const stdout = await ringwalOk(t, ['bench', directory, '--seconds', '1', '--html', html]);
  assert.match(stdout, /^the disk: 4 KiB and fdatasync, the file grows +[\d.]+ [µm]?s /m);
  assert.match(stdout, /^durable append of 100 B, 64 at a time /m);
  assert.match(stdout, /^fire and forget, 100 B, until all is durable .*\/s$/m);
  assert.match(stdout, /^Is fsync honest here\? (no|doubtful|plausible|unsupported)\. /m);
  assert.match(stdout, /^Is preallocate worth it\? (yes|no)\. /m);
  assert.deepEqual(readdirSync(directory), []);
  const page = readFileSync(html, 'utf8');
  assert.equal(page.match(/<polyline /g)?.length, 4);
  assert.equal(page.match(/<rect /g)?.length, 3);
  assert.doesNotMatch(page, /NaN|Infinity|undefined|(?:src|href)=/);
});

test('bench --json has every figure', async (t) => {
  const found = JSON.parse(await ringwalOk(t, ['bench', temporaryDirectory(t), '-s', '0.5', '--json']));
  const { floor, durable, durableGrowing, groups } = found;
  for (const latency of [floor.growing, floor.allocated, durable, durableGrowing, groups.latency]) {
    assert.ok(latency.count > 0);
    assert.ok(latency.p50Ms <= latency.p99Ms && latency.p99Ms <= latency.maxMs);
  }
  assert.ok(found.small.entries > 0 && found.large.bytes > 0 && found.groups.entriesPerSync >= 1);
});

test('bench that is interrupted leaves nothing behind', async (t) => {
  const directory = temporaryDirectory(t);
  const watcher = watch(directory);
  cleanUp(t, () => watcher.close());
  const running = new Running(t, ['bench', directory, '--seconds', '60']);
  await once(watcher, 'change');
  running.process.kill('SIGINT');
  const { code, stdout } = await running.ended;
  assert.deepEqual([code, stdout], [130, '']);
  assert.deepEqual(readdirSync(directory), []);
});

test('bench takes a minute at most, and a directory that is there', async (t) => {
  const long = await ringwal(t, ['bench', temporaryDirectory(t), '-s', '61']);
  assert.deepEqual([long.code, /at most 60/.test(long.stderr)], [2, true]);
  const missing = await ringwal(t, ['bench', join(temporaryDirectory(t), 'missing')]);
  assert.equal(missing.code, 4);
});

/** As if every call had taken so long. */
function always(ms: number): LatencySummary {
  const latencies = new Latencies();
  latencies.add(ms);
  return latencies.summary();
}

const EXT4 = 0xef53;

test('a sync is judged by its file system, its time, and that of one with nothing to write', () => {
  const judge = (fileSystem: number, growing: number, idle: number) =>
    judgeSync({ fileSystem, growing: always(growing), allocated: always(growing), idle: always(idle) });
  assert.deepEqual(judge(0x01021994, 1, 1).answer, 'no');
  assert.deepEqual(judge(0x6969, 1, 1).answer, 'unsupported');
  assert.deepEqual(judge(EXT4, 0.002, 0.001).answer, 'no');
  assert.match(judge(EXT4, 0.03, 0.001).why, /^A page is synced within 30 µs\. /);
  assert.match(judge(EXT4, 0.03, 0.029).why, /one with nothing to write takes 29 µs, hardly less/);
  assert.deepEqual(judge(EXT4, 1, 0.001).answer, 'plausible');
});

test('preallocation is worth it where it saves time that a sync takes', () => {
  const judge = (growing: number, allocated: number) =>
    judgePreallocation({
      fileSystem: EXT4,
      growing: always(growing),
      allocated: always(allocated),
      idle: always(0.001),
    }).answer;
  assert.deepEqual([judge(2, 1), judge(2, 1.9), judge(0.004, 0.001)], ['yes', 'no', 'no']);
});

test('percentiles are those of the calls that were timed', () => {
  const latencies = new Latencies();
  for (let ms = 100; ms >= 1; ms--) latencies.add(ms);
  assert.deepEqual(
    [1, 50, 99, 100].map((percent) => latencies.percentile(percent)),
    [1, 50, 99, 100],
  );
});
