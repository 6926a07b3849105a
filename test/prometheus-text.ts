import assert from 'node:assert/strict';

/**
 * A strict reader of Prometheus's text format, version 0.0.4: what a scrape refuses, or takes for something else, is an error.
 *
 *   # HELP name text          at most once for a name, before its samples
 *   # TYPE name type          the same
 *   name{label="value"} 1.5   all samples of a name together, no two with the same labels
 *
 * Of a histogram: `name_bucket` with `le` ascending to +Inf and never falling, `name_sum`, `name_count` equal to the last bucket.
 */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];

export function parsePrometheus(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line has no end');
  const families = new Map<string, { name: string; type: string; help: string; samples: Sample[] }>();
  let current: { name: string; type: string; help: string; samples: Sample[] } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const [, keyword, name = '', rest = ''] = COMMENT.exec(line) ?? [];
    if (keyword !== undefined) {
      if (current?.name !== name) {
        assert.ok(!families.has(name), `${name} comes in two places`);
        current = { name, type: '', help: '', samples: [] };
        families.set(name, current);
      }
      assert.equal(current.samples.length, 0, `${keyword} of ${name} comes behind its samples`);
      const field = keyword === 'HELP' ? 'help' : 'type';
      assert.equal(current[field], '', `a second ${keyword} of ${name}`);
      if (field === 'type') assert.ok(TYPES.includes(rest), line);
      current[field] = rest;
      continue;
    }
    const sample = parseSample(line);
    assert.ok(current !== undefined && belongsTo(current, sample.name), `no family for: ${line}`);
    current.samples.push(sample);
  }
  for (const family of families.values()) check(family);
  return families;
}

function parseSample(line: string): Sample {
  const match = SAMPLE.exec(line);
  assert.ok(match !== null, `no sample: ${line}`);
  const [, name = '', inBraces = '', number = ''] = match;
  const labels: Record<string, string> = {};
  for (let rest = inBraces; rest !== ''; ) {
    const found = LABEL.exec(rest);
    assert.ok(found !== null, `no label: ${rest}`);
    const [all, label = '', value = ''] = found;
    assert.ok(!(label in labels), `the label ${label} comes twice: ${line}`);
    labels[label] = value.replace(/\\(["\\n])/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(all.length);
  }
  const value = parseNumber(number);
  return { name, labels, value };
}

/** As Go's ParseFloat, by which Prometheus reads: the case of NaN and Inf does not matter (prom-client writes "Nan"). */
function parseNumber(text: string): number {
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinity = /^([+-]?)inf$/i.exec(text);
  if (infinity !== null) return infinity[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = Number(text);
  assert.ok(text !== '' && !Number.isNaN(value), `no number: ${text}`);
  return value;
}

function belongsTo({ name, type }: Family, sample: string): boolean {
  if (type !== 'histogram') return sample === name;
  return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
}

function check({ name, type, samples }: Family): void {
  assert.notEqual(type, '', `${name} has no type`);
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    assert.ok(!seen.has(key), `twice: ${key}`);
    seen.add(key);
    if (type === 'counter') assert.ok(sample.value >= 0, key);
  }
  if (type === 'histogram')
    for (const { buckets, count } of histogramsOf(samples, name)) checkBuckets(buckets, count);
}

export interface TextHistogram {
  readonly labels: Readonly<Record<string, string>>;
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

/** The histograms of a family, one for each set of labels. */
export function histogramsOf(samples: readonly Sample[], name: string): TextHistogram[] {
  const own = ({ le: _, ...labels }: Readonly<Record<string, string>>) => labels;
  const keyOf = (sample: Sample) => JSON.stringify(Object.entries(own(sample.labels)).sort());
  return [...new Set(samples.map(keyOf))].map((key) => {
    const mine = samples.filter((sample) => keyOf(sample) === key);
    const only = (suffix: string) => {
      const [sample, ...others] = mine.filter((each) => each.name === name + suffix);
      assert.ok(sample !== undefined && others.length === 0, `${name}${suffix} of ${key}`);
      return sample.value;
    };
    return {
      labels: own((mine[0] as Sample).labels),
      buckets: mine
        .filter((each) => each.name === `${name}_bucket`)
        .map(({ labels, value }) => ({ le: parseNumber(labels.le as string), count: value })),
      sum: only('_sum'),
      count: only('_count'),
    };
  });
}

function checkBuckets(buckets: TextHistogram['buckets'], count: number): void {
  for (const [at, { le, count: upTo }] of buckets.entries()) {
    const before = buckets[at - 1] ?? { le: Number.NEGATIVE_INFINITY, count: 0 };
    assert.ok(le > before.le && upTo >= before.count, `bucket ${le}`);
  }
  const last = buckets.at(-1);
  assert.deepEqual(last, { le: Number.POSITIVE_INFINITY, count });
}
