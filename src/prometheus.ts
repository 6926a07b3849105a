/**
 * `ringwal/prometheus`: exports the figures of logs as metrics of prom-client.
 *
 * ```js
 * const stop = registerWal(wal, { log: 'orders' });      // into prom-client's own registry, or one of yours
 * response.end(await register.metrics());
 * ```
 *
 * The metrics are listed in docs/monitoring.md.
 *
 * @module ringwal/prometheus
 */
import { Counter, Gauge, Histogram, register as ownRegistry, type Registry } from 'prom-client';
import type { Wal, WalStats } from './index.js';
import { DISTRIBUTIONS, type Distribution, FIGURES, type Figure } from './metrics/definitions.js';
import { LABELLED_FIGURES, type LabelledFigure } from './metrics/retention-figures.js';

/** The registry of the metrics, and the label that identifies this log. */
export interface PrometheusOptions {
  /** The registry for the metrics. Default: prom-client's default registry. */
  registry?: Registry | undefined;
  /** Value of the label `log`. Default: the log's directory. */
  log?: string | undefined;
}

/**
 * Adds a log to the metrics of a registry. A registry can hold several logs, with different values of the label
 * `log`. Each scrape reads the figures; between scrapes there is no cost.
 *
 * @returns a function that removes the log from the registry: call it when you close the log
 * @throws `Error`: another log has this label in the registry
 */
export function registerWal(wal: Wal, options: PrometheusOptions = {}): () => void {
  const { registry = ownRegistry, log = wal.directory } = options;
  let metrics = collections.get(registry);
  // The registry has no metrics yet, or it was cleared.
  if (metrics === undefined || !metrics.isRegistered) {
    metrics = new WalMetrics(registry);
    collections.set(registry, metrics);
  }
  return metrics.add(log, wal);
}

const collections = new WeakMap<Registry, WalMetrics>();

/** The metrics of all logs in one registry. */
class WalMetrics {
  readonly #registry: Registry;
  readonly #logs = new Map<string, Wal>();
  /**
   * The figures of the current scrape: prom-client collects the metrics one by one, all within one turn of the event
   * loop.
   */
  #looks: readonly (readonly [log: string, stats: WalStats])[] | undefined;
  readonly #first: Gauge<'log'> | Counter<'log'>;

  constructor(registry: Registry) {
    this.#registry = registry;
    const look = () => this.#look();
    const [first] = FIGURES.map((figure) => createFigure(figure, registry, look));
    this.#first = first as Gauge<'log'> | Counter<'log'>;
    for (const figure of LABELLED_FIGURES) createLabelled(figure, registry, look);
    for (const distribution of DISTRIBUTIONS) new WalDistribution(distribution, registry, look);
  }

  get isRegistered(): boolean {
    return this.#registry.getSingleMetric((FIGURES[0] as Figure).prometheus) === this.#first;
  }

  add(log: string, wal: Wal): () => void {
    if (this.#logs.has(log)) {
      throw new Error(
        `Cannot register "${wal.directory}": another log has the label log="${log}". Use a different label.`,
      );
    }
    this.#logs.set(log, wal);
    return () => {
      if (this.#logs.get(log) === wal) this.#logs.delete(log);
    };
  }

  #look(): readonly (readonly [string, WalStats])[] {
    if (this.#looks === undefined) {
      this.#looks = [...this.#logs].map(([log, wal]) => [log, wal.stats()] as const);
      // A promise, because fake timers do not replace it.
      void Promise.resolve().then(() => {
        this.#looks = undefined;
      });
    }
    return this.#looks;
  }
}

type Look = () => readonly (readonly [log: string, stats: WalStats])[];

function createFigure(
  { kind, prometheus, help, read }: Figure,
  registry: Registry,
  look: Look,
): Gauge<'log'> | Counter<'log'> {
  const configuration = { name: prometheus, help, labelNames: ['log'] as const, registers: [registry] };
  if (kind === 'gauge') {
    return new Gauge({
      ...configuration,
      collect() {
        this.reset();
        for (const [log, stats] of look()) this.set({ log }, read(stats));
      },
    });
  }
  return new Counter({
    ...configuration,
    collect() {
      this.reset();
      for (const [log, stats] of look()) this.inc({ log }, read(stats));
    },
  });
}

function createLabelled(
  { prometheus, help, label, read }: LabelledFigure,
  registry: Registry,
  look: Look,
): Gauge<'log' | LabelledFigure['label']> {
  return new Gauge({
    name: prometheus,
    help,
    labelNames: ['log', label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [log, stats] of look())
        for (const each of read(stats)) this.set({ log, [label]: each.label }, each.value);
    },
  });
}

/** A histogram with given counts: prom-client's own takes only single values. */
class WalDistribution extends Histogram<'log'> {
  readonly #distribution: Distribution;
  readonly #look: Look;

  constructor(distribution: Distribution, registry: Registry, look: Look) {
    const { prometheus: name, help } = distribution;
    super({ name, help, labelNames: ['log'], registers: [registry] });
    this.#distribution = distribution;
    this.#look = look;
  }

  override async get() {
    const { prometheus: name, help, read } = this.#distribution;
    const values = this.#look().flatMap(([log, stats]) => {
      const { count, sum, buckets } = read(stats);
      return [
        ...buckets.map(({ le, count: value }) => ({
          labels: { le: le === Number.POSITIVE_INFINITY ? '+Inf' : le, log },
          value,
          metricName: `${name}_bucket`,
        })),
        { labels: { log }, value: sum, metricName: `${name}_sum` },
        { labels: { log }, value: count, metricName: `${name}_count` },
      ];
    });
    // prom-client's types require a `collect` here, which its own histogram does not return either.
    return { name, help, type: 'histogram', values, aggregator: 'sum' } as unknown as Awaited<
      ReturnType<Histogram<'log'>['get']>
    >;
  }

  /** prom-client calls this instead of [get] when it writes text. Its types do not declare it. */
  getForPromString() {
    return this.get();
  }
}
