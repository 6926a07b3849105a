import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeStop, judgeMeeting, type Meeting } from '../../src/replica/healing.js';

const LSNS = [0, 1, 4, 5, 6, 9, 10, 11];
const COMPARISONS: readonly Meeting['comparison'][] = ['same', 'equal', 'different', 'none'];

function* meetings(): Generator<Meeting> {
  for (const localFirst of [1, 5])
    for (const localLast of [localFirst - 1, 5, 10])
      for (const known of LSNS.filter((lsn) => lsn <= localLast))
        for (const head of LSNS)
          for (const comparison of COMPARISONS)
            if (comparison !== 'same' || head === known)
              yield { localFirst, localLast, known, head, comparison };
}

test('two histories that differ are never taken for one', () => {
  for (const meeting of meetings())
    if (meeting.comparison === 'different') assert.equal(judgeMeeting(meeting), 'diverged');
});

test('shipping goes on only where the next local entry follows the head', () => {
  for (const meeting of meetings()) {
    const verdict = judgeMeeting(meeting);
    if (describeStop(verdict, meeting, 0) !== undefined) continue;
    if (verdict === 'begin') assert.equal(meeting.head, 0);
    else
      assert.ok(
        meeting.head >= meeting.localFirst - 1 && meeting.head <= meeting.localLast,
        JSON.stringify(meeting),
      );
  }
});

test('a remote that has lost what it acknowledged is always told of, unless replication stops', () => {
  for (const meeting of meetings()) {
    const verdict = judgeMeeting(meeting);
    if (meeting.head < meeting.known && describeStop(verdict, meeting, 0) === undefined)
      assert.equal(verdict, 'ship-again', JSON.stringify(meeting));
  }
});

test('every verdict has a row', () => {
  const verdicts = new Set([...meetings()].map(judgeMeeting));
  assert.deepEqual([...verdicts].sort(), [
    'adopt',
    'begin',
    'continue',
    'diverged',
    'gap',
    'local-behind',
    'ship-again',
  ]);
});
