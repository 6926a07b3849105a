import { duration } from '../text/text.js';
import type { LatencySummary } from './latencies.js';

/** The file systems that matter here, by their number in statfs. */
const MEMORY_FILE_SYSTEMS: Readonly<Record<number, string>> = { 16914836: 'tmpfs', 2240043254: 'ramfs' };
const FOREIGN_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  26985: 'NFS',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  16914839: '9p',
  1702057286: 'FUSE',
};

/** No device answers within this time, not even one whose memory survives a power cut. */
const IMPOSSIBLE_MS = 0.008;
/** A faster device has such memory, or does not write. */
const SUSPICIOUS_MS = 0.1;
/** If a sync with a page to write takes hardly longer than an empty one, it did not wait for the page. */
const IDLE_SHARE = 0.7;
/** A setting is worth its disk space if it reduces the time to this share. */
const WORTH_SHARE = 0.8;

export interface SyncFloor {
  /** The type number from statfs. */
  readonly fileSystem: number;
  readonly growing: LatencySummary;
  readonly allocated: LatencySummary;
  readonly idle: LatencySummary;
}

export interface Judged<Answer extends string> {
  readonly answer: Answer;
  /** The reason, in words. */
  readonly why: string;
}

/** Judges whether fsync waits for the disk. Timing can only refute it: a slow disk that lies passes. */
export function judgeSync({
  fileSystem,
  growing,
  idle,
}: SyncFloor): Judged<'no' | 'doubtful' | 'plausible' | 'unsupported'> {
  const memory = MEMORY_FILE_SYSTEMS[fileSystem];
  if (memory !== undefined) {
    return {
      answer: 'no',
      why: `This is ${memory}, a file system in memory. A sync does nothing here, and a power cut erases everything.`,
    };
  }
  const foreign = FOREIGN_FILE_SYSTEMS[fileSystem];
  if (foreign !== undefined) {
    return {
      answer: 'unsupported',
      why: `This is ${foreign}. Put logs on local file systems: ringwal cannot know what a sync guarantees here, or whether locks work.`,
    };
  }
  const took = duration(growing.p50Ms);
  if (growing.p50Ms < IMPOSSIBLE_MS) {
    return {
      answer: 'no',
      why: `A page is synced within ${took}. No device is that fast, so a power cut may erase entries that are acknowledged as durable.`,
    };
  }
  if (growing.p50Ms < SUSPICIOUS_MS) {
    const share = idle.p50Ms / growing.p50Ms;
    const alone =
      share > IDLE_SHARE ? `, and one with nothing to write takes ${duration(idle.p50Ms)}, hardly less` : '';
    return {
      answer: 'doubtful',
      why: `A page is synced within ${took}${alone}. That is plausible for a server disk whose memory survives a power cut. Otherwise a cache between here and the device (of a hypervisor, or of the disk) acknowledges data that is not written.`,
    };
  }
  return {
    answer: 'plausible',
    why: `A page is synced within ${took}, which is plausible for a device that writes it. (Timing cannot prove it; only a power cut can.)`,
  };
}

/** The rows of the printed table that decide about the option preallocate. */
export interface PreallocationRows {
  readonly floor: SyncFloor;
  /** Durable appends with `preallocate: 'ahead'`. */
  readonly durable: LatencySummary;
  /** The same with `preallocate: false`. */
  readonly durableGrowing: LatencySummary;
}

/** Fewer appends say nothing about the typical time. */
const SAMPLES_MIN = 20;

type Change = 'better' | 'worse' | 'same';

/**
 * Judges whether the option preallocate makes durable appends faster here. The measured appends decide. The times of
 * the disk without ringwal give the reason, and are mentioned if they contradict the appends.
 */
export function judgePreallocation(rows: PreallocationRows): Judged<'yes' | 'no' | 'unclear'> {
  const { floor, durable, durableGrowing } = rows;
  if (judgeSync(floor).answer === 'no')
    return { answer: 'no', why: 'A sync does nothing here, so preallocation cannot make it cheaper.' };
  const samples = Math.min(durable.count, durableGrowing.count);
  if (samples < SAMPLES_MIN) {
    return {
      answer: 'unclear',
      why: `Only ${samples} durable appends were timed with one of the settings. Measure for longer (--seconds).`,
    };
  }
  const usual = changeOf(durableGrowing.p50Ms, durable.p50Ms);
  const slowest = changeOf(durableGrowing.p99Ms, durable.p99Ms);
  const took = `With it a durable append takes ${both(durable)}, without it ${both(durableGrowing)}`;
  if ([usual, slowest].includes('better') && [usual, slowest].includes('worse')) {
    return {
      answer: 'unclear',
      why: `${took}: one is better, the other worse.${disagreement(rows, usual)}`,
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

/** A sentence that is added if the times of the disk alone contradict those of the appends. */
function disagreement({ floor: { growing, allocated } }: PreallocationRows, usual: Change): string {
  const disk = changeOf(growing.p50Ms, allocated.p50Ms);
  if (disk === usual) return '';
  const [over, behind] = [duration(allocated.p50Ms), duration(growing.p50Ms)];
  return ` The disk alone takes ${over} over allocated blocks and ${behind} where the file grows, which contradicts this result. Measure again, for longer, on an idle machine.`;
}
