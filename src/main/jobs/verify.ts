import { join } from 'node:path';
import { clearInterval, setInterval } from '../../files/node-globals.js';
import type { LsnRange } from '../../format/damage.js';
import { segmentName } from '../../format/segment-name.js';
import { describeReason } from '../../format/verdict.js';
import type { Inspection } from '../../worker/inspect/inspect.js';
import type { CheckedVerifyOptions } from '../options/job-options.js';
import { inspectWholeLog } from './inspect-log.js';

export type { LsnRange };

/** What {@link Wal.verify} found. It changes nothing. LSNs are 0 where there is no entry. */
export interface VerifyReport {
  /** The log's directory, absolute. */
  readonly directory: string;
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /**
   * `clean`: all is well. `torn`: a write was interrupted; `open` cuts it and loses nothing that was acknowledged.
   * `corrupt`: acknowledged entries cannot be read. `unsupported`: written by a later version, or by wal-go's.
   */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** The oldest entry. */
  readonly firstLsn: number;
  /** The last entry that can be read without a gap. */
  readonly lastLsn: number;
  /** The watermark that the files show. Above `lastLsn`: the entries between are lost. */
  readonly watermark: number;
  /** The first thing that is wrong. */
  readonly trouble?: VerifyTrouble;
  /**
   * Entries that were there, as far as what is left shows it, and that no repair keeps: the damaged ones, and those
   * behind them up to the next that proves where it belongs. Empty unless the log is corrupt.
   */
  readonly lost: readonly LsnRange[];
  /**
   * Of a corrupt log: entries that can be read and stand behind the damage. `Wal.repair` keeps them in the mode `'salvage'`
   * and takes them out in the mode `'truncate'`. Of a torn log: those whose write was interrupted, as far as that is known;
   * `open` cuts them, and none was acknowledged as durable.
   */
  readonly inDoubt: readonly LsnRange[];
  /** Each segment by itself, lowest number first. */
  readonly segments: readonly VerifySegment[];
  /** Names of files in the directory that are not the log's. */
  readonly foreignFiles: readonly string[];
  /** Why the state file cannot be read, if that is so. Losing it loses only what it knew. */
  readonly stateFault?: string;
}

/** Where a log goes wrong first. */
export interface VerifyTrouble {
  /** The segment; one that is missing is named too. */
  readonly path: string;
  /** Bytes from its start. */
  readonly offset: number;
  /** The entry that should be there; 0 = not known. */
  readonly lsn: number;
  /** Why what is there is no valid frame, in words. */
  readonly reason: string;
}

/** What is to be said of one segment. */
export interface VerifySegment {
  /** n in `wal-<n>`. */
  readonly number: number;
  /** The file, absolute. */
  readonly path: string;
  /**
   * Of this segment by itself. `torn`: its end was being written when the writing stopped, or nothing that leads to it is
   * there. `corrupt`: something in it cannot be read, and acknowledged entries are missing or stand behind it.
   */
  readonly verdict: VerifyReport['verdict'];
  /** Size of the file. */
  readonly bytes: number;
  /** How many valid frames it begins with. An unfinished batch at the log's end does not count. */
  readonly frames: number;
  /** Their bytes. */
  readonly validBytes: number;
  /** LSN of the first of them; 0 = there is none. */
  readonly firstLsn: number;
  /** LSN of the last of them; 0 = there is none. */
  readonly lastLsn: number;
  /** The first byte that is wrong; absent where nothing is. Zeros behind the last frame of a log are not wrong. */
  readonly badOffset?: number;
  /** Why it is wrong, in words. */
  readonly reason?: string;
}

/** How often who waits is told. */
const PROGRESS_MS = 100;

export async function verifyDirectory(
  directory: string,
  { onProgress, workerUrl }: CheckedVerifyOptions,
): Promise<VerifyReport> {
  const progress = new BigInt64Array(new SharedArrayBuffer(16));
  const tell = () => {
    onProgress?.({
      bytesRead: Number(Atomics.load(progress, 0)),
      bytesTotal: Number(Atomics.load(progress, 1)),
    });
  };
  const timer = onProgress === undefined ? undefined : setInterval(tell, PROGRESS_MS).unref();
  try {
    const found = await inspectWholeLog(directory, progress.buffer, { workerUrl });
    tell();
    return reportOf(directory, found);
  } finally {
    clearInterval(timer);
  }
}

function reportOf(
  directory: string,
  { judgement, foreignFiles, stateFault, damage }: Inspection,
): VerifyReport {
  const { row, verdict, firstLsn, lastLsn, watermark, trouble } = judgement;
  const { segments, lost, inDoubt } = damage ?? { segments: [], lost: [], inDoubt: [] };
  const pathOf = (number: number) => join(directory, segmentName(number));
  return {
    directory,
    row,
    verdict,
    firstLsn,
    lastLsn,
    watermark,
    ...(trouble === undefined
      ? {}
      : {
          trouble: {
            path: pathOf(trouble.segment),
            offset: trouble.offset,
            lsn: trouble.lsn,
            reason: describeReason(trouble.reason),
          },
        }),
    lost,
    inDoubt,
    segments: segments.map(({ size, badOffset, reason, ...segment }) => ({
      path: pathOf(segment.number),
      bytes: size,
      ...segment,
      ...(badOffset === undefined ? {} : { badOffset }),
      ...(reason === undefined ? {} : { reason: describeReason(reason) }),
    })),
    foreignFiles,
    ...(stateFault === undefined ? {} : { stateFault }),
  };
}
