import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogBuilder } from '../format/log-builder.js';
import { makeLog, openLog, temporaryLog } from '../main/support.js';
import { jsonLines, plantDamaged, Running, ringwal, ringwalOk } from './support.js';

const MINUTE = 60_000;

/** A log whose entries were made that many minutes ago; entry n holds the text "n". */
function plantTimes(log: string, minutesAgo: readonly number[]): number {
  const nowMs = Date.now();
  const builder = new LogBuilder();
  minutesAgo.forEach((minutes, at) => {
    builder.frame({ data: Buffer.from(String(at + 1)), syncedLsn: at, timeMs: nowMs - minutes * MINUTE });
  });
  mkdirSync(log);
  builder.build().forEach((bytes, number) => {
    writeFileSync(join(log, `wal-${number}`), bytes);
  });
  return nowMs;
}

test('cat --since and --until print what was made in between, in either direction', async (t) => {
  const log = temporaryLog(t);
  const nowMs = plantTimes(log, [180, 90, 40, 20, 5]);
  assert.equal(await ringwalOk(t, ['cat', log, '--since', '1h']), '3\n4\n5\n');
  assert.equal(await ringwalOk(t, ['cat', log, '--since', '2h', '--until', '30m']), '2\n3\n');
  assert.equal(await ringwalOk(t, ['cat', log, '--until', '1h30m', '--reverse']), '2\n1\n');
  assert.equal(await ringwalOk(t, ['cat', log, '--since', '1h', '--to', '4', '-l']), '3\t3\n4\t4\n');
  assert.equal(await ringwalOk(t, ['cat', log, '--since', 'now']), '');
  const iso = new Date(nowMs - 40 * MINUTE).toISOString();
  assert.equal(await ringwalOk(t, ['cat', log, '--since', iso, '--until', iso]), '3\n');
});

test('tail --since begins there, and --until ends there', async (t) => {
  const log = temporaryLog(t);
  plantTimes(log, [180, 90, 40, 20, 5]);
  assert.equal(await ringwalOk(t, ['tail', log, '--since', '2h']), '2\n3\n4\n5\n');
  assert.equal(await ringwalOk(t, ['tail', log, '-n', '2', '--until', '30m']), '2\n3\n');
  assert.equal(await ringwalOk(t, ['tail', log, '--since', '2h', '--until', '30m']), '2\n3\n');
});

test('tail -f --since prints what was made since then, and goes on', async (t) => {
  const log = temporaryLog(t);
  plantTimes(log, [180, 20]);
  const wal = await openLog(t, log);
  const running = new Running(t, ['tail', '-f', '--since', '1h', log]);
  await running.says('2\n');
  await wal.append('new', { durable: true });
  await running.says('new\n');
  await wal.close();
});

test('what --since and --until cannot do is refused in one line', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['a']);
  for (const [args, message] of [
    [['cat', log, '--since', 'soon'], /--since.*'soon' is invalid\. It must be a time like/],
    [['cat', log, '--until', '25:00'], /--until.*'25:00' is invalid\. There is no hour 25/],
    [['cat', log, '--since', '5m', '--until', '1h'], /--since is .*, which is after --until/],
    [['cat', join(log, 'wal-0'), '--since', '1h'], /Cannot use --since with a segment file/],
    [['cat', join(log, 'wal-0'), '--until', '1h'], /Cannot use --until with a segment file/],
    [['tail', '-f', log, '--until', '1h'], /Cannot use --until with --follow/],
  ] as const) {
    const { code, stderr, stdout } = await ringwal(t, [...args]);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr.replaceAll(/\s+/g, ' '), message);
  }
});

test('a log without times, as of wal-go, is refused with the way out', async (t) => {
  const log = temporaryLog(t);
  const builder = new LogBuilder({ isPlain: true }).group([Buffer.from('a'), Buffer.from('b')], 0);
  mkdirSync(log);
  writeFileSync(join(log, 'wal-0'), builder.build()[0] as Uint8Array);
  const { code, stderr } = await ringwal(t, ['cat', log, '--since', '1h']);
  assert.notEqual(code, 0);
  assert.match(stderr.replaceAll(/\s+/g, ' '), /have no time stamps.*Give LSNs/);
});

test('a log too damaged to open is refused: what is missing may be what is looked for', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'a missing segment in the middle');
  for (const args of [
    ['cat', log, '--since', '1h'],
    ['cat', log, '--until', '1h'],
    ['tail', log, '--since', '1h'],
  ]) {
    const { code, stderr, stdout } = await ringwal(t, args);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr.replaceAll(/\s+/g, ' '), /Cannot use --(since|until) with .* the log is damaged/);
  }
});

test('inspect shows the time stamps of segments and frames, also where they are no dates', async (t) => {
  const log = temporaryLog(t);
  const builder = new LogBuilder();
  const data = Buffer.from('x');
  builder.frame({ data, syncedLsn: 0, timeMs: Date.UTC(2026, 1, 3, 4, 5, 6, 7) });
  builder.frame({ data, syncedLsn: 0, timeMs: Number.MAX_SAFE_INTEGER });
  mkdirSync(log);
  writeFileSync(join(log, 'wal-0'), builder.build()[0] as Uint8Array);
  const path = join(log, 'wal-0');
  const shown = await ringwalOk(t, ['inspect', path, '--frames']);
  assert.match(shown, /2026-02-03 04:05:06\.007Z/);
  assert.match(shown, /9007199254740991 ms/);
  const frames = jsonLines(await ringwalOk(t, ['inspect', path, '--frames', '--json']));
  assert.deepEqual(
    frames.map(({ timeMs }) => timeMs),
    [Date.UTC(2026, 1, 3, 4, 5, 6, 7), Number.MAX_SAFE_INTEGER],
  );
  const { segments } = JSON.parse(await ringwalOk(t, ['inspect', log, '--json']));
  assert.equal(segments[0].firstTimeMs, Date.UTC(2026, 1, 3, 4, 5, 6, 7));
  assert.match(await ringwalOk(t, ['inspect', log]), /wal-0/);
});
