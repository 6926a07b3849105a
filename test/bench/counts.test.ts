/**
 * The part of the benchmarks that no clock decides: how much is allocated, written, synced and said for a given amount
 * of work. It is the same on a slow machine as on a fast one.
 */
import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import threads, { MessagePort } from 'node:worker_threads';
import type { Wal, WalOptions } from '#ringwal';
import { countScavenges } from '../../bench/measure/scavenges.js';
import { cleanUp } from '../cleanup.js';
import { fill, freshLog, SMALL_RING } from '../main/support.js';

/** The longest `syncInterval`: no sync comes of time alone while a test runs. */
const NEVER_MS = 60_000;

/** As in src/worker/write/framer.ts: what one write call hands over, unless a single frame is longer. */
const GROUP_BYTES = 1024 * 1024;

/** As in src/worker/sync/sync-policy.ts: frames that are synced without waiting for the interval. */
const BACKLOG_BYTES = 16 * 1024 * 1024;

test('a million fire-and-forget appends cause no scavenge', async (t) => {
  const wal = await freshLog(t);
  const entry = fill(100, 1);
  // Waits for room by blocking: promises and events, of which there are more the slower the disk is, would be counted too.
  const pushBlocking = async (count: number) => {
    for (let pushed = 0; pushed < count; ) {
      if (wal.tryAppend(entry)) pushed++;
      else wal.flushSync();
    }
  };
  // Until the engine has compiled it, which it does beside, and late on a busy machine: code that is interpreted allocates.
  await pushBlocking(1_000_000);
  assert.equal(await countScavenges(() => pushBlocking(1_000_000)), 0);
});

test('durable appends one at a time take one write, one sync and one message each', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  for (let at = 0; at < 100; at++) await wal.append(fill(100, at), { durable: true });
  assert.deepEqual(difference(before, await counts()), { groups: 100, syncs: 100, messages: 100 });
});

test('appends that are awaited without durable take one write and one message each, and no sync', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  for (let at = 0; at < 100; at++) await wal.append(fill(100, at));
  // The one sync is that of the counting itself, which all of them share.
  assert.deepEqual(difference(before, await counts()), { groups: 100, syncs: 1, messages: 100 });
});

test('a message that a look at the log takes from the port is counted like one that the event loop delivers', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  for (let at = 0; at < 20; at++) {
    const appended = wal.append(fill(100, at));
    // Each call takes what has come: the append's message sooner or later, while the event loop stands still.
    for (const target = at + 2; wal.lastLsn < target; );
    wal.segments();
    await appended;
  }
  assert.equal(difference(before, await counts()).messages, 20);
});

test('a durable batch of a thousand entries takes one write, one sync and one message', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  const batch = Array.from({ length: 1_000 }, (_, at) => fill(100, at));
  await wal.appendBatch(batch, { durable: true });
  assert.deepEqual(difference(before, await counts()), { groups: 1, syncs: 1, messages: 1 });
});

test('a message goes with each sync, however many of a thousand durable appends at once it covers', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  await Promise.all(Array.from({ length: 1_000 }, (_, at) => wal.append(fill(100, at), { durable: true })));
  const { groups, syncs, messages } = difference(before, await counts());
  assert.equal(messages, syncs);
  assert.ok(syncs <= groups, `${syncs} syncs of ${groups} groups`);
});

test('fifty followers cost the writer no write, no sync and one message for each durable append', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const followers = Array.from({ length: 50 }, () => wal.follow({ from: 2 }));
  const before = await counts();
  for (let at = 0; at < 20; at++) {
    const entries = Promise.all(followers.map((follower) => follower.next()));
    await wal.append(fill(100, at), { durable: true });
    for (const { value } of await entries) assert.equal(value?.lsn, at + 2);
  }
  const { groups, syncs, messages } = difference(before, await counts());
  assert.deepEqual([groups, syncs], [20, 20]);
  // One for the append, and one for all who wait for the watermark then.
  assert.ok(messages >= 20 && messages <= 40, `${messages} messages`);
  for (const follower of followers) await follower.return();
});

test('fire-and-forget appends are written in whole groups, synced once for 16 MiB at most and at the end, and not talked about', async (t) => {
  const { wal, counts } = await watchedLog(t, { ringSize: 2 ** 20 });
  const before = await counts();
  const { frameBytes } = wal.stats();
  const waits = await push(wal, fill(100, 1), 200_000);
  const { groups, syncs, messages } = difference(before, await counts());
  const written = wal.stats().frameBytes - frameBytes;
  assert.ok(groups >= Math.floor(written / GROUP_BYTES), `${groups} groups of ${written} bytes`);
  const syncsMax = Math.floor(written / BACKLOG_BYTES) + 1;
  assert.ok(syncs >= 1 && syncs <= syncsMax, `${syncs} syncs of ${written} bytes`);
  // The one that answers `sync`, and at most one for each time that there was no room.
  assert.ok(messages >= 1 && messages <= waits + 1, `${messages} messages, ${waits} waits for room`);
});

test('an entry that is larger than a group is one write', async (t) => {
  const { wal, counts } = await watchedLog(t);
  const before = await counts();
  for (let at = 0; at < 20; at++) await wal.append(fill(2 * GROUP_BYTES, at));
  assert.equal(difference(before, await counts()).groups, 20);
});

test('frames of 100 bytes are at most 17 bytes longer than their data, but for the first of each group', async (t) => {
  const { wal, counts } = await watchedLog(t, { ringSize: SMALL_RING });
  const before = await counts();
  const { frameBytes, payloadBytes } = wal.stats();
  const count = 10_000;
  await push(wal, fill(100, 1), count);
  const { groups } = difference(before, await counts());
  const after = wal.stats();
  const overhead = after.frameBytes - frameBytes - (after.payloadBytes - payloadBytes);
  // Field 4 and the checksum over the extension fields.
  assert.ok(overhead <= count * 17 + groups * 15, `${overhead} bytes beside the data of ${count} entries`);
});

/** Appends `count` times and makes it durable; returns how often there was no room. */
async function push(wal: Wal, entry: Uint8Array, count: number): Promise<number> {
  let waits = 0;
  for (let pushed = 0; pushed < count; ) {
    if (wal.tryAppend(entry)) pushed++;
    else {
      waits++;
      await wal.ready(entry.length);
    }
  }
  await wal.sync();
  return waits;
}

interface Counts {
  /** Write calls' worth of frames. */
  readonly groups: number;
  readonly syncs: number;
  /** From the threads of the log to this one: delivered by its event loop, or taken from the port by who looks at the log. */
  readonly messages: number;
}

function difference(before: Counts, after: Counts): Counts {
  return {
    groups: after.groups - before.groups,
    syncs: after.syncs - before.syncs,
    messages: after.messages - before.messages,
  };
}

/** A log with its first segment, and what it has done; counting costs a `sync`, whose own message is not counted. */
async function watchedLog(
  t: TestContext,
  options: WalOptions = {},
): Promise<{ wal: Wal; counts: () => Promise<Counts> }> {
  let messages = 0;
  const { on } = MessagePort.prototype;
  const counting = t.mock.method(
    MessagePort.prototype,
    'on',
    function (this: MessagePort, event: string, listener: (value: unknown) => void) {
      if (event !== 'message') return on.call(this, event, listener);
      return on.call(this, event, (message: unknown) => {
        messages++;
        listener(message);
      });
    },
  );
  const { receiveMessageOnPort } = threads;
  const taking = t.mock.method(threads, 'receiveMessageOnPort', (port: MessagePort) => {
    const taken = receiveMessageOnPort(port);
    if (taken !== undefined) messages++;
    return taken;
  });
  syncBuiltinESMExports();
  cleanUp(t, () => {
    taking.mock.restore();
    syncBuiltinESMExports();
  });
  const wal = await freshLog(t, { syncInterval: NEVER_MS, ...options });
  counting.mock.restore();
  await wal.append('the first one also makes the segment', { durable: true });
  const counts = async () => {
    // A group is counted after its entries are acknowledged, and before the writer comes to this.
    await wal.sync();
    messages--;
    const { groups, syncs } = wal.stats();
    return { groups, syncs, messages };
  };
  return { wal, counts };
}
