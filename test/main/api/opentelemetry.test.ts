import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { observeWal } from '#ringwal/opentelemetry';
import { cleanUp } from '../../cleanup.js';
import { freshLog } from '../support.js';

function createMeter() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  // Collected when the test says so.
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const provider = new MeterProvider({ readers: [reader] });
  const collect = async () => {
    exporter.reset();
    await provider.forceFlush();
    const metrics = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
  };
  return { meter: provider.getMeter('test'), collect, shutdown: () => provider.shutdown() };
}

test('a collection has the figures of the log, with units and attributes', async (t) => {
  const { meter, collect, shutdown } = createMeter();
  cleanUp(t, shutdown);
  const wal = await freshLog(t);
  observeWal(wal, { meter, attributes: { 'ringwal.log': 'orders' } });
  await wal.appendBatch(['a', 'bc'], { durable: true });
  const metrics = await collect();
  const stats = wal.stats();
  for (const [name, unit, value] of [
    ['ringwal.up', '1', 1],
    ['ringwal.appends', '{entry}', 2],
    ['ringwal.written', 'By', stats.frameBytes],
    ['ringwal.lsn.durable', '1', 2],
    ['ringwal.sync.duration.count', '1', stats.syncs],
    ['ringwal.sync.duration.sum', 's', stats.syncMicros.sum / 1e6],
  ] as const) {
    const metric = metrics.get(name);
    assert.equal(metric?.descriptor.unit, unit, name);
    const points = metric?.dataPoints.map((point) => ({ value: point.value, attributes: point.attributes }));
    assert.deepEqual(points, [{ value, attributes: { 'ringwal.log': 'orders' } }], name);
  }
});

test('what only grows is a monotonic sum, what goes up and down a gauge', async (t) => {
  const { meter, collect, shutdown } = createMeter();
  cleanUp(t, shutdown);
  observeWal(await freshLog(t), { meter });
  const metrics = await collect();
  const appends = metrics.get('ringwal.appends');
  assert.ok(appends?.dataPointType === DataPointType.SUM && appends.isMonotonic);
  assert.equal(metrics.get('ringwal.ring.usage')?.dataPointType, DataPointType.GAUGE);
  for (const name of metrics.keys()) assert.match(name, /^ringwal(\.[a-z]+(_[a-z]+)*)+$/);
});

test('buckets of a latency are cumulative, up to infinity', async (t) => {
  const { meter, collect, shutdown } = createMeter();
  cleanUp(t, shutdown);
  const wal = await freshLog(t);
  observeWal(wal, { meter });
  await wal.append('x', { durable: true });
  const points = (await collect()).get('ringwal.sync.duration.bucket')?.dataPoints ?? [];
  const counts = points.map(({ value }) => value as number);
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
  );
  assert.equal(points.at(-1)?.attributes.le, 'Infinity');
  assert.equal(counts.at(-1), wal.stats().syncs);
  assert.equal(points[0]?.attributes['ringwal.log'], wal.directory);
});

test('whoever ends the observation is not asked any more', async (t) => {
  const { meter, collect, shutdown } = createMeter();
  cleanUp(t, shutdown);
  const wal = await freshLog(t);
  const stop = observeWal(wal, { meter });
  stop();
  let asked = 0;
  const { stats } = wal;
  wal.stats = () => {
    asked += 1;
    return stats.call(wal);
  };
  await collect();
  assert.equal(asked, 0);
});
