import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type SegmentFile, withSource } from '../../src/format/bytes.js';
import { assessDamage } from '../../src/format/damage.js';
import { type KnownWalks, walkLog } from '../../src/format/log-walk.js';
import { type KeptFrame, salvageFrames } from '../../src/format/salvage-scan.js';
import { type SegmentWalk, walkSegmentAlone } from '../../src/format/segment-walk.js';
import { surveyLog } from '../../src/format/survey.js';
import { judgeLog } from '../../src/format/verdict.js';
import { entries, filesOf, LogBuilder, state } from './log-builder.js';
import { walkPlainly } from './plain-walk.js';
import { propertyTest } from './property.js';
import { type RandomLog, randomLogs } from './random-logs.js';

function filesIn({ segments }: RandomLog): SegmentFile[] {
  return segments.flatMap(({ number, bytes }) => filesOf([bytes], number));
}

/** What jobs find that know of each segment only its number and how the log is named. */
function walksOf(files: readonly SegmentFile[], known: RandomLog['state']): Map<number, SegmentWalk> {
  const { logId } = surveyLog(files, known !== undefined && 'fault' in known ? undefined : known);
  const walks = files.map(
    (file) =>
      [file.number, withSource(file, (source) => walkSegmentAlone(source, file.number, logId))] as const,
  );
  // As they come from another thread.
  return structuredClone(new Map(walks));
}

/** The same files, and how often each was read behind its first frame. */
function watched(files: readonly SegmentFile[]): { files: SegmentFile[]; reads: number[] } {
  const reads = files.map(() => 0);
  return {
    reads,
    files: files.map(({ number, open }, index) => ({
      number,
      open: () => {
        const source = open();
        return {
          size: source.size,
          read: (offset, length) => {
            if (offset > 0) reads[index]++;
            return source.read(offset, length);
          },
        };
      },
    })),
  };
}

const rows = new Set<number>();
after(() => assert.deepEqual([...rows].sort(), [1, 2, 3, 4, 5, 6], 'the random logs got every verdict'));

propertyTest(
  'a log is judged the same whether its segments were walked by themselves or in one go, or some of them',
  fc.property(randomLogs(), fc.nat(), (log, missing) => {
    const files = filesIn(log);
    const request = { segments: files, state: log.state, full: true };
    const judgement = judgeLog(request);
    const damage = assessDamage(files, judgement);
    rows.add(judgement.row);
    const all = walksOf(files, log.state);
    const some = new Map([...all].filter((_, at) => ((missing >> (at % 31)) & 1) === 0));
    for (const known of [all, some] satisfies KnownWalks[]) {
      const divided = judgeLog({ ...request, known });
      assert.deepEqual(divided, judgement);
      assert.deepEqual(assessDamage(files, divided), damage);
    }
  }),
  { numRuns: 1500 },
);

propertyTest(
  'a log that is walked segment by segment comes to what one chain over all of its frames comes to',
  fc.property(randomLogs(), fc.nat(80), (log, lsn) => {
    const files = filesIn(log);
    const plain = walkPlainly(files, surveyLog(files, undefined).logId);
    const walk = walkLog(files, 0, surveyLog(files, undefined).logId, walksOf(files, undefined));
    const { lastLsn, syncedLsn, logId, batchStart, extents, fault, unsupported } = walk;
    const stop = fault ?? (unsupported && { ...unsupported, reason: 'unknown-critical' });
    const kept = extents.map(({ firstLsn, lastLsn, frames, bytes }) => ({
      firstLsn,
      lastLsn,
      frames,
      bytes,
    }));
    assert.deepEqual(
      { lastLsn, syncedLsn, logId, stop, batchStart, kept },
      {
        ...plain,
        kept: plain.kept.map(({ lsns, bytes }) => ({
          firstLsn: lsns[0] ?? 0,
          lastLsn: lsns.at(-1) ?? 0,
          frames: lsns.length,
          bytes,
        })),
      },
    );
    const above = walk.firstAbove(lsn);
    assert.equal(
      above?.index ?? -1,
      lsn >= lastLsn ? -1 : extents.findIndex((extent) => extent.lastLsn > lsn),
    );
  }),
  { numRuns: 3000 },
);

propertyTest(
  'the damage is the same whether a salvage takes up behind the whole segments or reads them too',
  fc.property(randomLogs(), (log) => {
    const files = filesIn(log);
    const judgement = judgeLog({ segments: files, state: log.state, full: true });
    const { whole, logId } = judgement;
    const fromTheStart: KeptFrame[] = [];
    const end = salvageFrames(files, logId, (frames) => fromTheStart.push(...frames));
    const behind: KeptFrame[] = [];
    assert.deepEqual(
      salvageFrames(files, logId, (frames) => behind.push(...frames), whole),
      end,
    );
    const numbers = new Set(files.slice(whole.count).map(({ number }) => number));
    assert.deepEqual(
      behind,
      fromTheStart.filter(({ segment }) => numbers.has(segment)),
    );
    const kept = fromTheStart.filter(({ segment }) => !numbers.has(segment));
    assert.equal(kept.at(-1)?.lsn ?? 0, whole.lastLsn);
    const none = { count: 0, lastLsn: 0 };
    assert.deepEqual(assessDamage(files, judgement), assessDamage(files, { ...judgement, whole: none }));
    taken.push(whole.count);
  }),
  { numRuns: 3000 },
);

const taken: number[] = [];
after(() => assert.ok(taken.filter((count) => count > 0).length > 300, 'salvages took up behind segments'));

propertyTest(
  'walks of a log whose files have changed since change no verdict',
  fc.property(randomLogs(), randomLogs(), (before, now) => {
    const files = filesIn(now);
    const stale = walksOf(filesIn(before), before.state);
    // A file of another size is another file; of the same size it is one that changed while it was looked at.
    for (const { number, bytes } of now.segments)
      if (stale.get(number)?.size === bytes.length) stale.delete(number);
    const request = { segments: files, state: now.state, full: true };
    assert.deepEqual(judgeLog({ ...request, known: stale }), judgeLog(request));
  }),
);

test('segments that were walked by themselves are not read again, a batch over their ends or not', () => {
  const builder = new LogBuilder().group(entries(9, 900), 0);
  for (let batch = 0; batch < 3; batch++) {
    entries(5, 900).forEach((data, at) => {
      builder.newSegment().frame({ data, syncedLsn: builder.lastLsn, batchRemaining: 4 - at });
    });
  }
  const files = filesOf(builder.build());
  const known = walksOf(files, undefined);
  const { files: seen, reads } = watched(files);
  assert.equal(judgeLog({ segments: seen, state: state(24), full: true, known }).lastLsn, 24);
  assert.deepEqual(
    reads,
    files.map(() => 0),
  );
});
