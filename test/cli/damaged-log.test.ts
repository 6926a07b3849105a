import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { type EntriesOptions, Wal, WalError } from '#ringwal';
import { DamagedLog } from '../../src/cli/look/damaged-log.js';
import type { Context } from '../../src/cli/terminal/context.js';
import { StatusLine } from '../../src/cli/terminal/status-line.js';
import { useWorkerFile } from '../../src/main/threads/start-thread.js';
import { entries, frameWith, LogBuilder } from '../format/log-builder.js';
import { makeLog, range, temporaryLog } from '../main/support.js';
import { DAMAGES, dataOf } from '../worker/recover/damaged-logs.js';
import { jsonLines, plant, plantDamaged, ringwal, ringwalOk } from './support.js';

// `DamagedLog` runs here from the sources, also if the suite is against the package: its jobs then start from the built file.
if (process.env.RINGWAL_TEST_KIND === 'package')
  useWorkerFile(new URL('../../dist/worker.js', import.meta.url));

/** What of a command's context reading a log takes. */
const context = {
  statusLine: () => new StatusLine(new PassThrough()),
  orInterrupted: (work: Promise<unknown>) => work,
} as unknown as Context;

async function openDamaged(directory: string): Promise<DamagedLog> {
  const log = await DamagedLog.open(context, directory);
  assert.ok(log !== undefined, 'it is damaged');
  return log;
}

/** LSNs that are handed out, and the error that ends them. */
async function read(
  log: DamagedLog,
  options: EntriesOptions = {},
): Promise<{ lsns: number[]; error: WalError | undefined }> {
  const lsns: number[] = [];
  try {
    for await (const batch of log.batches(options)) {
      for (const { lsn, data } of batch) {
        lsns.push(lsn);
        assert.ok(data.length > 0);
      }
    }
  } catch (error) {
    assert.ok(error instanceof WalError, String(error));
    return { lsns, error };
  }
  return { lsns, error: undefined };
}

for (const damage of DAMAGES) {
  test(`of a log with ${damage.name} everything before it can be read, and what is readable after it`, async (t) => {
    const directory = plantDamaged(temporaryLog(t), damage.name);
    const { firstLsn, lastLsn, inDoubt, lost, watermark, trouble } = await Wal.verify(directory);
    const log = await openDamaged(directory);
    const before = firstLsn === 0 ? [] : range(firstLsn, lastLsn);

    const all = await read(log);
    assert.deepEqual(all.lsns, before);
    assert.deepEqual([all.error?.code, all.error?.path], ['ERR_WAL_CORRUPT', trouble?.path]);
    if (lastLsn > 0) {
      assert.deepEqual(await read(log, { to: lastLsn }), { lsns: before, error: undefined });
      assert.deepEqual(await read(log, { to: lastLsn, reverse: true }), {
        lsns: before.toReversed(),
        error: undefined,
      });
      assert.equal((await log.get(lastLsn))?.lsn, lastLsn);
      assert.equal((await read(log, { to: lastLsn + 1 })).error?.code, 'ERR_WAL_CORRUPT');
    }

    for (const { first, last } of inDoubt) {
      const after = range(first, last);
      assert.deepEqual(await read(log, { from: first, to: last }), { lsns: after, error: undefined });
      assert.deepEqual(await read(log, { from: first, to: last, reverse: true }), {
        lsns: after.toReversed(),
        error: undefined,
      });
      const onwards = await read(log, { from: last });
      assert.deepEqual(onwards.lsns, [last]);
      assert.equal(
        onwards.error === undefined,
        !lost.some((each) => each.first > last),
        String(onwards.error),
      );
      const downwards = await read(log, { to: first, reverse: true });
      assert.deepEqual([downwards.lsns, downwards.error?.code], [[first], 'ERR_WAL_CORRUPT']);
    }

    for (const { first, last } of lost) {
      for (const lsn of new Set([first, last])) {
        await assert.rejects(log.get(lsn), { code: 'ERR_WAL_CORRUPT' });
        assert.deepEqual((await read(log, { from: lsn })).lsns, []);
        assert.deepEqual((await read(log, { to: lsn, reverse: true })).lsns, []);
      }
    }

    const newestFirst = await read(log, { reverse: true });
    const newest = inDoubt.at(-1);
    assert.deepEqual(
      newestFirst.lsns,
      newest === undefined ? before.toReversed() : range(newest.first, newest.last).toReversed(),
    );
    assert.equal(newestFirst.error?.code, 'ERR_WAL_CORRUPT');

    const highest = Math.max(watermark, newest?.last ?? 0, lost.at(-1)?.last ?? 0);
    assert.deepEqual(await read(log, { from: highest + 1 }), { lsns: [], error: undefined });
    assert.equal(await log.get(highest + 1), undefined);
  });
}

test('a log that can be read is no damaged one', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['one']);
  assert.equal(await DamagedLog.open(context, directory), undefined);
});

test('entries that retention removed are gone, not damaged', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(
    directory,
    range(1, 600).map((n) => `entry ${n}`),
    { maxFileSize: 4096, maxFiles: 3 },
  );
  const [, middle] = (await Wal.verify(directory)).segments;
  rmSync(middle?.path ?? assert.fail());
  const log = await openDamaged(directory);
  assert.ok(log.firstLsn > 1);
  for (const options of [{ from: 1 }, { from: 1, reverse: true }])
    assert.equal((await read(log, options)).error?.code, 'ERR_WAL_PURGED');
});

test('a large damaged log is read a piece at a time, in both directions', async (t) => {
  const directory = temporaryLog(t);
  const lines = range(1, 6000).map((n) => `entry ${n} `.padEnd(200, '-'));
  await makeLog(directory, lines, { maxFileSize: 600_000 });
  rmSync(join(directory, 'wal-1'));
  const log = await openDamaged(directory);
  for (const reverse of [false, true]) {
    const lsns: number[] = [];
    let largest = 0;
    for await (const batch of log.batches({ to: log.lastLsn, reverse })) {
      lsns.push(...batch.map(({ lsn }) => lsn));
      largest = Math.max(
        largest,
        batch.reduce((sum, { data }) => sum + data.length, 0),
      );
    }
    const before = range(1, log.lastLsn);
    assert.deepEqual(lsns, reverse ? before.toReversed() : before);
    assert.ok(largest <= 256 * 1024, String(largest));
  }
});

test('cat and tail of a log with a missing segment print what stands before it, and say which one it is', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'a missing segment in the middle');
  const lines = range(1, 12).map((lsn) => String(Buffer.from(dataOf(lsn))));
  const error =
    /^ringwal: Cannot read entry 13 in ".*\/wal-2": its segment is missing\. After it 19 to 26 \(8 entries\) can be read: --from 19\.\n {2}`ringwal verify .*` shows/;
  const cat = await ringwal(t, ['cat', log]);
  assert.deepEqual([cat.code, cat.stdout], [1, `${lines.join('\n')}\n`]);
  assert.match(cat.stderr, error);
  const tail = await ringwal(t, ['tail', log]);
  assert.deepEqual([tail.code, tail.stdout], [1, `${lines.slice(2).join('\n')}\n`]);
  assert.match(tail.stderr, error);
  const follow = await ringwal(t, ['tail', '-f', '-n', '2', log]);
  assert.deepEqual([follow.code, follow.stdout], [1, `${lines.slice(-2).join('\n')}\n`]);
  assert.equal(await ringwalOk(t, ['cat', log, '--to', '10']), `${lines.slice(0, 10).join('\n')}\n`);
  assert.match(await ringwalOk(t, ['cat', log, '--from', '19', '-l']), /^19\tentry 19 .*\n26\tentry 26 -*/s);
  assert.equal(await ringwalOk(t, ['get', log, '12']), `${lines[11]}\n`);
  const lost = await ringwal(t, ['get', log, '14']);
  assert.deepEqual([lost.code, lost.stdout], [1, '']);
  assert.match(lost.stderr, /Cannot read entry 13 in ".*\/wal-2": its segment is missing/);
});

test('cat and tail of a log whose last segment is cut off print what stands before that', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'the live segment cut off inside a frame');
  const lines = range(1, 25).map((lsn) => String(Buffer.from(dataOf(lsn))));
  for (const [args, expected] of [
    [['cat', log], lines],
    [['cat', log, '--reverse'], lines.toReversed()],
    [['tail', log], lines.slice(-10)],
    [['tail', '-n', '3', log], lines.slice(-3)],
    [['tail', '--from', '20', log], lines.slice(19)],
  ] as const) {
    const { code, stdout, stderr } = await ringwal(t, args);
    assert.deepEqual([code, stdout], [1, `${expected.join('\n')}\n`], args.join(' '));
    assert.match(
      stderr,
      /Cannot read entry 26 in ".*wal-4" at byte \d+: it does not end within the file\.\n/,
    );
  }
  assert.equal(await ringwalOk(t, ['cat', log, '--to', '10']), `${lines.slice(0, 10).join('\n')}\n`);
});

test('tail that meets damage on its way prints the newer entries, then the error', async (t) => {
  const log = temporaryLog(t);
  const lines = range(1, 400).map((n) => `entry ${n}`);
  await makeLog(log, lines, { maxFileSize: 4096 });
  const segment = join(log, 'wal-1');
  const bytes = readFileSync(segment);
  const at = bytes.indexOf('entry 250');
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(segment, bytes);
  const { code, stdout, stderr } = await ringwal(t, ['tail', '-n', '300', log]);
  const printed = stdout.split('\n').slice(0, -1);
  assert.equal(code, 1);
  assert.ok(printed.length > 0);
  assert.deepEqual(printed, lines.slice(-printed.length));
  assert.match(stderr, /Cannot read entry 250/);
});

test("of a log that goes on in a later version's format cat prints what this version reads, and ends with 5", async (t) => {
  const builder = new LogBuilder().group(entries(2), 0);
  const later = frameWith('8a0100', { lsn: 3, syncedLsn: 2, number: 0, offset: builder.offset });
  const [bytes] = builder.raw(later).build();
  const log = plant(temporaryLog(t), new Map([['wal-0', bytes]]));
  const all = await ringwal(t, ['cat', log, '--json']);
  assert.deepEqual([all.code, jsonLines(all.stdout).map(({ lsn }) => lsn)], [5, [1, 2]]);
  assert.match(all.stderr, /has a field that must not be skipped and is not known/);
  const two = jsonLines(await ringwalOk(t, ['cat', log, '--to', '2', '--reverse', '--json']));
  assert.deepEqual(
    two.map(({ lsn }) => lsn),
    [2, 1],
  );
  assert.equal((await ringwal(t, ['cat', log, '--from', '4'])).code, 5);
});
