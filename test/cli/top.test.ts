import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import picocolors from 'picocolors';
import type { Wal } from '#ringwal';
import type { Reading } from '../../src/cli/look/figures.js';
import type { Holder } from '../../src/cli/look/file-listing.js';
import { type Published, PublishedReader } from '../../src/cli/look/published-figures.js';
import { drawTop } from '../../src/cli/look/top-screen.js';
import { bar, histogramBars } from '../../src/cli/terminal/bars.js';
import { clip, visibleLength, wrap } from '../../src/cli/text/text.js';
import { readBuckets } from '../../src/format/histogram-buckets.js';
import {
  COUNTERS,
  encodeStats,
  type LaneFigures,
  type PublishedStats,
  type StatsCounter,
} from '../../src/format/stats-file.js';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, openLog, publishingChild, temporaryLog } from '../main/support.js';
import { jsonLines, noTerminal, onTerminal, Running, ringwal, ringwalOk } from './support.js';

const PLAIN = picocolors.createColors(false);
const COLORED = picocolors.createColors(true);
const HELD: Holder = { isHeld: true, pid: 77, place: 'here', host: 'web-1' };
const LOG_ID = 5n;

function countersOf(values: Partial<Record<StatsCounter, number>>): Record<StatsCounter, number> {
  return {
    ...(Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<StatsCounter, number>),
    ...values,
  };
}

function laneOf(index: number, ringUsed: number, entries = 0, waiting = 0): LaneFigures {
  const noRoom = { refused: 3 * index, queued: 0, waits: index, dropped: 0 };
  return { index, ringBytes: 1000, ringUsed, waiting, entries, ...noRoom };
}

/** What a log publishes `second` seconds after it was opened, `count` groups and syncs later. */
function statsAt(
  second: number,
  count: number,
  lanes: readonly LaneFigures[] = [laneOf(0, 0, count)],
): PublishedStats {
  return {
    logId: LOG_ID,
    publishedMs: 1_000_000 + second * 1000,
    uptimeMs: second * 1000,
    pid: 77,
    counters: countersOf({
      entries: 10 * count,
      groups: count,
      syncs: count,
      frameBytes: 100 * count,
      lastLsn: count,
      lanes: lanes.length,
    }),
    lanes,
    writeMicros: readBuckets(10 * count, [{ below: 11, count }]),
    syncMicros: readBuckets(1000 * count, [
      { below: 1024, count: second },
      { below: 2048, count },
    ]),
    groupEntries: readBuckets(10 * count, [{ below: 11, count }]),
  };
}

function publish(directory: string, stats: PublishedStats): void {
  writeFileSync(join(directory, 'ringwal.stats'), encodeStats(stats));
}

function readerOf(t: TestContext): {
  directory: string;
  read: (nowMs?: number, holder?: Holder) => Published;
} {
  const directory = temporaryDirectory(t);
  const reader = new PublishedReader(directory);
  return { directory, read: (nowMs = 1_000_000, holder = HELD) => reader.read(holder, LOG_ID, nowMs) };
}

// ── What is read ────────────────────────────────────────────────────────────────────────────────────────────────

test('the figures of an interval are the difference of two publications, and stay until the next one', (t) => {
  const { directory, read } = readerOf(t);
  publish(directory, statsAt(10, 100));
  const first = read(1_010_500);
  assert.ok(first.state === 'running' && first.interval === undefined);
  assert.equal(first.ageMs, 500);
  publish(directory, statsAt(12, 300, [laneOf(0, 0, 250), laneOf(4, 10, 50)]));
  for (const nowMs of [1_012_100, 1_013_000]) {
    const second = read(nowMs);
    assert.ok(second.state === 'running' && second.interval !== undefined);
    const { ms, groupsPerSecond, syncsPerSecond, entriesPerSecond, bytesPerSecond, lanes } = second.interval;
    assert.deepEqual([ms, groupsPerSecond, syncsPerSecond], [2000, 100, 100]);
    assert.deepEqual([entriesPerSecond, bytesPerSecond], [1000, 10_000]);
    assert.deepEqual(second.interval.syncMicros.buckets, [
      { below: 1024, count: 2 },
      { below: 2048, count: 200 },
    ]);
    assert.deepEqual(lanes, [
      { index: 0, entriesPerSecond: 75 },
      { index: 4, entriesPerSecond: 25 },
    ]);
    assert.equal(second.ageMs, nowMs - 1_012_000);
  }
});

test('two publications of different openings have no difference', (t) => {
  const { directory, read } = readerOf(t);
  for (const other of [
    { ...statsAt(12, 300), pid: 78 },
    statsAt(3, 50),
    // As in a container, where each process has the same number.
    { ...statsAt(12, 300), publishedMs: 2_000_000 },
  ]) {
    publish(directory, statsAt(10, 100));
    read();
    publish(directory, other);
    const published = read();
    assert.ok('counters' in published && published.interval === undefined);
    publish(directory, statsAt(10, 100));
    read();
  }
});

test('figures without their process are told from those of a running one by the lock', (t) => {
  const { directory, read } = readerOf(t);
  publish(directory, statsAt(10, 100));
  assert.equal(read(0, { isHeld: false }).state, 'ended');
  assert.equal(read(0, { ...HELD, pid: 78 }).state, 'ended');
  assert.equal(read(0, { ...HELD, pid: undefined }).state, 'running');
  assert.equal(read(0, { isHeld: undefined, why: 'no locks here' }).state, 'running');
});

test('a missing, torn, hostile or foreign stats file is said to be that, whatever it is', (t) => {
  const { directory, read } = readerOf(t);
  const path = join(directory, 'ringwal.stats');
  assert.deepEqual(read(), { state: 'none' });
  const bytes = encodeStats(statsAt(10, 100));
  for (const [content, why] of [
    [new Uint8Array(0), /too short/],
    [bytes.subarray(0, -1), /length/],
    [new Uint8Array(1 << 22).fill(0x72), /begin/],
    [bytes.map((byte, at) => (at === 60 ? byte ^ 1 : byte)), /checksum/],
    [encodeStats({ ...statsAt(10, 100), logId: 6n }), /another log/],
  ] as const) {
    writeFileSync(path, content);
    const published = read();
    assert.ok(published.state === 'unreadable');
    assert.match(published.why, why);
  }
  rmSync(path);
  mkdirSync(path);
  assert.equal(read().state, 'unreadable');
});

test('a pipe in place of the file keeps nobody waiting', { skip: process.platform === 'win32' }, (t) => {
  const { directory, read } = readerOf(t);
  assert.equal(spawnSync('mkfifo', [join(directory, 'ringwal.stats')]).status, 0);
  assert.deepEqual(read(), { state: 'unreadable', why: 'it is not a regular file' });
});

// ── What is drawn ───────────────────────────────────────────────────────────────────────────────────────────────

test('a bar is as long as its share, to an eighth of a column, and never nothing for something', () => {
  assert.deepEqual(
    [0, 0.0001, 0.25, 0.5, 9 / 16, 1, 7].map((share) => bar(share, 2)),
    ['', '▏', '▌', '█', '█▏', '██', '██'],
  );
});

test('a histogram is bars of powers of two, or of more where there is not the room', () => {
  const reading = readBuckets(0, [
    { below: 2, count: 5 },
    { below: 4, count: 10 },
    { below: 5, count: 1 },
    { below: 1024, count: 2 },
  ]);
  assert.deepEqual(
    histogramBars(reading, String, 20, 20).map((line) => line.replaceAll(/ {2,}/g, ' ')),
    [
      '  1 █████▌ 5',
      ' 2 ███████████ 10',
      ' 4 █▏ 1',
      '  8 0',
      ' 16 0',
      ' 32 0',
      ' 64 0',
      '128 0',
      '256 0',
      '512 ██▎ 2',
    ].map((line) => line.replaceAll(/ {2,}/g, ' ')),
  );
  const few = histogramBars(reading, String, 3, 20);
  assert.deepEqual(
    few.map((line) => /^ *(\d+)/.exec(line)?.[1]),
    ['1', '16', '256'],
  );
  assert.deepEqual(
    few.map((line) => / (\d+)$/.exec(line)?.[1]),
    ['16', '0', '2'],
  );
  assert.deepEqual(histogramBars(readBuckets(0, []), String, 3, 20), []);
});

test('a line is cut to the columns that it has, and its colours end', () => {
  assert.equal(clip('abcdef', 4), 'abcd');
  assert.equal(clip(`a${COLORED.red('bcd')}ef`, 3), `a${COLORED.red('bc')}`);
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
});

function readingOf(published: Published, lastLsn = 300): Reading {
  return {
    firstLsn: 1,
    lastLsn,
    durableLsn: 290,
    undurable: 10,
    checkpointLsn: 0,
    checkpoints: [],
    segments: 30,
    logBytes: 5000,
    diskBytes: 6000,
    sideFileBytes: 1000,
    lock: published.state === 'none' || published.state === 'ended' ? { isHeld: false } : HELD,
    published,
    timeMs: 1_012_100,
    entriesPerSecond: 1234,
    bytesPerSecond: 5678,
  };
}

function runningWith(t: TestContext, lanes: readonly LaneFigures[], nowMs = 1_012_100): Published {
  const { directory, read } = readerOf(t);
  publish(directory, statsAt(10, 100));
  read();
  publish(directory, statsAt(12, 300, lanes));
  return read(nowMs);
}

function draw(
  published: Published,
  size = { rows: 40, columns: 120 },
  colors = PLAIN,
  lastLsn = 300,
): string[] {
  const segments = Array.from({ length: 30 }, (_, number) => ({
    number,
    path: `/some/where/wal-${number}`,
    firstLsn: number * 10 + 1,
    lastLsn: number * 10 + 10,
    bytes: 100,
    createdMs: 0,
  }));
  const readings = Array.from({ length: 41 }, () => readingOf(published, lastLsn));
  return drawTop({ directory: '/some/where', readings, segments, beganMs: 1_000_000 }, colors, size);
}

test('the screen has rates, groups, fsync latency, the ring of each lane and segments', (t) => {
  const screen = draw(runningWith(t, [laneOf(0, 500, 250), laneOf(7, 950, 50, 3)])).join('\n');
  for (const line of [
    /^entries +1 to 300 +1,000\/s +█+$/m,
    /^frames .* 9\.77 KiB\/s /m,
    /^groups +300 +100\/s /m,
    /^syncs +300 +100\/s /m,
    /^fsync latency +group size, entries +write latency$/m,
    /^p50 2\.05 ms p99 2\.05 ms max 2\.05 ms +p50 10 p99 10 max 10 +p50 10 µs/m,
    /^ 512 µs +▎ +2 /m,
    /^1\.02 ms +█+ +200$/m,
    /^rings {2}2 lanes$/m,
    /^lane 0 +█{20}·{20} +50 % +500 B of 1,000 B +75 entries\/s$/m,
    /^lane 7 +█{38}·· +95 % +950 B of 1,000 B +25 entries\/s +3 beside it, 21 refused, 7 waits$/m,
    /^30 segments {2}watched for 12 s$/m,
    /^wal-29 +291 to 300 +100 B +█+$/m,
    /^figures of the running log of 2 s, published 100 ms ago$/m,
  ]) {
    assert.match(screen, line);
  }
});

test('whatever the window, the screen fits it', (t) => {
  const lanes = Array.from({ length: 64 }, (_, index) => laneOf(index, index * 15, index, index));
  for (const published of [
    runningWith(t, lanes),
    { state: 'none' } as const,
    { state: 'unreadable', why: 'it \x1b[2J is hostile' } as const,
  ]) {
    for (const rows of [1, 2, 5, 10, 17, 18, 24, 25, 40, 100]) {
      for (const columns of [10, 40, 79, 80, 100, 113, 114, 120, 200]) {
        for (const colors of [PLAIN, COLORED]) {
          const lines = draw(published, { rows, columns }, colors);
          assert.ok(lines.length <= rows, `${lines.length} lines in ${rows}`);
          for (const line of lines) {
            assert.ok(
              visibleLength(line) <= columns,
              `${visibleLength(line)} columns in ${columns}: ${line}`,
            );
            assert.ok(!line.includes('\x1b[2J'));
          }
        }
      }
    }
  }
});

test('a window of 24 lines has the fullest lanes and the newest segments', (t) => {
  const lanes = Array.from({ length: 12 }, (_, index) => laneOf(index, index * 80));
  const screen = draw(runningWith(t, lanes), { rows: 24, columns: 80 }).join('\n');
  assert.match(screen, /12 lanes, the fullest \d of them/);
  assert.match(screen, /^lane 11 /m);
  assert.doesNotMatch(screen, /^lane 0 /m);
  assert.match(screen, /^wal-29 /m);
});

test('the screen says how old the figures are, and why there are none', (t) => {
  const lanes = [laneOf(0, 0)];
  const old = runningWith(t, lanes, 1_072_000);
  for (const [published, lastLsn, said] of [
    [old, 300, /^The figures are 60 s old: nothing was synced since\.$/m],
    [old, 301, /^The figures are 60 s old: entries were written since, and no sync has returned\.$/m],
    [
      { ...old, state: 'ended' } as Published,
      300,
      /^The figures are the last ones of process 77, 60 s old: it ended without/m,
    ],
    [{ state: 'none' } as const, 300, /^No process has the log open/m],
    [
      { state: 'unreadable', why: 'its checksum does not match' } as const,
      300,
      /cannot be read: its checksum/,
    ],
  ] as const) {
    const screen = draw(published, { rows: 40, columns: 120 }, PLAIN, lastLsn).join('\n');
    assert.match(screen, said);
    // Of what is over no rate is shown.
    assert.doesNotMatch(screen, /^groups +300 +100\/s/m);
  }
});

// ── With logs ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Durable appends until the log has published. */
async function published(wal: Wal, directory: string): Promise<void> {
  while (!existsSync(join(directory, 'ringwal.stats'))) await wal.append('x', { durable: true });
}

interface PrintedReading {
  readonly published: {
    readonly state: string;
    readonly pid?: number;
    readonly interval?: { readonly ms: number; readonly syncMicros: { readonly count: number } };
    readonly lanes?: readonly LaneFigures[];
  };
}

test('top --json has what the running log publishes, and what came between two publications', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await published(wal, log);
  const running = new Running(t, ['top', log, '--json', '--interval', '0.1']);
  await running.says('"state":"running"');
  while (!running.stdout.includes('"interval":')) await wal.append('x', { durable: true });
  running.process.kill('SIGINT');
  const { stdout, stderr } = await running.ended;
  assert.equal(stderr, '');
  const last = jsonLines<PrintedReading>(stdout).at(-1)?.published;
  assert.equal(last?.pid, process.pid);
  assert.ok((last?.interval?.ms ?? 0) >= 1000);
  assert.ok((last?.interval?.syncMicros.count ?? 0) > 0);
  assert.deepEqual(
    last?.lanes?.map(({ index }) => index),
    [0],
  );
});

test('stats has the figures of the running log; of one that is closed there are none', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await published(wal, log);
  const text = await ringwalOk(t, ['stats', log]);
  assert.match(text, /^figures +since the log was opened, published \d/m);
  assert.match(text, /^syncs +\d.*: p50 .*, p99 .*, max /m);
  assert.match(text, /^groups +\d.*, entries: p50 1, p99 1, max 1$/m);
  assert.match(text, /^rings +1 lane, lane 0 \d+ % full$/m);
  await wal.close();
  assert.doesNotMatch(await ringwalOk(t, ['stats', log]), /figures/);
});

test('of a log whose process was killed, stats and inspect show the last figures as such', async (t) => {
  const log = temporaryLog(t);
  const child = await publishingChild(t, log);
  child.process.kill('SIGKILL');
  await child.ended;
  assert.match(
    await ringwalOk(t, ['stats', log]),
    new RegExp(`^figures .*, the last ones of process ${child.process.pid}$`, 'm'),
  );
  assert.match(await ringwalOk(t, ['inspect', log]), /^ringwal\.stats .* figures of the running log$/m);
  assert.equal((await ringwal(t, ['verify', log])).code, 0);
});

test('top draws the figures on a terminal', { skip: noTerminal }, async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await published(wal, log);
  const { code, screen } = await onTerminal(t, ['top', log], { answers: 'q', asked: 'fsync latency' });
  assert.equal(code, 0, screen);
  assert.match(screen, /rings.* 1 lane/);
  assert.match(screen, /lane 0/);
});

test('top says that nobody has the log open', { skip: noTerminal }, async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['a']);
  const { code, screen } = await onTerminal(t, ['top', log], {
    answers: 'q',
    asked: 'No process has the log open',
  });
  assert.equal(code, 0, screen);
  assert.equal(readFileSync(join(log, 'wal-0')).length > 0, true);
});
