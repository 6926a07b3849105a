import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Evidence, judgeEvidence, ROWS } from '../../src/format/decision-table.js';

const booleans = [false, true] as const;

/** Every combination of what the table looks at. */
function* allEvidence(): Generator<Evidence> {
  for (const unsupported of booleans)
    for (const watermark of [0, 6, 7, 8])
      for (const hasWatermarks of booleans)
        for (const follows of booleans)
          for (const gap of booleans)
            for (const laterBytes of booleans)
              for (const tail of ['end', 'zeros', 'stale', 'bytes'] as const)
                yield {
                  unsupported,
                  watermark,
                  lastLsn: 7,
                  hasWatermarks,
                  frameFollows: () => follows,
                  gap,
                  laterBytes,
                  tail,
                };
}

test('the rows are numbered in their order', () => {
  assert.deepEqual(
    ROWS.map(({ row, verdict }) => [row, verdict]),
    [
      [1, 'unsupported'],
      [2, 'corrupt'],
      [3, 'corrupt'],
      [4, 'corrupt'],
      [5, 'clean'],
      [6, 'torn'],
    ],
  );
});

test('whatever the evidence, exactly the first row that applies decides', () => {
  const seen = new Set<number>();
  for (const evidence of allEvidence()) {
    const expected = evidence.unsupported
      ? 1
      : evidence.watermark > 7
        ? 2
        : !evidence.hasWatermarks && evidence.frameFollows()
          ? 3
          : evidence.gap
            ? 4
            : !evidence.laterBytes && evidence.tail !== 'bytes'
              ? 5
              : 6;
    assert.equal(judgeEvidence(evidence).row, expected, JSON.stringify(evidence));
    seen.add(expected);
  }
  assert.equal(seen.size, 6);
});

test('the expensive question is asked in row 3 only', () => {
  for (const evidence of allEvidence()) {
    let asked = 0;
    const { row } = judgeEvidence({
      ...evidence,
      frameFollows: () => {
        asked++;
        return evidence.frameFollows();
      },
    });
    assert.equal(asked, row < 3 || evidence.hasWatermarks ? 0 : 1);
  }
});
