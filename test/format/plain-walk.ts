import { type SegmentFile, withSource } from '../../src/format/bytes.js';
import { createChain, enterSegment } from '../../src/format/chain.js';
import { SegmentScanner } from '../../src/format/scan.js';

/** What a walk of a log comes to. */
export interface PlainWalk {
  readonly lastLsn: number;
  readonly syncedLsn: number;
  readonly logId: bigint | undefined;
  readonly stop:
    | { readonly index: number; readonly offset: number; readonly lsn: number; readonly reason: string }
    | undefined;
  readonly batchStart: { readonly index: number; readonly offset: number } | undefined;
  /** Of each segment that was walked: the kept entries, oldest first, and where the last one ends. */
  readonly kept: readonly { readonly lsns: readonly number[]; readonly bytes: number }[];
}

/** The walk as its definition has it: one chain over all frames, and no thought of segments that are walked by themselves. */
export function walkPlainly(files: readonly SegmentFile[], logId: bigint | undefined): PlainWalk {
  const chain = createChain(logId, -1);
  const frames: { index: number; offset: number; end: number; lsn: number; remaining: number }[] = [];
  let syncedLsn = -1;
  let stop: PlainWalk['stop'];
  let walked = 0;
  for (const [index, file] of files.entries()) {
    walked++;
    stop = withSource(file, (source) => {
      enterSegment(chain, file.number);
      const scanner = new SegmentScanner(source, chain);
      for (;;) {
        const { fileOffset: offset, expectedLsn } = chain;
        const outcome = scanner.next();
        if (outcome === 'end') return undefined;
        if (outcome !== undefined) return { index, offset, lsn: expectedLsn, reason: outcome };
        const { lsn, batchRemaining: remaining, unknownCritical } = scanner.frame;
        if (unknownCritical !== 0) return { index, offset, lsn, reason: 'unknown-critical' };
        syncedLsn = Math.max(syncedLsn, scanner.frame.syncedLsn);
        frames.push({ index, offset, end: chain.fileOffset, lsn, remaining });
      }
    });
    if (stop !== undefined) break;
    if (chain.expectedLsn === 0) chain.expectedLsn = 1;
  }
  const whole = frames.findLastIndex(({ remaining }) => remaining === 0) + 1;
  const batch = frames[whole];
  const kept = frames.slice(0, whole);
  return {
    lastLsn: kept.at(-1)?.lsn ?? 0,
    syncedLsn,
    logId: chain.logId,
    stop,
    batchStart: batch && { index: batch.index, offset: batch.offset },
    kept: Array.from({ length: walked }, (_, index) => {
      const mine = kept.filter((frame) => frame.index === index);
      return { lsns: mine.map(({ lsn }) => lsn), bytes: mine.at(-1)?.end ?? 0 };
    }),
  };
}
