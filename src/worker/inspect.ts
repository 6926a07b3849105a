import { createNodeDisk } from '../files/node-disk.js';
import { type SegmentFile, withSource } from '../format/bytes.js';
import { assessDamage, type Damage } from '../format/damage.js';
import { type Judgement, judgeLog } from '../format/verdict.js';
import { failureOf } from './failure.js';
import { listLog, openSource, pendingCutOf, withoutCut } from './log-files.js';
import type { Failure } from './messages.js';
import { readState } from './state-store.js';

/** A job of the pool: what lies in a directory, judged. */
export interface InspectRequest {
  readonly directory: string;
  /** Read every frame, not only those from the segment that holds the watermark. */
  readonly full: boolean;
  /**
   * Two words of 64 bits for who waits: bytes read so far, and bytes of all segments. Each is stored by one instruction and
   * orders nothing. Damage and a writer at work make it read some of them again.
   */
  readonly progress?: SharedArrayBuffer | undefined;
}

export interface Inspection {
  readonly judgement: Judgement;
  readonly foreignFiles: readonly string[];
  /** A `truncateAfter` was interrupted: what stands behind the log's end in its files is no longer of it. */
  readonly isCutDue: boolean;
  /** Why the state file could not be read, if that was so. */
  readonly stateFault: string | undefined;
  /** Where every frame was to be read. */
  readonly damage: Damage | undefined;
}

/** A writer at work moves the tail while it is being read; so often is a log looked at before its verdict is believed. */
const LOOKS_MAX = 10;

/**
 * Judges a log without touching it. If somebody writes it at the same time its tail has no verdict: one that says
 * "corrupt" or "torn" is believed only when the next look finds the log ending at the same entry.
 */
export function inspect(request: InspectRequest): Inspection | { readonly failure: Failure } {
  const { directory, full, progress } = request;
  try {
    let seen = look(directory, full, progress);
    for (let looks = 1; seen.judgement.verdict !== 'clean' && looks < LOOKS_MAX; looks++) {
      const { lastLsn, row } = seen.judgement;
      seen = look(directory, full, progress);
      if (seen.judgement.lastLsn === lastLsn && seen.judgement.row === row) break;
    }
    const { files, ...inspection } = seen;
    return { ...inspection, damage: full ? assessDamage(files, inspection.judgement) : undefined };
  } catch (error) {
    return { failure: failureOf(error, `read "${directory}"`, directory) };
  }
}

/** A job of the pool: one segment file, judged without its neighbours. */
export interface InspectFileRequest {
  readonly path: string;
  /** n of the segment, as its own frames say. */
  readonly number: number;
}

export function inspectFile(request: InspectFileRequest): Judgement | { readonly failure: Failure } {
  const { path, number } = request;
  try {
    const open = () => openSource(createNodeDisk(), path);
    return judgeLog({ segments: [{ number, open }], state: undefined, full: true });
  } catch (error) {
    return { failure: failureOf(error, `read "${path}"`, path) };
  }
}

interface Look extends Omit<Inspection, 'damage'> {
  readonly files: readonly SegmentFile[];
}

function look(directory: string, full: boolean, progress: SharedArrayBuffer | undefined): Look {
  const disk = createNodeDisk();
  // The state first: its watermark is never ahead of segments that are listed later.
  const state = readState(disk, directory);
  const { segments, foreignFiles, isBeingSalvaged } = listLog(disk, directory);
  const cut = pendingCutOf(segments, state);
  const files = counted(withoutCut(segments, cut), progress);
  return {
    files,
    judgement: judgeLog({ segments: files, state, full: full || isBeingSalvaged }),
    foreignFiles,
    isCutDue: cut !== undefined,
    stateFault: state !== undefined && 'fault' in state ? state.fault : undefined,
  };
}

/** The same files, whose reads are counted. */
function counted(
  files: readonly SegmentFile[],
  progress: SharedArrayBuffer | undefined,
): readonly SegmentFile[] {
  if (progress === undefined) return files;
  const words = new BigInt64Array(progress);
  let total = 0;
  for (const file of files) total += withSource(file, ({ size }) => size);
  Atomics.store(words, 1, BigInt(total));
  return files.map(({ number, open }) => ({
    number,
    open: () => {
      const source = open();
      return {
        size: source.size,
        read(offset, length) {
          const bytes = source.read(offset, length);
          Atomics.add(words, 0, BigInt(bytes.length));
          return bytes;
        },
        close: () => source.close?.(),
      };
    },
  }));
}
