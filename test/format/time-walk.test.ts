import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  LatestTime,
  type TimeAnswer,
  type TimedFrame,
  type TimeQuestion,
  TimeWalk,
} from '../../src/format/time-walk.js';
import { LOG_ID } from './log-builder.js';

const HORIZON = 1_000_000;

/** A Segment of which only the resolution matters. */
function segment(timeResolutionMs = 100, createdMs = 0): TimedFrame['segment'] {
  return { logId: LOG_ID, number: 0, createdMs, recycled: false, branch: 0n, timeResolutionMs };
}

interface Said {
  readonly lsn: number;
  readonly timeMs?: number;
  readonly segment?: TimedFrame['segment'];
}

function ask(kind: TimeQuestion['kind'], ms: number, frames: readonly Said[]): TimeAnswer | undefined {
  const walk = new TimeWalk({ kind, ms, horizonMs: HORIZON });
  walk.seeUnknown(1);
  frames.forEach((frame, at) => {
    walk.see({ timeMs: 0, segment: undefined, ...frame }, at === 0);
  });
  return walk.answer;
}

const lsnOf = (answer: TimeAnswer | undefined) => answer?.lsn;

describe('a walk over time stamps', () => {
  const steady = [
    { lsn: 1, timeMs: 1000, segment: segment() },
    { lsn: 5, timeMs: 1100 },
    { lsn: 9, timeMs: 5000 },
  ];

  test('the first entry that reaches a moment is that of the first stamp less than a resolution before it', () => {
    for (const [ms, lsn] of [
      [0, 1],
      [1000, 1],
      [1099, 1],
      [1100, 5],
      [1199, 5],
      // Idle from here on: no entry after the second stamp was made later than 1199.
      [1200, 9],
      [5000, 9],
      [5099, 9],
      [5100, undefined],
    ] as const)
      assert.equal(lsnOf(ask('reaches', ms, steady)), lsn, `at ${ms}`);
  });

  test('the first entry that was certainly made after a moment is that of the first stamp above it', () => {
    for (const [ms, lsn] of [
      [999, 1],
      [1000, 5],
      [1099, 5],
      [1100, 9],
      [5000, undefined],
    ] as const)
      assert.equal(lsnOf(ask('passes', ms, steady)), lsn, `at ${ms}`);
  });

  test('a clock that goes back: what it shows again belongs to the first time that it was reached', () => {
    const frames = [
      { lsn: 1, timeMs: 9000, segment: segment() },
      { lsn: 2, timeMs: 10_000 },
      { lsn: 3, timeMs: 8000 },
      { lsn: 4, timeMs: 9500 },
      { lsn: 5, timeMs: 10_500 },
    ];
    assert.equal(lsnOf(ask('reaches', 8000, frames)), 1);
    assert.equal(lsnOf(ask('reaches', 9500, frames)), 2);
    assert.equal(lsnOf(ask('reaches', 10_200, frames)), 5);
    assert.equal(lsnOf(ask('passes', 9000, frames)), 2);
    assert.equal(lsnOf(ask('passes', 10_000, frames)), 5);
  });

  test('the resolution is that of the Segment before the stamp', () => {
    const frames = [
      { lsn: 1, timeMs: 1000, segment: segment(1000) },
      { lsn: 2, timeMs: 3000, segment: segment(10) },
      { lsn: 3, timeMs: 4000 },
    ];
    assert.equal(lsnOf(ask('reaches', 1999, frames)), 1);
    assert.equal(lsnOf(ask('reaches', 2000, frames)), 2);
    assert.equal(lsnOf(ask('reaches', 3009, frames)), 2);
    assert.equal(lsnOf(ask('reaches', 3010, frames)), 3);
  });

  test('entries without times were made between the stamps around them', () => {
    const frames = [
      { lsn: 1, timeMs: 1000, segment: segment() },
      { lsn: 4, segment: segment() },
      { lsn: 8, timeMs: 9000, segment: segment() },
    ];
    assert.equal(lsnOf(ask('reaches', 1099, frames)), 1);
    for (const ms of [1100, 5000, 9000]) {
      assert.deepEqual(ask('reaches', ms, frames), { lsn: 4, isBounded: true, isStamp: false });
    }
    assert.equal(lsnOf(ask('reaches', 9001, frames)), 8);
    assert.equal(lsnOf(ask('passes', 1000, frames)), 8);
  });

  test('nothing bounds the entries before the first stamp', () => {
    const frames = [{ lsn: 7, timeMs: 1000, segment: segment() }];
    assert.deepEqual(ask('reaches', 900, frames), { lsn: 1, isBounded: false, isStamp: false });
    assert.deepEqual(ask('passes', 900, frames), { lsn: 7, isBounded: false, isStamp: true });
    assert.deepEqual(ask('reaches', 1001, frames), { lsn: 7, isBounded: true, isStamp: true });
  });

  test('a segment without stamps is as old as it says', () => {
    const frames = [{ lsn: 1, segment: segment(100, 4000) }];
    assert.equal(ask('reaches', 5000, frames), undefined, 'the next segment says how far it reaches');
    assert.equal(lsnOf(ask('passes', 3999, frames)), 1);
  });

  test('a stamp beyond the horizon says nothing of its time', () => {
    const frames = [
      { lsn: 1, timeMs: 1000, segment: segment() },
      { lsn: 3, timeMs: Number.MAX_SAFE_INTEGER },
      { lsn: 4, timeMs: HORIZON + 1 },
      { lsn: 6, timeMs: 2000 },
    ];
    assert.equal(lsnOf(ask('reaches', 1500, frames)), 3);
    assert.equal(lsnOf(ask('reaches', 2001, frames)), 6);
    assert.equal(ask('reaches', 3000, frames), undefined);
    assert.equal(lsnOf(ask('passes', 1500, frames)), 6);
  });

  test('both answers only move forward, and a walk that begins at a place gives the same', () => {
    let seed = 12_345;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 300; round++) {
      const frames = Array.from({ length: 12 }, (_, at): Said & { lsn: number } => ({
        lsn: 1 + at * 3,
        timeMs: random(5) === 0 ? 0 : random(20) === 0 ? HORIZON * 2 : 1 + random(3000),
        segment: at === 0 || random(4) === 0 ? segment(1 + random(500), random(2) * random(3000)) : undefined,
      })).filter(({ timeMs = 0, segment: field }) => timeMs > 0 || field !== undefined);
      for (const kind of ['reaches', 'passes'] as const) {
        let before = 0;
        for (let ms = 0; ms < 3600; ms += 41) {
          const answer = ask(kind, ms, frames);
          const lsn = answer?.lsn ?? Number.POSITIVE_INFINITY;
          assert.ok(lsn >= before, `${kind} ${ms} of ${JSON.stringify(frames, bigintsToo)}`);
          before = lsn;
          assert.deepEqual(askFromPlaces(kind, ms, frames), answer);
        }
      }
    }
  });
});

/** Stops at every place that the index would jump to, and goes on there with what was known. */
function askFromPlaces(
  kind: TimeQuestion['kind'],
  ms: number,
  frames: readonly Said[],
): TimeAnswer | undefined {
  const question = { kind, ms, horizonMs: HORIZON };
  // The places are those of a walk with another question.
  const other = new TimeWalk({ kind: 'passes', ms: 1e9, horizonMs: HORIZON });
  other.seeUnknown(1);
  let walk = new TimeWalk(question);
  walk.seeUnknown(1);
  frames.forEach((frame, at) => {
    const { state } = other;
    const isBefore = kind === 'reaches' ? state.reachMs < ms : state.highestMs <= ms;
    if (isBefore && at > 0) walk = new TimeWalk(question, state);
    for (const each of [walk, other]) each.see({ timeMs: 0, segment: undefined, ...frame }, at === 0);
  });
  return walk.answer;
}

const bigintsToo = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);

describe('the latest time of a segment', () => {
  const latestOf = (frames: readonly Omit<Said, 'lsn'>[]) => {
    const latest = new LatestTime();
    for (const frame of frames) latest.see({ timeMs: 0, segment: undefined, ...frame });
    return latest.ms;
  };

  test('is a resolution after its highest stamp', () => {
    assert.equal(latestOf([]), 0);
    assert.equal(latestOf([{ timeMs: 1000, segment: segment() }, {}, { timeMs: 500 }]), 1099);
  });

  test('is not known where entries have no times', () => {
    assert.equal(latestOf([{}]), undefined);
    assert.equal(latestOf([{ segment: segment() }, { timeMs: 5 }]), undefined);
    assert.equal(latestOf([{ timeMs: 5, segment: segment() }, { segment: segment() }]), undefined);
  });
});
