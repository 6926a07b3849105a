import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { DISTRIBUTIONS, FIGURES } from '../../src/metrics/definitions.js';
import { LABELLED_FIGURES } from '../../src/metrics/retention-figures.js';
import { temporaryDirectory } from '../cleanup.js';
import { type Family, histogramsOf, parsePrometheus } from '../prometheus-text.js';
import { startExample } from './example.js';

const GRAFANA = fileURLToPath(new URL('../../docs/grafana/', import.meta.url));

test('the example serves what Prometheus can read, and its counters grow', async (t) => {
  const { child, ended, url } = await start(t);
  const first = await scrape(url);
  let last = first;
  while (sampleOf(last, 'ringwal_appends_total') < sampleOf(first, 'ringwal_appends_total') + 200)
    last = await scrape(url);
  assert.equal(sampleOf(last, 'ringwal_up'), 1);
  assert.ok(last.has('process_cpu_seconds_total'));
  const family = last.get('ringwal_sync_duration_seconds') as Family;
  const [syncs] = histogramsOf(family.samples, family.name);
  assert.ok(syncs !== undefined && syncs.count > 0 && syncs.sum > 0);
  assert.deepEqual(syncs.labels, { log: 'example' });
  assert.equal((await fetch(new URL('/other', url))).status, 404);
  child.kill('SIGTERM');
  const { code, errors } = await ended;
  assert.deepEqual([code, errors], [0, '']);
});

test('the dashboard, the alert rules and the list of docs/monitoring.md name the metrics that there are', async (t) => {
  const { url } = await start(t);
  const families = [...(await scrape(url)).values()].filter(({ name }) => name.startsWith('ringwal_'));
  const series = families.flatMap(({ name, type }) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );

  const alerts = readAlerts();
  assert.ok(alerts.length > 0);
  assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  for (const { alert, expr, labels, annotations } of alerts) {
    assert.match(labels.severity, /^(critical|warning|info)$/, alert);
    assert.deepEqual(Object.keys(annotations), ['summary', 'description'], alert);
    expectKnown(expr, series, alert);
  }

  const dashboard = readDashboard();
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  for (const { title, targets = [] } of panels) {
    assert.ok(targets.length > 0, title);
    for (const { expr } of targets) expectKnown(expr, series, title);
  }
  const variables = dashboard.templating.list.map(({ name }) => name);
  for (const { title, targets = [] } of panels)
    for (const { expr } of targets)
      for (const [, name = ''] of expr.matchAll(/\$(\w+)/g))
        assert.ok(name.startsWith('__') || variables.includes(name), `${title}: $${name}`);
  expectNoOverlap(dashboard.panels);
  const shown = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr)));
  const hidden = families.filter(({ name }) => !shown.some((each) => each.startsWith(name)));
  assert.deepEqual(
    hidden.map(({ name }) => name).sort(),
    // A number of its own says little: it is there to be compared.
    [
      'ringwal_durable_lsn',
      'ringwal_first_lsn',
      'ringwal_replica_epoch',
      'ringwal_replicated_lsn',
      'ringwal_uptime_seconds',
    ],
  );

  const document = readFileSync(new URL('../../docs/monitoring.md', import.meta.url), 'utf8');
  const rows = [...document.matchAll(/^\| `(ringwal_\w+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  assert.deepEqual(rows.sort(), families.map(({ name, type }) => `${name} ${type}`).sort());
  for (const { alert } of alerts) assert.ok(document.includes(`\`${alert}\``), alert);
});

test('each panel of the dashboard has metrics of one unit, and an axis for it', () => {
  for (const { title, type, targets = [], fieldConfig } of readDashboard().panels) {
    if (type === 'row') continue;
    const units = [...new Set(targets.map(({ expr }) => unitOf(expr, title)))];
    assert.equal(units.length, 1, `${title}: ${units.join(' and ')}`);
    const [unit = ''] = units;
    const axis = fieldConfig?.defaults.unit ?? '';
    assert.ok(axesOf(unit).includes(axis), `${title}: ${unit} on an axis of "${axis}"`);
  }
});

test('the unit of an expression is that of all its metrics, and a panel that mixes two is found', () => {
  for (const [expression, unit] of [
    ['ringwal_segment_bytes{log=~"$log"}', 'By'],
    ['rate(ringwal_written_bytes_total[5m])', 'By/s'],
    ['ringwal_ring_used_bytes / ringwal_ring_bytes', 'ratio'],
    ['rate(ringwal_group_entries_sum[1m]) / rate(ringwal_group_entries_count[1m])', '{entry}'],
    ['histogram_quantile(0.5, sum by (le) (rate(ringwal_sync_duration_seconds_bucket[5m])))', 's'],
    ['rate(ringwal_sync_duration_seconds_count[5m])', 'ringwal_sync_duration_seconds/s'],
    ['ringwal_last_lsn - ringwal_checkpoint_lsn', '{entry}'],
  ] as const)
    assert.equal(unitOf(expression, 'a test'), unit);
  assert.throws(() => unitOf('ringwal_segment_bytes + ringwal_segments', 'a test'), /By and \{segment\}/);
  assert.throws(() => unitOf('ringwal_no_such_thing', 'a test'), /no ringwal_no_such_thing/);
});

test('an alert fires when nothing exports the figures of a log, since what is gone tells no 0', () => {
  const absences = readAlerts().filter(({ expr }) => /\babsent\(ringwal_up\)/.test(expr));
  assert.equal(absences.length, 1);
  const vanished = readAlerts().filter(({ expr }) =>
    /ringwal_up\[\w+\]\)\) unless .*\bringwal_up\b/.test(expr),
  );
  assert.equal(vanished.length, 1);
  for (const { labels } of [...absences, ...vanished]) assert.equal(labels.severity, 'critical');
});

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: Place;
  readonly targets?: readonly { readonly expr: string }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

function readDashboard(): {
  panels: Panel[];
  templating: { list: { name: string; query: string }[] };
} {
  return JSON.parse(readFileSync(`${GRAFANA}ringwal.json`, 'utf8'));
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: object;
}

function readAlerts(): Alert[] {
  const rules = parse(readFileSync(`${GRAFANA}alerts.yml`, 'utf8')) as { groups: { rules: Alert[] }[] };
  return rules.groups.flatMap((group) => group.rules);
}

/** As UCUM writes it; `/s` of a rate; 'ratio' of two of the same. */
function unitOf(expression: string, where: string): string {
  const names = namesIn(expression);
  const units = [...new Set(names.map((name) => unitOfMetric(name, where)))];
  const isQuotient = /\)? \/ (?:rate\()?ringwal_/.test(expression);
  if (/^count\(/.test(expression)) return '{log}';
  // The mean of a distribution.
  if (isQuotient && /_sum\b.*_count\b/.test(expression)) return unitOfMetric(names[0] as string, where);
  assert.equal(units.length, 1, `${where}: ${units.join(' and ')} in ${expression}`);
  const [unit = ''] = units;
  if (isQuotient || /^max\(.* \/ /.test(expression)) return 'ratio';
  return /^rate\(/.test(expression) ? `${unit}/s` : unit;
}

function unitOfMetric(name: string, where: string): string {
  const figure = [...FIGURES, ...LABELLED_FIGURES].find(({ prometheus }) => prometheus === name);
  // A position in the log: the difference of two is a number of entries.
  if (figure !== undefined) return figure.unit === '1' ? '{entry}' : figure.unit;
  const [, of, part] = /^(\w+)_(bucket|sum|count)$/.exec(name) ?? [];
  const distribution = DISTRIBUTIONS.find(({ prometheus }) => prometheus === of);
  assert.ok(distribution !== undefined, `${where}: there is no ${name}`);
  return part === 'count' ? distribution.prometheus : distribution.unit;
}

/** Units of Grafana that show it as what it is. */
function axesOf(unit: string): readonly string[] {
  const axes: Readonly<Record<string, readonly string[]>> = {
    By: ['bytes'],
    'By/s': ['Bps'],
    s: ['s'],
    ratio: ['percentunit'],
  };
  // All others are numbers of something.
  return axes[unit] ?? (unit.endsWith('/s') ? ['ops'] : ['short', 'none']);
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function expectNoOverlap(panels: readonly { title: string; gridPos: Place }[]): void {
  for (const [at, { title, gridPos: a }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, title);
    for (const { title: other, gridPos: b } of panels.slice(at + 1)) {
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert.ok(isApart, `"${title}" lies over "${other}"`);
    }
  }
}

function namesIn(expression: string): string[] {
  return expression.match(/\bringwal_\w+/g) ?? [];
}

function expectKnown(expression: string, series: readonly string[], where: string): void {
  const names = namesIn(expression);
  assert.ok(names.length > 0, where);
  for (const name of names) assert.ok(series.includes(name), `${where}: there is no ${name}`);
}

async function start(t: TestContext) {
  const example = startExample(t, 'monitoring.mjs', ['0', temporaryDirectory(t)]);
  const [, url = ''] = await example.seen(/Metrics at (http:\S+)\n/);
  return { ...example, url };
}

async function scrape(url: string): Promise<Map<string, Family>> {
  const response = await fetch(url);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return parsePrometheus(await response.text());
}

function sampleOf(families: Map<string, Family>, name: string): number {
  const [sample] = families.get(name)?.samples ?? [];
  assert.ok(sample !== undefined, name);
  return sample.value;
}
