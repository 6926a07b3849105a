import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wal, type WalReader } from '#ringwal';
import type { FrameFields } from '../../../src/format/encode.js';
import { cleanUp } from '../../cleanup.js';
import { LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { collect, makeLog, openLog, range, temporaryLog, walError } from '../support.js';

/** Stamps of these tests count from here. */
const BEGAN = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

interface Planted {
  /** Milliseconds after [BEGAN] at which each entry of a segment was made; `undefined`: it is no stamp. */
  readonly ms: readonly (number | undefined)[];
  /** What the first frame says of the segment before. */
  readonly previousMs?: number;
  readonly createdMs?: number;
  readonly timeResolutionMs?: number;
}

/** Plants a log, and opens it for reading. Entries count through; every one is a group. */
async function plantAndOpen(t: TestContext, segments: readonly Planted[]): Promise<WalReader> {
  const log = temporaryLog(t);
  const builder = new LogBuilder();
  segments.forEach(({ ms, previousMs, createdMs = 0, timeResolutionMs }, number) => {
    builder.newSegment();
    ms.forEach((each, at) => {
      const segment = {
        logId: LOG_ID,
        number,
        createdMs: createdMs === 0 ? 0 : BEGAN + createdMs,
        recycled: false,
        branch: 0n,
        timeResolutionMs,
        previousLatestMs: previousMs === undefined ? undefined : BEGAN + previousMs,
      };
      const fields: Partial<FrameFields> = at === 0 ? { segment } : {};
      const timeMs = each === undefined ? 0 : BEGAN + each;
      const { lastLsn } = builder;
      builder.frame({ data: Buffer.from(`${lastLsn + 1}`), syncedLsn: lastLsn, timeMs, ...fields });
    });
  });
  plant(log, builder);
  const reader = await Wal.open(log, { readOnly: true });
  cleanUp(t, () => reader.close());
  return reader;
}

function plant(log: string, builder: LogBuilder): void {
  mkdirSync(log);
  builder.build().forEach((bytes, number) => {
    writeFileSync(join(log, `wal-${number}`), bytes);
  });
}

async function lsnsOf(read: AsyncIterable<{ readonly lsn: number }>): Promise<number[]> {
  return (await collect(read)).map(({ lsn }) => lsn);
}

describe('lsnAt', () => {
  test('of an empty log is the LSN of its first entry', async (t) => {
    const log = temporaryLog(t);
    await makeLog(log, []);
    const reader = await Wal.open(log, { readOnly: true });
    assert.equal(await reader.lsnAt(Date.now()), 1);
    assert.deepEqual(await lsnsOf(reader.entries({ since: 0, until: Date.now() })), []);
    await reader.close();
  });

  test('is firstLsn where all are later, and lastLsn + 1 where none is that late', async (t) => {
    const wal = await openLog(t, temporaryLog(t));
    const before = Date.now();
    await wal.append('a');
    await wal.append('b');
    assert.equal(await wal.lsnAt(0), 1);
    assert.equal(await wal.lsnAt(-5), 1);
    assert.equal(await wal.lsnAt(before), 1);
    assert.equal(await wal.lsnAt(Date.now() + 1000), 3);
    assert.equal(await wal.lsnAt(new Date(8.64e15)), 3);
    await wal.close();
  });

  test('finds entries that were just appended, over rotations, in this process and from outside', async (t) => {
    const log = temporaryLog(t);
    const wal = await openLog(t, log, { maxFileSize: 4096, timeResolution: 1 });
    const reader = await Wal.open(log, { readOnly: true });
    for (let at = 1; at <= 40; at++) {
      const ms = Date.now();
      const lsn = await wal.append('x'.repeat(300), { durable: true });
      for (const view of [wal, reader]) {
        const found = await view.lsnAt(ms);
        assert.ok(found <= lsn, `${found} is later than ${lsn}`);
      }
      if (at % 8 === 0) await sleep(5);
    }
    assert.ok(wal.segments().length > 2);
    for (const ms of range(0, 50).map((back) => Date.now() - back)) {
      assert.equal(await wal.lsnAt(ms), await reader.lsnAt(ms));
    }
    await reader.close();
    await wal.close();
    await assert.rejects(wal.lsnAt(0), walError('ERR_WAL_CLOSED'));
  });

  for (const time of [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    8.64e15 + 1,
    '10:05',
    null,
    undefined,
    5n,
    {},
    new Date(Number.NaN),
  ]) {
    test(`refuses ${String(time)}`, async (t) => {
      const wal = await openLog(t, temporaryLog(t));
      const refused = {
        code: 'ERR_WAL_OPTION',
        message: /must be a valid Date, or milliseconds since 1970, not /,
      };
      // @ts-expect-error what a JavaScript caller may pass
      await assert.rejects(wal.lsnAt(time), refused);
      if (time !== undefined) {
        // @ts-expect-error what a JavaScript caller may pass
        await assert.rejects(collect(wal.entries({ since: time })), refused);
        // @ts-expect-error what a JavaScript caller may pass
        await assert.rejects(collect(wal.batches({ until: time })), refused);
        // @ts-expect-error what a JavaScript caller may pass
        await assert.rejects(collect(wal.follow({ since: time })), refused);
      }
      await wal.close();
    });
  }

  test('a Date that is changed after the call counts as it was', async (t) => {
    const reader = await plantAndOpen(t, [{ ms: [0, 1000, 2000] }]);
    const since = new Date(BEGAN + 2000);
    const read = reader.entries({ since });
    since.setTime(0);
    assert.deepEqual(await lsnsOf(read), [3]);
  });

  test('reads only the segment that has the answer', async (t) => {
    const reader = await plantAndOpen(
      t,
      range(0, 20).map((number) => ({
        ms: [number * 1000, number * 1000 + 500],
        ...(number > 0 && { previousMs: number * 1000 - 500 }),
      })),
    );
    for (const { path, number } of reader.segments()) if (number !== 7) writeFileSync(path, '');
    assert.equal(await reader.lsnAt(BEGAN + 7500), 16);
    assert.equal(await reader.lsnAt(BEGAN + 7500), 16);
  });

  test('finds in an earlier segment what it reached before the clock was set back', async (t) => {
    const reader = await plantAndOpen(t, [
      { ms: [0, 2 * HOUR, HOUR] },
      { ms: [HOUR + 1000, HOUR + 2000], previousMs: 2 * HOUR },
      { ms: [3 * HOUR], previousMs: HOUR + 2000 },
    ]);
    assert.equal(await reader.lsnAt(BEGAN + 2 * HOUR), 2);
    assert.equal(await reader.lsnAt(BEGAN + HOUR + 2000), 2);
    assert.equal(await reader.lsnAt(BEGAN + 2 * HOUR + 100), 6);
    // What the second segment holds was made when the clock had reached two hours before.
    assert.deepEqual(
      await lsnsOf(reader.entries({ since: BEGAN + HOUR, until: BEGAN + 2 * HOUR })),
      [2, 3, 4, 5],
    );
  });

  test('finds the same where nothing says what a segment reaches', async (t) => {
    const reader = await plantAndOpen(t, [
      { ms: [0, 2 * HOUR, HOUR] },
      { ms: [HOUR + 1000, HOUR + 2000] },
      { ms: [3 * HOUR] },
    ]);
    assert.equal(await reader.lsnAt(BEGAN + 2 * HOUR), 2);
    assert.equal(await reader.lsnAt(BEGAN + 2 * HOUR + 100), 6);
  });

  test('does not believe stamps of a clock that stood a day and more after now', async (t) => {
    const far = Date.UTC(2035, 0) - BEGAN;
    const reader = await plantAndOpen(t, [
      { ms: [0, 1000] },
      { ms: [far, far + 1000], previousMs: 1000 },
      { ms: [5000, 6000], previousMs: far + 1000 },
      { ms: [Number.MAX_SAFE_INTEGER - BEGAN, 1 - BEGAN, 7000], previousMs: 6000 },
    ]);
    assert.equal(await reader.lsnAt(BEGAN + 1000), 2);
    assert.equal(await reader.lsnAt(BEGAN + 3000), 3, 'they were made before 5000');
    assert.equal(await reader.lsnAt(BEGAN + 5500), 6);
    assert.equal(await reader.lsnAt(BEGAN + 6500), 9, 'the seventh was made before the clock showed 1');
    assert.equal(await reader.lsnAt(BEGAN + far), 10);
    assert.deepEqual(await lsnsOf(reader.entries({ until: BEGAN + 5000 })), [1, 2, 3, 4, 5]);
  });

  test('uses the resolution that the writer had', async (t) => {
    const reader = await plantAndOpen(t, [{ ms: [0, undefined, 5000], timeResolutionMs: 2000 }]);
    assert.equal(await reader.lsnAt(BEGAN + 1999), 1);
    assert.equal(await reader.lsnAt(BEGAN + 2000), 3);
  });
});

describe('since and until', () => {
  const minutes = [0, 1, 2, 3, 4, 5, 6, 7].map((minute) => minute * 60_000);
  const at = (minute: number) => BEGAN + minute * 60_000;
  const open = (t: TestContext) =>
    plantAndOpen(t, [{ ms: minutes.slice(0, 3) }, { ms: minutes.slice(3, 5) }, { ms: minutes.slice(5) }]);

  test('choose entries in both directions; both ends are inclusive', async (t) => {
    const reader = await open(t);
    for (const [options, expected] of [
      [{ since: at(2) }, [3, 4, 5, 6, 7, 8]],
      [{ since: new Date(at(6)) }, [7, 8]],
      [{ until: at(2) }, [1, 2, 3]],
      [{ until: at(2) - 1 }, [1, 2]],
      [{ since: at(2), until: at(5) }, [3, 4, 5, 6]],
      [{ since: at(5), until: at(2) }, []],
      [{ since: at(9) }, []],
      [{ until: BEGAN - 1 }, []],
      [{ since: 0, until: at(99) }, [1, 2, 3, 4, 5, 6, 7, 8]],
    ] as const) {
      assert.deepEqual(await lsnsOf(reader.entries(options)), expected);
      assert.deepEqual(await lsnsOf(reader.entries({ ...options, reverse: true })), [...expected].reverse());
      assert.deepEqual(
        (await collect(reader.batches(options))).flat().map(({ lsn }) => lsn),
        expected,
      );
    }
  });

  test('are intersected with from and to', async (t) => {
    const reader = await open(t);
    const read = (options: Parameters<WalReader['entries']>[0]) => lsnsOf(reader.entries(options));
    assert.deepEqual(await read({ from: 2, since: at(3) }), [4, 5, 6, 7, 8]);
    assert.deepEqual(await read({ from: 6, since: at(3) }), [6, 7, 8]);
    assert.deepEqual(await read({ from: 2, until: at(3), to: 3 }), [2, 3]);
    assert.deepEqual(await read({ from: 2, until: at(3), to: 7 }), [2, 3, 4]);
    assert.deepEqual(await read({ from: 7, until: at(3) }), []);
  });

  test('of a log whose beginning is gone: since passes over it, from names it', async (t) => {
    const wal = await openLog(t, temporaryLog(t), { maxFileSize: 4096 });
    for (let entry = 0; entry < 60; entry++) await wal.append('x'.repeat(200), { durable: true });
    await wal.truncateBefore(30);
    const { firstLsn } = wal;
    assert.ok(firstLsn > 1);
    assert.equal((await lsnsOf(wal.entries({ since: 0 })))[0], firstLsn);
    assert.equal((await lsnsOf(wal.entries({ since: 0, reverse: true }))).at(-1), firstLsn);
    await assert.rejects(collect(wal.entries({ since: 0, from: 1 })), walError('ERR_WAL_PURGED'));
    await wal.close();
  });

  test('follow begins with the first entry of that moment, and with from after it at that', async (t) => {
    const log = temporaryLog(t);
    const builder = new LogBuilder();
    for (const [index, ms] of [0, 1000, 2000, 3000].entries())
      builder.frame({ data: Buffer.from('x'), syncedLsn: index, timeMs: BEGAN + ms });
    plant(log, builder);
    const wal = await openLog(t, log);
    for (const [options, first] of [
      [{ since: BEGAN + 2000 }, 3],
      [{ since: BEGAN + 2000, from: 1 }, 3],
      [{ since: BEGAN + 2000, from: 4 }, 4],
      [{ since: new Date(0) }, 1],
    ] as const) {
      for (const follower of [wal.follow(options), Wal.follow(log, options)]) {
        assert.equal((await follower.next()).value?.lsn, first);
        await follower.return();
      }
    }
    await wal.close();
  });

  test('follow waits for a moment that is still to come, and passes over what comes before it', async (t) => {
    const log = temporaryLog(t);
    const wal = await openLog(t, log, { timeResolution: 1 });
    await wal.append('old', { durable: true });
    const since = Date.now() + 300;
    const followers = [wal.follow({ since }), Wal.follow(log, { since })];
    const firsts = Promise.all(followers.map((follower) => follower.next()));
    await wal.append('too early', { durable: true });
    while (Date.now() <= since) await sleep(20);
    const lsn = await wal.append('in time', { durable: true });
    for (const { value } of await firsts) assert.equal(value?.lsn, lsn);
    await Promise.all(followers.map((follower) => follower.return()));
    await wal.close();
  });
});

describe('logs without stamps', () => {
  test('of a writer with timeResolution 0 answer by the ages of their segments', async (t) => {
    const reader = await plantAndOpen(
      t,
      [0, 10, 20, 30].map((minute) => ({ ms: [undefined, undefined], createdMs: minute * 60_000 + 1 })),
    );
    const at = (minute: number) => reader.lsnAt(BEGAN + minute * 60_000);
    assert.equal(await at(0), 1);
    assert.equal(await at(5), 1);
    assert.equal(await at(15), 3);
    assert.equal(await at(25), 5);
    assert.equal(await at(31), 7, 'it may have been made since then');
    assert.equal(await reader.lsnAt(Date.now() + HOUR), 9);
    assert.deepEqual(await lsnsOf(reader.entries({ until: BEGAN + 15 * 60_000 })), [1, 2, 3, 4]);
  });

  test('of wal-go are refused, with the code and the way out', async (t) => {
    const log = temporaryLog(t);
    plant(log, new LogBuilder({ isPlain: true }).group([Buffer.from('a'), Buffer.from('b')], 0));
    const reader = await Wal.open(log, { readOnly: true });
    const refused = { code: 'ERR_WAL_UNSUPPORTED', message: /2026-.* have no time stamps.*Give LSNs/s };
    for (const ms of [BEGAN, Date.UTC(2026, 5)]) await assert.rejects(reader.lsnAt(ms), refused);
    await assert.rejects(collect(reader.entries({ since: BEGAN })), refused);
    await assert.rejects(collect(reader.entries({ until: BEGAN })), refused);
    await assert.rejects(collect(reader.follow({ since: BEGAN })), refused);
    await reader.close();
  });

  test('that ringwal has continued answer for what it wrote', async (t) => {
    const log = temporaryLog(t);
    plant(log, new LogBuilder({ isPlain: true }).group([Buffer.from('a'), Buffer.from('b')], 0));
    const wal = await openLog(t, log);
    const before = Date.now();
    await sleep(2);
    await wal.append('c', { durable: true });
    await sleep(150);
    const later = Date.now();
    await wal.append('d', { durable: true });
    assert.equal(await wal.lsnAt(later), 4);
    assert.deepEqual(await lsnsOf(wal.entries({ since: later })), [4]);
    assert.deepEqual(await lsnsOf(wal.entries({ until: later - 1 })), [1, 2, 3]);
    await assert.rejects(wal.lsnAt(before), walError('ERR_WAL_UNSUPPORTED'));
    await wal.close();
  });

  test('that lie between stamps were written between them', async (t) => {
    const reader = await plantAndOpen(t, [
      { ms: [0, 1000] },
      { ms: [undefined, undefined], createdMs: 2000 },
      { ms: [9000], createdMs: 9000 },
    ]);
    assert.equal(await reader.lsnAt(BEGAN + 1500), 3);
    assert.equal(await reader.lsnAt(BEGAN + 5000), 3);
    assert.equal(await reader.lsnAt(BEGAN + 9001), 5);
    assert.deepEqual(await lsnsOf(reader.entries({ until: BEGAN + 5000 })), [1, 2, 3, 4]);
  });
});

describe('a search that the log changes under', () => {
  test('sees a cut: the answer is of the log as it is', async (t) => {
    const wal = await openLog(t, temporaryLog(t), { timeResolution: 1 });
    for (let entry = 0; entry < 5; entry++) {
      await wal.append('x', { durable: true });
      await sleep(3);
    }
    const ms = Date.now() + 1;
    assert.equal(await wal.lsnAt(ms), 6);
    await wal.truncateAfter(2);
    assert.equal(await wal.lsnAt(ms), 3);
    await sleep(3);
    await wal.append('y', { durable: true });
    assert.equal(await wal.lsnAt(ms), 3);
    await wal.close();
  });

  test('a damaged stamp is damage, as for a reader of its entry', async (t) => {
    const log = temporaryLog(t);
    const builder = new LogBuilder();
    for (const [index, ms] of [0, 1000, 2000].entries())
      builder.frame({ data: new Uint8Array(200), syncedLsn: index, timeMs: BEGAN + ms });
    plant(log, builder);
    const reader = await Wal.open(log, { readOnly: true });
    const bytes = builder.build()[0] as Uint8Array;
    const { end } = builder.written[1] as { end: number };
    bytes[end - 8] ^= 1;
    writeFileSync(join(log, 'wal-0.new'), bytes);
    copyFileSync(join(log, 'wal-0.new'), join(log, 'wal-0'));
    await assert.rejects(reader.lsnAt(BEGAN + 1900), walError('ERR_WAL_CORRUPT'));
    assert.equal(await reader.lsnAt(BEGAN), 1);
    await reader.close();
  });
});
