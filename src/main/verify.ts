import { join } from 'node:path';
import { segmentName } from '../format/segment-name.js';
import { describeReason } from '../format/verdict.js';
import { inspectDirectory } from './job-pool.js';

/** What `Wal.verify` found. It changes nothing. */
export interface VerifyReport {
  readonly directory: string;
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /**
   * `clean`: all is well. `torn`: a write was interrupted; `open` cuts it and loses nothing that was acknowledged.
   * `corrupt`: acknowledged entries cannot be read. `unsupported`: written by a later version, or by wal-go's.
   */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  readonly firstLsn: number;
  /** The last entry that can be read without a gap. */
  readonly lastLsn: number;
  /** The watermark that the files show. Above `lastLsn`: the entries between are lost. */
  readonly watermark: number;
  /** The first thing that is wrong. */
  readonly trouble?: VerifyTrouble;
  readonly segments: readonly VerifySegment[];
  readonly foreignFiles: readonly string[];
  /** Why the state file cannot be read, if that is so. Losing it loses only what it knew. */
  readonly stateFault?: string;
}

export interface VerifyTrouble {
  readonly path: string;
  readonly offset: number;
  /** The entry that should be there; 0 = not known. */
  readonly lsn: number;
  readonly reason: string;
}

export interface VerifySegment {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  /** Bytes up to the end of the last frame that counts. */
  readonly validBytes: number;
  readonly frames: number;
  /** 0 = it holds no entry that counts. */
  readonly firstLsn: number;
  readonly lastLsn: number;
}

export async function verifyDirectory(directory: string): Promise<VerifyReport> {
  const { judgement, foreignFiles, stateFault } = await inspectDirectory({ directory, full: true });
  const { row, verdict, firstLsn, lastLsn, watermark, trouble, segments } = judgement;
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
    segments: segments.map((segment) => ({
      number: segment.number,
      path: pathOf(segment.number),
      bytes: segment.size,
      validBytes: segment.validBytes,
      frames: segment.frames,
      firstLsn: segment.firstLsn,
      lastLsn: segment.lastLsn,
    })),
    foreignFiles,
    ...(stateFault === undefined ? {} : { stateFault }),
  };
}
