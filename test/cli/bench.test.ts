import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeCompression, sampleEntries } from '../../src/cli/bench/compression.js';
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
  assert.match(stdout, /^Is preallocate worth it\? (yes|no|unclear)\. /m);
  assert.match(stdout, /^the same, --compression lz4 .*\/s$/m);
  assert.match(stdout, /^Does compression pay\? (yes|no|for space|unclear)\. /m);
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
  const { plain, lz4 } = found.compression;
  assert.ok(plain.entries > 0 && lz4.frameBytes > 0);
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

interface Row {
  readonly p50: number;
  readonly p99?: number;
  readonly count?: number;
}

function latencies({ p50, p99 = p50, count = 1000 }: Row): LatencySummary {
  return { ...always(p50), p99Ms: p99, count };
}

function judgeRows({
  disk = [2, 2],
  ahead,
  without,
}: {
  /** What a sync takes where the file grows, and over allocated blocks. */
  disk?: readonly [growing: number, allocated: number];
  ahead: Row;
  without: Row;
}): ReturnType<typeof judgePreallocation> {
  const [growing, allocated] = disk;
  return judgePreallocation({
    floor: { fileSystem: EXT4, growing: always(growing), allocated: always(allocated), idle: always(0.001) },
    durable: latencies(ahead),
    durableGrowing: latencies(without),
  });
}

test('preallocation is worth it where durable appends are quicker with it than without', () => {
  for (const [ahead, without, answer, why] of [
    [
      { p50: 1 },
      { p50: 2 },
      'yes',
      /takes 1 ms \(p99 1 ms\), without it 2 ms \(p99 2 ms\): the default 'ahead' pays/,
    ],
    [{ p50: 1.9 }, { p50: 2 }, 'no', /it changes little here/],
    [{ p50: 2 }, { p50: 1.9 }, 'no', /it changes little here/],
    [{ p50: 2 }, { p50: 1 }, 'no', /takes 2 ms .* without it 1 ms .*: it costs more than it saves here/],
    [{ p50: 1, p99: 9 }, { p50: 2, p99: 3 }, 'unclear', /one is better, the other worse/],
    [{ p50: 2, p99: 3 }, { p50: 1, p99: 9 }, 'unclear', /one is better, the other worse/],
    [{ p50: 2, p99: 9 }, { p50: 2, p99: 3 }, 'no', /it costs more than it saves here/],
    [{ p50: 2, p99: 3 }, { p50: 2, p99: 9 }, 'no', /only the slowest gain here/],
    [{ p50: 1, p99: 9 }, { p50: 2, p99: 9 }, 'yes', /pays/],
    [{ p50: 1, count: 5 }, { p50: 2 }, 'unclear', /^Only 5 durable appends were timed/],
    [{ p50: 1 }, { p50: 2, count: 0 }, 'unclear', /^Only 0 durable appends were timed/],
  ] as const) {
    const judged = judgeRows({ ahead, without });
    assert.equal(judged.answer, answer, judged.why);
    assert.match(judged.why, why);
  }
});

test('if the disk alone contradicts the appends, the appends decide on preallocation, and the answer says so', () => {
  const levels = [0.5, 1, 2];
  const changeOf = (without: number, ahead: number) => Math.sign(without - ahead);
  for (const growing of levels) {
    for (const allocated of levels) {
      for (const p50 of levels) {
        for (const other of levels) {
          const judged = judgeRows({ disk: [growing, allocated], ahead: { p50 }, without: { p50: other } });
          assert.equal(judged.answer, p50 < other ? 'yes' : 'no', judged.why);
          const agrees = changeOf(growing, allocated) === changeOf(other, p50);
          assert.equal(/contradicts this result/.test(judged.why), !agrees, judged.why);
        }
      }
    }
  }
});

test('where a sync does nothing preallocation is not worth it, whatever the appends took', () => {
  assert.deepEqual(judgeRows({ disk: [0.004, 0.001], ahead: { p50: 1 }, without: { p50: 2 } }), {
    answer: 'no',
    why: 'A sync does nothing here, so preallocation cannot make it cheaper.',
  });
});

test('compression pays where the log becomes smaller at no price, or is for space only', () => {
  const rate = (entries: number, frameBytes: number) => ({
    entries,
    bytes: 100 * entries,
    frameBytes: frameBytes * entries,
    ms: 1000,
  });
  const plain = rate(1_000_000, 112);
  for (const [rows, answer, why] of [
    [
      { plain, lz4: rate(950_000, 33) },
      'yes',
      /^with lz4 the segments take 29 % of the room, at 95 % of the speed: --compression lz4 costs/,
    ],
    [{ plain, lz4: rate(950_000, 33), zstd: rate(920_000, 16) }, 'yes', /--compression zstd costs no speed/],
    [{ plain, lz4: rate(950_000, 33), zstd: rate(300_000, 16) }, 'yes', /--compression lz4 costs no speed/],
    [
      { plain, lz4: rate(500_000, 33) },
      'for space',
      /^The log becomes smaller, and takes fewer entries a second/,
    ],
    [{ plain, lz4: rate(990_000, 111) }, 'no', /^This data hardly becomes smaller/],
    [{ plain, lz4: rate(10, 33) }, 'unclear', /--seconds/],
  ] as const) {
    const judged = judgeCompression(rows);
    assert.equal(judged.answer, answer, judged.why);
    assert.match(judged.why, why);
  }
});

test('the lines of a file are what is compressed', (t) => {
  const file = join(temporaryDirectory(t), 'lines');
  writeFileSync(file, 'one\n\ntwo\nlast');
  assert.deepEqual(
    sampleEntries(file).map((each) => Buffer.from(each).toString()),
    ['one', 'two', 'last'],
  );
  assert.equal(new Set(sampleEntries(undefined).map((each) => Buffer.from(each).toString())).size, 20_000);
});

test('percentiles are those of the calls that were timed', () => {
  const latencies = new Latencies();
  for (let ms = 100; ms >= 1; ms--) latencies.add(ms);
  assert.deepEqual(
    [1, 50, 99, 100].map((percent) => latencies.percentile(percent)),
    [1, 50, 99, 100],
  );
});
