import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Registry } from 'prom-client';
import type { LaneStats } from '#ringwal';
import { registerWal } from '#ringwal/prometheus';
import { type Family, histogramsOf, parsePrometheus } from '../../prometheus-text.js';
import { Producer } from '../append/producers.js';
import { Faults, freshLog, openLog, SMALL_RING, temporaryLog, until } from '../support.js';

async function scrape(registry: Registry): Promise<Map<string, Family>> {
  return parsePrometheus(await registry.metrics());
}

test('a scrape has the figures of the log, under its label', async (t) => {
  const registry = new Registry();
  const wal = await freshLog(t);
  registerWal(wal, { registry, log: 'orders' });
  await wal.appendBatch(['a', 'bc', 'd'], { durable: true });
  const families = await scrape(registry);
  const stats = wal.stats();
  for (const [name, value] of [
    ['ringwal_up', 1],
    ['ringwal_appends_total', 3],
    ['ringwal_payload_bytes_total', 4],
    ['ringwal_written_bytes_total', stats.frameBytes],
    ['ringwal_last_lsn', 3],
    ['ringwal_durable_lsn', 3],
    ['ringwal_unsynced_entries', 0],
    ['ringwal_segments', 1],
    ['ringwal_segment_bytes', stats.segmentBytes],
    ['ringwal_ring_bytes', stats.ringBytes],
    ['ringwal_lanes_open', 1],
  ] as const) {
    assert.deepEqual(families.get(name)?.samples, [{ name, labels: { log: 'orders' }, value }]);
  }
});

test('a scrape has the lag of each checkpoint, and of those that are removed no more; and what the archive has', async (t) => {
  const registry = new Registry();
  const wal = await freshLog(t, { maxFileSize: 4096, archive: async () => {} });
  registerWal(wal, { registry, log: 'orders' });
  for (let at = 0; at < 4; at++) await wal.append(new Uint8Array(1200), { durable: true });
  await wal.checkpoint(3);
  await wal.checkpoint(1, { name: 'mailer' });
  await wal.checkpoint(4, { name: 'index' });
  const lags = async () => {
    const samples = (await scrape(registry)).get('ringwal_checkpoint_lag_entries')?.samples ?? [];
    return samples.map(({ labels, value }) => [labels.log, labels.name, value]);
  };
  assert.deepEqual(await lags(), [
    ['orders', 'mailer', 3],
    ['orders', '', 1],
    ['orders', 'index', 0],
  ]);
  await wal.removeCheckpoint('mailer');
  assert.deepEqual(await lags(), [
    ['orders', '', 1],
    ['orders', 'index', 0],
  ]);
  await until(() => wal.stats().archive?.archived === 1);
  const families = await scrape(registry);
  for (const [name, value] of [
    ['archived_segments_total', 1],
    ['archive_failures_total', 0],
    ['archive_pending_segments', 0],
    ['archive_pending_bytes', 0],
    ['archive_pending_seconds', 0],
  ] as const)
    assert.equal(families.get(`ringwal_${name}`)?.samples[0]?.value, value, name);
});

test('a scrape sees the ring that another thread fills, and what found no room there, also once its lane is closed', async (t) => {
  const registry = new Registry();
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl, ringSize: SMALL_RING });
  registerWal(wal, { registry });
  const code = `
    say('attached');
    await hear();
    const entry = Buffer.alloc(10_000, 1);
    while (lane.tryAppend(entry));
    lane.createLogStream({ onFull: 'drop' }).write('x'.repeat(10_000) + '\\n');
    const queued = lane.append(entry);
    const ready = lane.ready(10_000);
    say(lane.stats());
    await Promise.all([queued, ready]);
    await lane.close();
    say('closed');`;
  const counts = ['refused', 'queued', 'waits', 'dropped_lines'] as const;
  const read = async () => {
    const families = await scrape(registry);
    const value = (name: string) => families.get(`ringwal_${name}`)?.samples[0]?.value ?? assert.fail(name);
    return { used: value('ring_used_bytes'), counts: counts.map((name) => value(`${name}_total`)) };
  };
  const expected = counts.map(() => 0);
  // The second thread has the memory of the first one.
  for (const round of [1, 2]) {
    const producer = new Producer(t, wal.attachment(), code);
    assert.equal(await producer.says(), 'attached');
    faults.give('hold-write');
    const held = wal.append('x');
    await until(() => faults.isMet('hold-write'));
    producer.tell('fill it');
    const stats = (await producer.says()) as LaneStats;
    assert.ok(stats.ringUsed > SMALL_RING / 2);
    const { refused, queued, waits, droppedLines } = stats;
    for (const [at, count] of [refused, queued, waits, droppedLines].entries()) {
      assert.ok(count > 0, counts[at]);
      expected[at] = (expected[at] as number) + count;
    }
    assert.deepEqual(await read(), { used: stats.ringUsed, counts: expected }, `round ${round}`);
    assert.ok(wal.stats().ringUsed < stats.ringUsed);
    faults.recall('hold-write');
    await held;
    assert.equal(await producer.says(), 'closed');
    await until(() => wal.stats().lanes.open === 1);
    assert.deepEqual(await read(), { used: 0, counts: expected }, `after round ${round}`);
    assert.equal(wal.stats().lanes.reused, round - 1);
  }
});

test('counters end with _total, nothing else does, and every metric has help and a unit of the base', async (t) => {
  const registry = new Registry();
  registerWal(await freshLog(t), { registry });
  for (const { name, type, help } of (await scrape(registry)).values()) {
    assert.match(name, /^ringwal_[a-z]+(_[a-z]+)*$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.ok(help.length > 10, name);
    assert.doesNotMatch(name, /(milli|micro|nano|kilo|mega)/);
  }
});

test('a latency is a histogram in seconds: cumulative buckets, sum and count', async (t) => {
  const registry = new Registry();
  const wal = await freshLog(t);
  registerWal(wal, { registry });
  for (let i = 0; i < 5; i++) await wal.append('x', { durable: true });
  const families = await scrape(registry);
  const { syncs, syncMicros } = wal.stats();
  const family = families.get('ringwal_sync_duration_seconds') as Family;
  assert.equal(family.type, 'histogram');
  const [{ labels, sum, count, buckets } = assert.fail(), ...others] = histogramsOf(
    family.samples,
    family.name,
  );
  assert.deepEqual(others, []);
  assert.deepEqual([labels, sum, count], [{ log: wal.directory }, syncMicros.sum / 1e6, syncs]);
  // In no bucket is a value above its bound, as far as the log's own histogram shows.
  for (const { le, count: upTo } of buckets) {
    const below = syncMicros.buckets.filter((bucket) => bucket.below <= le * 1e6 + 0.5);
    assert.equal(
      upTo,
      below.reduce((all, bucket) => all + bucket.count, 0),
    );
  }
});

test('several logs share the metrics of a registry; each leaves by itself, and its label is free again', async (t) => {
  const registry = new Registry();
  const [a, b] = [await freshLog(t), await freshLog(t)];
  const stop = registerWal(a, { registry, log: 'a' });
  registerWal(b, { registry, log: 'b' });
  assert.throws(() => registerWal(b, { registry, log: 'a' }), /another log has the label log="a"/);
  await b.append('x');
  const appends = async () =>
    (await scrape(registry))
      .get('ringwal_appends_total')
      ?.samples.map(({ labels, value }) => [labels.log, value]);
  assert.deepEqual(await appends(), [
    ['a', 0],
    ['b', 1],
  ]);
  stop();
  stop();
  assert.deepEqual(await appends(), [['b', 1]]);
  registerWal(a, { registry, log: 'a' });
  assert.equal((await appends())?.length, 2);
});

test('metrics of others stay, and a registry that was cleared takes the log again', async (t) => {
  const registry = new Registry();
  new Counter({ name: 'mine_total', help: 'of the application', registers: [registry] }).inc();
  const wal = await freshLog(t);
  registerWal(wal, { registry });
  assert.ok((await scrape(registry)).has('mine_total'));
  registry.clear();
  registerWal(wal, { registry });
  assert.equal((await scrape(registry)).get('ringwal_up')?.samples[0]?.value, 1);
});

test('OpenMetrics text and JSON have the histograms too', async (t) => {
  const registry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  registerWal(await freshLog(t), { registry, log: 'x' });
  const text = await registry.metrics();
  assert.match(text, /^ringwal_sync_duration_seconds_bucket\{le="\+Inf",log="x"\} 0$/m);
  assert.match(text, /^ringwal_appends_total\{log="x"\} 0$/m);
  assert.match(text, /# EOF\n$/);
  const json = await registry.getMetricsAsJSON();
  assert.ok(json.some(({ name }) => name === 'ringwal_group_entries'));
});

test('a log that an error has ended is down', async (t) => {
  const registry = new Registry();
  const faults = new Faults(t);
  const wal = await openLog(t, temporaryLog(t), { workerUrl: faults.workerUrl });
  registerWal(wal, { registry });
  faults.give('fail-sync', 'EIO');
  await assert.rejects(wal.append('x', { durable: true }));
  faults.recall('fail-sync');
  assert.equal((await scrape(registry)).get('ringwal_up')?.samples[0]?.value, 0);
  await assert.rejects(wal.close());
});
