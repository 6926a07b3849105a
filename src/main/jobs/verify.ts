import { join } from 'node:path';
import { clearInterval, setInterval } from '../../files/node-globals.js';
import { CODEC_NAMES } from '../../format/block.js';
import type { BlockSums } from '../../format/block-sums.js';
import type { LsnRange } from '../../format/damage.js';
import { segmentName } from '../../format/segment-name.js';
import { describeReason } from '../../format/verdict.js';
import type { Inspection } from '../../worker/inspect/inspect.js';
import type { CheckedVerifyOptions } from '../options/job-options.js';
import { inspectWholeLog } from './inspect-log.js';

export type { LsnRange };

/** The result of {@link Wal.verify}, which changes nothing. An LSN of 0 means that there is no entry. */
export interface VerifyReport {
  /** The log's directory, absolute. */
  readonly directory: string;
  /** The row of the decision table in docs/format.md, 1 to 6. */
  readonly row: number;
  /**
   * `clean`: the log is intact. `torn`: a write was interrupted; `open` cuts it and loses no acknowledged entry.
   * `corrupt`: acknowledged entries cannot be read. `unsupported`: a later version, or the later format of wal-go,
   * wrote the log.
   */
  readonly verdict: 'clean' | 'torn' | 'corrupt' | 'unsupported';
  /** LSN of the oldest entry. */
  readonly firstLsn: number;
  /** LSN of the last entry that can be read without a gap. */
  readonly lastLsn: number;
  /** The watermark that the files show. If it is above `lastLsn`, the entries between the two are lost. */
  readonly watermark: number;
  /** The first place where the log is wrong; absent if there is none. */
  readonly trouble?: VerifyTrouble;
  /**
   * Entries that the log contained, as far as the remaining files show, and that no repair keeps: the damaged
   * entries, and all entries after them up to the next frame that proves its position. Empty unless the log is
   * corrupt.
   */
  readonly lost: readonly LsnRange[];
  /**
   * In a corrupt log: readable entries after the damage. `Wal.repair` keeps them in the mode `'salvage'` and removes
   * them in the mode `'truncate'`. In a torn log: the entries of the interrupted write, as far as they are known.
   * `open` cuts them; none of them was acknowledged as durable.
   */
  readonly inDoubt: readonly LsnRange[];
  /** A report for each segment, lowest number first. */
  readonly segments: readonly VerifySegment[];
  /** Names of files in the directory that do not belong to the log. */
  readonly foreignFiles: readonly string[];
  /**
   * The reason why the state file cannot be read; absent if it can. Without the state file only the information in it
   * is lost.
   */
  readonly stateFault?: string;
}

/** The first place where a log is wrong. */
export interface VerifyTrouble {
  /** Path of the segment, even if the file is missing. */
  readonly path: string;
  /** Bytes from the start of the segment. */
  readonly offset: number;
  /** LSN of the entry that should be there; 0 = not known. */
  readonly lsn: number;
  /** The reason why there is no valid frame, in words. */
  readonly reason: string;
}

/** The report on one segment. */
export interface VerifySegment {
  /** n in `wal-<n>`. */
  readonly number: number;
  /** The file, absolute. */
  readonly path: string;
  /**
   * The verdict on this segment alone. `torn`: a write to its end was interrupted, or no frame leads to it.
   * `corrupt`: a part of it cannot be read, and acknowledged entries are missing or follow that part.
   */
  readonly verdict: VerifyReport['verdict'];
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Number of valid frames at the start of the segment. An unfinished batch at the end of the log does not count. */
  readonly frames: number;
  /** Bytes of those frames. */
  readonly validBytes: number;
  /** LSN of the first entry in those frames; 0 = there is none. */
  readonly firstLsn: number;
  /** LSN of the last entry in those frames; 0 = there is none. */
  readonly lastLsn: number;
  /** Offset of the first wrong byte; absent if there is none. Zeros after the last frame of a log are not wrong. */
  readonly badOffset?: number;
  /** The reason why that byte is wrong, in words. */
  readonly reason?: string;
  /** The compressed blocks among those frames; absent if there are none. */
  readonly blocks?: VerifyBlocks;
}

/** The compressed blocks of a segment together. */
export interface VerifyBlocks {
  /** Number of blocks. */
  readonly count: number;
  /** Bytes of their entries before compression. */
  readonly rawBytes: number;
  /** Bytes of their entries as they are stored. */
  readonly storedBytes: number;
  /** How they are stored. */
  readonly codecs: readonly ('stored' | 'lz4' | 'zstd')[];
}

/** Interval between two progress reports. */
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
    segments: segments.map(({ size, badOffset, reason, blocks, ...segment }) => ({
      path: pathOf(segment.number),
      bytes: size,
      ...segment,
      ...(badOffset === undefined ? {} : { badOffset }),
      ...(reason === undefined ? {} : { reason: describeReason(reason) }),
      ...(blocks && { blocks: describeBlocks(blocks) }),
    })),
    foreignFiles,
    ...(stateFault === undefined ? {} : { stateFault }),
  };
}

export function describeBlocks({ codecs, ...sums }: BlockSums): VerifyBlocks {
  return { ...sums, codecs: codecs.map((codec) => CODEC_NAMES[codec]) };
}
