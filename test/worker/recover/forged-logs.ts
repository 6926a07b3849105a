import type { Random } from '../../../src/files/simulation/simulated-disk.js';
import { STATE_FILE, segmentName } from '../../../src/format/segment-name.js';
import { emptyState, encodeState } from '../../../src/format/state-file.js';
import { frameWith, LOG_ID, LogBuilder } from '../../format/log-builder.js';
import { dataOf, type Image } from './damaged-logs.js';

const OTHER_LOG_ID = 0x5eedn;

/**
 * A log that no writer has written, of frames whose checksums all match: watermarks, batches, skipped LSNs, segments' names and
 * the state file say what they like. What a program with a fault writes, or somebody who means harm.
 */
export function forgedLog(random: Random): Image {
  const builder = new LogBuilder({
    firstSegment: random.pick([0, 0, 0, 7]),
    firstLsn: random.pick([1, 1, 1, 40, 2 ** 53 - 20]),
    isPlain: random.chance(0.1),
  });
  for (let left = 1 + random.below(30); left > 0; left--) forgeFrame(builder, random);
  const first = builder.segment + 1 - builder.build().length;
  const image: Image = new Map();
  for (const [at, bytes] of builder.build().entries()) {
    // A number may be missing, and what is left may have another's.
    if (!random.chance(0.03)) image.set(segmentName(first + at), bytes);
  }
  if (random.chance(0.7)) image.set(STATE_FILE, forgeState(builder, random, first));
  return image;
}

function forgeFrame(builder: LogBuilder, random: Random): void {
  if (random.chance(0.2)) builder.newSegment({ recycled: random.chance(0.2) });
  const { nextLsn } = builder;
  const lsn = random.chance(0.04) ? 1 + random.below(2 * nextLsn) : nextLsn;
  const skipped = random.chance(0.08) ? random.pick([1, 2, 5, 60, 2 ** 40]) : undefined;
  if (random.chance(0.02) && builder.segment >= 0 && nextLsn < 128) {
    const syncedLsn = Math.max(0, nextLsn - 3);
    builder.raw(
      frameWith('8a0100', { lsn: nextLsn, syncedLsn, number: builder.segment, offset: builder.offset }),
    );
    builder.nextLsn += 1;
    return;
  }
  builder.frame({
    data: dataOf(nextLsn % 1000),
    ...(lsn === nextLsn ? {} : { lsn }),
    ...(skipped !== undefined && lsn === nextLsn && nextLsn + skipped < 2 ** 53 ? { skipped } : {}),
    ...(random.chance(0.5) ? { syncedLsn: forgeWatermark(random, lsn) } : {}),
    ...(random.chance(0.2) ? { batchRemaining: random.pick([1, 1, 2, 3, 2 ** 31]) } : {}),
    ...(random.chance(0.05) ? { segment: forgeStamp(builder, random) } : {}),
  });
}

function forgeWatermark(random: Random, lsn: number): number {
  const honest = Math.max(0, lsn - 1 - random.below(6));
  return random.chance(0.9) ? honest : random.pick([lsn, lsn + 3, lsn + 100, 2 ** 53 - 1]);
}

function forgeStamp(builder: LogBuilder, random: Random) {
  const number = Math.max(0, builder.segment);
  return {
    logId: random.chance(0.8) ? LOG_ID : OTHER_LOG_ID,
    number: random.chance(0.8) ? number : number + 1,
    createdMs: 1,
    recycled: random.chance(0.2),
    branch: random.pick([0n, 5n, 2n ** 64n - 1n]),
  };
}

function forgeState(builder: LogBuilder, random: Random, firstSegment: number): Uint8Array {
  const { lastLsn } = builder;
  const watermark = random.chance(0.8)
    ? Math.max(0, lastLsn - random.below(6))
    : random.pick([0, lastLsn + 1, lastLsn + 100, 2 ** 53 - 1]);
  const pendingCut = {
    segment: firstSegment + random.below(8),
    offset: random.pick([0, 0, random.below(400), 2 ** 40]),
    lsn: random.pick([0, 1, random.below(40), 2 ** 53 - 1]),
  };
  return encodeState({
    ...emptyState(random.chance(0.9) ? LOG_ID : OTHER_LOG_ID),
    branch: random.pick([0n, 5n]),
    watermark: Math.min(watermark, 2 ** 53 - 1),
    checkpoint: random.below(60),
    ...(random.chance(0.15) ? { pendingCut } : {}),
  });
}
