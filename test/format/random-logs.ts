import fc from 'fast-check';
import type { LogState, StateFault } from '../../src/format/state-file.js';
import { concat, fill, frameWith, hex, LogBuilder, state } from './log-builder.js';

/** The files of a log, whatever has become of them. */
export interface RandomLog {
  /** Ascending by number. */
  readonly segments: readonly RandomSegment[];
  readonly state: LogState | StateFault | undefined;
}

export interface RandomSegment {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * Logs of a few entries in many segments: batches that go on over their ends, LSNs left out, frames of a later version,
 * wal-go's frames; then bits, ends and whole segments that are not what they were.
 */
export function randomLogs(): fc.Arbitrary<RandomLog> {
  return fc
    .record({
      steps: fc.array(step, { minLength: 1, maxLength: 14 }),
      damages: fc.array(damage, { maxLength: 3 }),
      naming: some('at once', 'at once', 'at once', 'late', 'never'),
      dropsEmpty: fc.boolean(),
      known: fc.oneof(
        fc.constant(undefined),
        fc.nat(60).map((watermark) => state(watermark)),
        fc.constant({ fault: 'its checksum does not match' }),
        fc.constant(state(7, 0xf0e1n)),
      ),
    })
    .map(({ steps, damages, naming, dropsEmpty, known }) => {
      const written = write(steps, naming);
      // Numbers are missing then, and no entry.
      const kept = dropsEmpty ? written.filter(({ bytes }) => bytes.length > 0) : written;
      return { segments: inflict(kept, damages), state: known };
    });
}

/**
 * Which frames say what log it is: the first one of each segment; one in the middle of a segment, before which all are wal-go's;
 * none, as in wal-go's logs.
 */
type Naming = 'at once' | 'late' | 'never';

/** What a log is written of, one after the other. */
type Step =
  | {
      readonly kind: 'group' | 'batch';
      readonly lengths: readonly number[];
      readonly lag: number;
      /** Before each of the first entries so many LSNs are left out. */
      readonly skips: readonly number[];
    }
  | { readonly kind: 'segment'; readonly recycled: boolean }
  /** A batch whose last entries never come. */
  | { readonly kind: 'unfinished'; readonly missing: number }
  | { readonly kind: 'critical' }
  | { readonly kind: 'name' };

const one = <T extends string>(kind: T) => fc.constant(kind);
const some = <T extends string>(...kinds: T[]) => fc.constantFrom(...kinds);
const skip = fc.oneof({ weight: 7, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3 }));

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: some('group', 'batch'),
      lengths: fc.array(fc.nat(60), { minLength: 1, maxLength: 6 }),
      lag: fc.nat(6),
      skips: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(skip, { maxLength: 6 })),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: one('segment'), recycled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: one('unfinished'), missing: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: one('critical') }) },
  { weight: 2, arbitrary: fc.record({ kind: one('name') }) },
);

type Fields = Parameters<LogBuilder['frame']>[0];

function write(steps: readonly Step[], naming: Naming): RandomSegment[] {
  const builder = new LogBuilder({ isPlain: naming === 'never' });
  let isNamed = naming === 'at once';
  const put = (fields: Fields) => {
    if (naming !== 'late') builder.frame(fields);
    // Without the log's name a reader knows no frame of ours.
    else
      builder.frame(isNamed ? { segment: undefined, ...fields } : { segment: undefined, data: fields.data });
  };
  for (const each of steps) {
    if (each.kind === 'segment') builder.newSegment({ recycled: each.recycled });
    else if (each.kind === 'critical') writeCritical(builder);
    else if (each.kind === 'unfinished') {
      for (const at of [1, 0]) put({ data: fill(5, at), batchRemaining: each.missing + at });
    } else if (each.kind === 'name') {
      isNamed = true;
      const { logId, segment: number } = builder;
      if (number >= 0)
        put({ data: fill(9, 1), segment: { logId, number, createdMs: 1, recycled: false, branch: 0n } });
    } else {
      writeEntries(builder, put, each);
    }
  }
  return builder.build().map((bytes, number) => ({ number, bytes }));
}

function writeEntries(
  builder: LogBuilder,
  put: (fields: Fields) => void,
  { kind, lengths, lag, skips }: Extract<Step, { lag: number }>,
): void {
  const watermark = Math.max(0, builder.lastLsn - lag);
  for (const [at, length] of lengths.entries()) {
    // Anywhere in a batch a segment may be full.
    if (length % 4 === 0) builder.newSegment();
    put({
      data: fill(length, at),
      syncedLsn: at === 0 ? watermark : undefined,
      batchRemaining: kind === 'batch' ? lengths.length - 1 - at : undefined,
      skipped: skips[at],
    });
  }
}

/** A valid frame that says of itself that who does not know field 17 must not go on. */
function writeCritical(builder: LogBuilder): void {
  if (builder.segment < 0) builder.newSegment();
  const { nextLsn: lsn, segment: number, offset } = builder;
  builder.raw(frameWith('8a0100', { lsn: Math.min(lsn, 127), syncedLsn: 0, number, offset }));
  builder.nextLsn++;
}

type Damage =
  | {
      readonly kind: 'flip' | 'cut' | 'zero' | 'room' | 'garbage' | 'stale';
      readonly at: number;
      readonly by: number;
    }
  | { readonly kind: 'remove' | 'empty' | 'duplicate' | 'swap' | 'foreign' | 'walg'; readonly at: number };

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: some('flip', 'cut', 'zero', 'room', 'garbage', 'stale'), at: fc.nat(), by: fc.nat() }),
  fc.record({ kind: some('remove', 'empty', 'duplicate', 'swap', 'foreign', 'walg'), at: fc.nat() }),
);

function inflict(segments: readonly RandomSegment[], damages: readonly Damage[]): RandomSegment[] {
  const left = [...segments];
  for (const each of damages) {
    if (left.length === 0) break;
    const at = each.at % left.length;
    const { number, bytes } = left[at];
    const other = (at + 1) % left.length;
    if (each.kind === 'remove') left.splice(at, 1);
    else left[at] = { number, bytes: damaged(each, number, bytes, left[other].bytes) };
    if (each.kind === 'swap') left[other] = { number: left[other].number, bytes };
  }
  return left;
}

function damaged(each: Damage, number: number, bytes: Uint8Array, others: Uint8Array): Uint8Array {
  const by = 'by' in each ? each.by : 0;
  const offset = by % (bytes.length + 1);
  switch (each.kind) {
    case 'flip':
      return bytes.map((byte, at) => (at === offset ? byte ^ (1 << (by & 7)) : byte));
    case 'cut':
      return bytes.subarray(0, offset);
    case 'zero':
      return concat([bytes.subarray(0, offset), new Uint8Array(bytes.length - offset)]);
    case 'room':
      return concat([bytes, new Uint8Array(1 + (by % 300))]);
    case 'garbage':
      return concat([bytes, fill(1 + (by % 50), by)]);
    case 'stale':
      return concat([bytes, others.subarray(by % (others.length + 1))]);
    case 'foreign':
      return new LogBuilder({ logId: 0x5eedn, firstSegment: number }).group([fill(9, 9)], 0).build()[0];
    case 'walg':
      return hex('57414c4701001000 0100000000000000');
    case 'empty':
      return new Uint8Array(0);
    default:
      return others;
  }
}
