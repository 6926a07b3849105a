import { duration } from '../text.js';
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

/** Do allocated blocks make a sync cheaper here? */
export function judgePreallocation(floor: SyncFloor): Judged<'yes' | 'no'> {
  if (judgeSync(floor).answer === 'no') {
    return { answer: 'no', why: 'Where a sync does nothing it cannot become cheaper.' };
  }
  const { growing, allocated } = floor;
  const [grown, over] = [duration(growing.p50Ms), duration(allocated.p50Ms)];
  return allocated.p50Ms < growing.p50Ms * WORTH_SHARE
    ? {
        answer: 'yes',
        why: `Over allocated blocks a sync takes ${over} instead of ${grown}: the option preallocate pays for durable appends, the default 'ahead' for small ones, 'zero' (or 'recycle', with retention) for all.`,
      }
    : {
        answer: 'no',
        why: `Over allocated blocks a sync takes ${over}, behind the end of a file ${grown}: preallocate changes little here, and false saves writing the zeros.`,
      };
}
