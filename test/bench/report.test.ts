import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTENDERS } from '../../bench/contenders/all.js';
import { judgeGoals } from '../../bench/goals.js';
import { spreadOf } from '../../bench/measure/statistics.js';
import { compareResults } from '../../bench/report/compare.js';
import { drawPlots } from '../../bench/report/plots.js';
import { formatReport } from '../../bench/report/table.js';
import type { CaseResult, Results } from '../../bench/results.js';
import { WORKLOADS } from '../../bench/workloads/all.js';

const FUNCTIONS = ['kernel', 'checksum', 'copy', 'encode', 'figures'];

test('every workload names contenders that there are', () => {
  const known = new Set(CONTENDERS.map(({ name }) => name));
  for (const { name, contenders } of WORKLOADS.filter(({ name }) => !FUNCTIONS.includes(name))) {
    for (const contender of contenders) assert.ok(known.has(contender), `${name}: ${contender}`);
  }
});

test('a spread is median and quartiles, whatever the order', () => {
  assert.deepEqual(spreadOf([5, 1, 4, 2, 3]), { median: 3, q1: 2, q3: 4, rounds: 5 });
  assert.deepEqual(spreadOf([1, 2]), { median: 1.5, q1: 1.25, q3: 1.75, rounds: 2 });
});

test('a figure that is worse in nearly all rounds is flagged', () => {
  assert.equal(verdictOf([100, 101, 102, 103, 104], [80, 81, 82, 83, 84]), 'worse');
  assert.equal(verdictOf([100, 101, 102, 103, 104], [120, 121, 122, 123, 124]), 'better');
});

test('a figure whose rounds mingle, or that differs by less than a tenth, is the same', () => {
  assert.equal(verdictOf([60, 100, 101, 102, 160], [60, 80, 81, 82, 140]), 'same');
  assert.equal(verdictOf([100, 101, 102, 103, 104], [95, 96, 97, 98, 99]), 'same');
});

test('of few rounds only a large change is believed', () => {
  assert.equal(verdictOf([100, 101, 102], [80, 81, 82]), 'same');
  assert.equal(verdictOf([100, 101, 102], [70, 71, 72]), 'worse');
});

test('half as fast is as much of a change as twice as fast', () => {
  for (const factor of [1.15, 1.3, 2]) {
    const [slow, fast] = [[100, 101, 102, 103, 104], [100, 101, 102, 103, 104].map((each) => each * factor)];
    assert.equal(verdictOf(slow, fast), 'better', `${factor}`);
    assert.equal(verdictOf(fast, slow), 'worse', `${factor}`);
  }
});

test('a figure that is not there any more is missing, and not the same', () => {
  const before = resultsOf([inFireAndForget('ringwal', [100, 101, 102])]);
  const verdicts = compareResults(before, resultsOf([]), WORKLOADS).map(({ verdict }) => verdict);
  assert.ok(verdicts.length > 0);
  assert.ok(verdicts.every((verdict) => verdict === 'missing'));
});

test('a disk that became slower is no regression', () => {
  const before = [
    inFireAndForget('ringwal', [100, 101, 102]),
    inFireAndForget('raw 1 MiB blocks', [200, 202, 204]),
  ];
  const now = [
    inFireAndForget('ringwal', [50, 51, 52]),
    inFireAndForget('raw 1 MiB blocks', [100, 102, 104]),
  ];
  const [change] = compareResults(resultsOf(before), resultsOf(now), WORKLOADS);
  assert.equal(change?.isToFloor, true);
  assert.equal(change?.verdict, 'same');
});

test('a count is worse as soon as it is higher', () => {
  const counted = (scavenges: number) =>
    resultsOf([
      {
        workload: 'scavenges',
        contender: 'ringwal',
        entryBytes: 100,
        outcomes: [{ figures: { scavenges } }],
      },
    ]);
  const verdicts = (before: number, now: number) =>
    compareResults(counted(before), counted(now), WORKLOADS).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts(0, 1), ['worse']);
  assert.deepEqual(verdicts(1, 1), ['same']);
});

test('a goal is judged by the ratios within each round', () => {
  const results = resultsOf([
    inFireAndForget('ringwal', [300, 30, 3]),
    inFireAndForget('createWriteStream', [100, 10, 1]),
  ]);
  const [toWriteStream, toLmdb] = judgeGoals(results);
  assert.deepEqual([toWriteStream?.measured?.median, toWriteStream?.isMet], [3, true]);
  assert.equal(toLmdb?.measured, undefined);
});

test('a report of a part holds that part only, and its plot is well-formed', () => {
  const results = resultsOf([inFireAndForget('ringwal', [100]), inFireAndForget('lmdb', [10])]);
  const report = formatReport(results, WORKLOADS);
  assert.match(report, /\*\*ringwal\*\* \| 100 \|/);
  assert.doesNotMatch(report, /Replay/);
  const plots = drawPlots(results, WORKLOADS);
  assert.ok(plots.size > 0);
  for (const svg of plots.values()) {
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
    assert.equal(svg.match(/<text/g)?.length, svg.match(/<\/text>/g)?.length);
  }
});

function verdictOf(before: readonly number[], now: readonly number[]): string | undefined {
  const [change] = compareResults(
    resultsOf([inFireAndForget('ringwal', before)]),
    resultsOf([inFireAndForget('ringwal', now)]),
    WORKLOADS,
  );
  return change?.verdict;
}

/** Entries a second of 100 bytes, one figure for each round. */
function inFireAndForget(contender: string, perS: readonly number[]): CaseResult {
  const outcomes = perS.map((entriesPerS) => ({
    figures: { entriesPerS, payloadMibPerS: entriesPerS / 10, mainCpuNs: 100 },
  }));
  return { workload: 'fire-and-forget', contender, entryBytes: 100, outcomes };
}

function resultsOf(cases: readonly CaseResult[]): Results {
  const machine = {
    node: '20.15.0',
    platform: 'linux',
    cpu: 'a processor',
    cpus: 2,
    memoryGib: 4,
    fileSystem: 'ext2/3/4',
    packages: {},
  };
  return { version: 1, machine, scale: 'full', rounds: 3, durationS: 1, skipped: [], cases };
}
