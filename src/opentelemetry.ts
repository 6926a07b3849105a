/**
 * `ringwal/opentelemetry`: exports the figures of a log as observable instruments of a meter.
 *
 * ```js
 * const stop = observeWal(wal, { attributes: { 'ringwal.log': 'orders' } });
 * ```
 *
 * It needs only `@opentelemetry/api`. The application's meter provider decides which figures are read, how often, and
 * where they go. The instruments are listed in docs/monitoring.md.
 *
 * @module ringwal/opentelemetry
 */
import {
  type Attributes,
  type BatchObservableResult,
  type Meter,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import type { Wal, WalStats } from './index.js';
import { DISTRIBUTIONS, type Distribution, FIGURES } from './metrics/definitions.js';
import { LABELLED_FIGURES } from './metrics/retention-figures.js';

/** The meter of the instruments, and the attributes that identify this log. */
export interface OpenTelemetryOptions {
  /**
   * The meter that creates the instruments.
   *
   * @defaultValue `metrics.getMeter('ringwal')`
   */
  meter?: Meter | undefined;
  /**
   * Attributes of every figure of this log.
   *
   * @defaultValue `{ 'ringwal.log': wal.directory }`
   */
  attributes?: Attributes | undefined;
}

/**
 * Makes a meter observe the figures of a log. Each collection reads them.
 *
 * The API has no histogram that takes given counts. So a distribution is three counters: `….bucket` with the
 * attribute `le`, `….sum` and `….count`. Backends compute quantiles from them as from a Prometheus histogram.
 *
 * @returns a function that ends the observation: call it when you close the log
 */
export function observeWal(wal: Wal, options: OpenTelemetryOptions = {}): () => void {
  const { meter = metrics.getMeter('ringwal'), attributes = { 'ringwal.log': wal.directory } } = options;
  const observers = [
    ...FIGURES.map(({ kind, opentelemetry, unit, help: description, read }) => {
      const instrument =
        kind === 'counter'
          ? meter.createObservableCounter(opentelemetry, { unit, description })
          : meter.createObservableGauge(opentelemetry, { unit, description });
      return {
        instruments: [instrument],
        observe: (result: BatchObservableResult, stats: WalStats) =>
          result.observe(instrument, read(stats), attributes),
      };
    }),
    ...LABELLED_FIGURES.map(({ opentelemetry, unit, help: description, label, read }) => {
      const instrument = meter.createObservableGauge(opentelemetry, { unit, description });
      return {
        instruments: [instrument],
        observe: (result: BatchObservableResult, stats: WalStats) => {
          for (const each of read(stats))
            result.observe(instrument, each.value, { ...attributes, [label]: each.label });
        },
      };
    }),
    ...DISTRIBUTIONS.map((distribution) => observerOf(distribution, meter, attributes)),
  ];
  const instruments: Observable[] = observers.flatMap((observer) => observer.instruments);
  const callback = (result: BatchObservableResult) => {
    const stats = wal.stats();
    for (const { observe } of observers) observe(result, stats);
  };
  meter.addBatchObservableCallback(callback, instruments);
  return () => meter.removeBatchObservableCallback(callback, instruments);
}

function observerOf(
  { opentelemetry, unit, help: description, read }: Distribution,
  meter: Meter,
  attributes: Attributes,
) {
  const bucket = meter.createObservableCounter(`${opentelemetry}.bucket`, { unit: '1', description });
  const sum = meter.createObservableCounter(`${opentelemetry}.sum`, { unit, description });
  const count = meter.createObservableCounter(`${opentelemetry}.count`, { unit: '1', description });
  return {
    instruments: [bucket, sum, count],
    observe: (result: BatchObservableResult, stats: WalStats) => {
      const reading = read(stats);
      for (const { le, count: value } of reading.buckets)
        result.observe(bucket, value, { ...attributes, le: String(le) });
      result.observe(sum, reading.sum, attributes);
      result.observe(count, reading.count, attributes);
    },
  };
}
