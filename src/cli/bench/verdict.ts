import { duration } from '../text/text.js';
import type { LatencySummary } from './latencies.js';

/** File systems by the number that statfs has for them, as far as they matter here. */
const MEMORY_FILE_SYSTEMS: Readonly<Record<number, string>> = { 16914836: 'tmpfs', 2240043254: 'ramfs' };
const FOREIGN_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  26985: 'NFS',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  16914839: '9p',
  1702057286: 'FUSE',
};

/** No device answers so soon, not even one that needs not write because its memory outlives a power cut. */
const IMPOSSIBLE_MS = 0.008;
/** So fast is only what has such a memory, or does not write. */
const SUSPICIOUS_MS = 0.1;
/** A sync that takes hardly longer with a page to write than with none did not wait for the page. */
const IDLE_SHARE = 0.7;
/** What a setting must save to be worth its room on the disk. */
const WORTH_SHARE = 0.8;

export interface SyncFloor {
  /** Of statfs. */
  readonly fileSystem: number;
  readonly growing: LatencySummary;
  readonly allocated: LatencySummary;
  readonly idle: LatencySummary;
}

export interface Judged<Answer extends string> {
  readonly answer: Answer;
  /** In words, for people. */
  readonly why: string;
}

/** Does fsync wait for the disk? Timing can only refute it: a disk that lies slowly passes. */
export function judgeSync({
  fileSystem,
  growing,
  idle,
}: SyncFloor): Judged<'no' | 'doubtful' | 'plausible' | 'unsupported'> {
  const memory = MEMORY_FILE_SYSTEMS[fileSystem];
  if (memory !== undefined) {
    return {
      answer: 'no',
      why: `This is ${memory}: memory. A sync does nothing here, and a power cut takes everything.`,
    };
  }
  const foreign = FOREIGN_FILE_SYSTEMS[fileSystem];
  if (foreign !== undefined) {
    return {
      answer: 'unsupported',
      why: `This is ${foreign}. Logs belong on local file systems: what a sync promises here, and whether locks hold, is not known.`,
    };
  }
  const took = duration(growing.p50Ms);
  if (growing.p50Ms < IMPOSSIBLE_MS) {
    return {
      answer: 'no',
      why: `A page is synced within ${took}: no device answers so soon. What is acknowledged as durable here a power cut may take.`,
    };
  }
  if (growing.p50Ms < SUSPICIOUS_MS) {
    const share = idle.p50Ms / growing.p50Ms;
    const alone =
      share > IDLE_SHARE ? `, and one with nothing to write takes ${duration(idle.p50Ms)}, hardly less` : '';
    return {
      answer: 'doubtful',
      why: `A page is synced within ${took}${alone}. That is right for a device whose memory outlives a power cut, as those for servers have it; else something between here and the device acknowledges what it has not written (a hypervisor's cache, a disk's own).`,
    };
  }
  return {
    answer: 'plausible',
    why: `A page is synced within ${took}, as a device takes that writes it. (Timing cannot prove it: only a power cut can.)`,
  };
}

/** What the judgement of the option preallocate rests on: rows of the same table that is printed. */
export interface PreallocationRows {
  readonly floor: SyncFloor;
  /** A durable append with `preallocate: 'ahead'`. */
  readonly durable: LatencySummary;
  /** The same with `preallocate: false`. */
  readonly durableGrowing: LatencySummary;
}

/** Fewer appends say nothing of what most of them take. */
const SAMPLES_MIN = 20;

type Change = 'better' | 'worse' | 'same';

/**
 * Does the option preallocate make durable appends quicker here? The appends themselves answer. What the disk does without
 * ringwal says why, and is named where it lets something else be expected.
 */
export function judgePreallocation(rows: PreallocationRows): Judged<'yes' | 'no' | 'unclear'> {
  const { floor, durable, durableGrowing } = rows;
  if (judgeSync(floor).answer === 'no')
    return { answer: 'no', why: 'Where a sync does nothing it cannot become cheaper.' };
  const samples = Math.min(durable.count, durableGrowing.count);
  if (samples < SAMPLES_MIN) {
    return {
      answer: 'unclear',
      why: `Only ${samples} durable appends were timed with one of its settings: measure for longer (--seconds).`,
    };
  }
  const usual = changeOf(durableGrowing.p50Ms, durable.p50Ms);
  const slowest = changeOf(durableGrowing.p99Ms, durable.p99Ms);
  const took = `With it a durable append takes ${both(durable)}, without it ${both(durableGrowing)}`;
  if ([usual, slowest].includes('better') && [usual, slowest].includes('worse')) {
    return {
      answer: 'unclear',
      why: `${took}: the one is better, the other worse.${disagreement(rows, usual)}`,
    };
  }
  if (usual === 'better') {
    return {
      answer: 'yes',
      why: `${took}: the default 'ahead' pays for small ones, 'zero' (or 'recycle', with retention) for all.${disagreement(rows, usual)}`,
    };
  }
  const comesTo =
    usual === 'worse' || slowest === 'worse'
      ? 'it costs more than it saves'
      : slowest === 'better'
        ? 'only the slowest gain'
        : 'it changes little';
  return {
    answer: 'no',
    why: `${took}: ${comesTo} here, and --preallocate false saves writing the zeros.${disagreement(rows, usual)}`,
  };
}

function changeOf(withoutMs: number, withMs: number): Change {
  if (withMs < withoutMs * WORTH_SHARE) return 'better';
  return withoutMs < withMs * WORTH_SHARE ? 'worse' : 'same';
}

function both({ p50Ms, p99Ms }: LatencySummary): string {
  return `${duration(p50Ms)} (p99 ${duration(p99Ms)})`;
}

/** A sentence where the disk alone lets something else be expected than the appends show. */
function disagreement({ floor: { growing, allocated } }: PreallocationRows, usual: Change): string {
  const disk = changeOf(growing.p50Ms, allocated.p50Ms);
  if (disk === usual) return '';
  const [over, behind] = [duration(allocated.p50Ms), duration(growing.p50Ms)];
  return ` The disk alone takes ${over} over allocated blocks and ${behind} where the file grows, which lets something else be expected: measure again, for longer, on an idle machine.`;
}
