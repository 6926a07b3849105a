/**
 * Rules 3 to 5 of frame.ts: does a parsed frame belong exactly here, in this log, this file, at this offset, after
 * this predecessor?
 */

import type { Block } from './block.js';
import {
  dataChecksum,
  FRAME_CRC_BYTES,
  type Frame,
  type FrameFault,
  frameChecksum,
  frameChecksumSeed,
} from './frame.js';

/** The place of the next frame. */
export interface ChainContext {
  /** The predecessor's last LSN + 1; 0 = any, for the first frame that is scanned. */
  expectedLsn: number;
  /** The predecessor's batch_remaining. */
  batchRemaining: number;
  /** Of the file; `undefined` while the log or the file's number is not known. */
  seed: number | undefined;
  /** `undefined` = the first Segment decides. */
  logId: bigint | undefined;
  /** Of the file; -1 = the first Segment decides. */
  number: number;
  fileOffset: number;
}

/** The place where a scan begins: the first frame of segment `number`. */
export function createChain(logId: bigint | undefined, number: number): ChainContext {
  const chain: ChainContext = {
    expectedLsn: 0,
    batchRemaining: 0,
    seed: undefined,
    logId,
    number: -1,
    fileOffset: 0,
  };
  enterSegment(chain, number);
  return chain;
}

/** Continues at the start of another file. */
export function enterSegment(chain: ChainContext, number: number): void {
  chain.number = number;
  chain.fileOffset = 0;
  chain.seed = chain.logId === undefined || number < 0 ? undefined : frameChecksumSeed(chain.logId, number);
}

/** Continues after a valid frame. */
export function followFrame(chain: ChainContext, frame: Frame): void {
  chain.expectedLsn = frame.lastLsn + 1;
  chain.batchRemaining = frame.batchRemaining;
  chain.fileOffset += frame.byteLength;
  if (frame.segment !== undefined && chain.seed === undefined) {
    chain.logId = frame.segment.logId;
    chain.number = frame.segment.number;
    chain.seed = frameChecksumSeed(chain.logId, chain.number);
  }
}

/** Rules 3 to 5 for a frame that lies whole in `bytes`, from `start`. */
export function validateFrame(
  bytes: Uint8Array,
  start: number,
  frame: Frame,
  chain: ChainContext,
): FrameFault | undefined {
  const fault = checkOrder(frame, chain);
  if (fault !== undefined) return fault;
  if (dataChecksum(bytes, frame.dataStart, frame.dataEnd, frame.lsn) !== frame.crc) return 'data-checksum';
  if (!frame.extended) return undefined;
  const beforeData = bytes.subarray(start, frame.dataStart);
  const afterData = bytes.subarray(frame.dataEnd, start + frame.byteLength - FRAME_CRC_BYTES);
  return checkOrigin(frame, beforeData, afterData, chain);
}

/** What rule 3 looks at. */
export type Order = Pick<Frame, 'lsn' | 'lastLsn' | 'skipped' | 'batchRemaining'> & {
  readonly block: Pick<Block, 'continues'> | undefined;
};

/** Rule 3. */
export function checkOrder(
  frame: Order,
  chain: Pick<ChainContext, 'expectedLsn' | 'batchRemaining'>,
): FrameFault | undefined {
  if (chain.expectedLsn !== 0 && frame.lsn !== chain.expectedLsn + frame.skipped) return 'lsn';
  const { batchRemaining } = chain;
  if (batchRemaining > 0) {
    const entries = frame.lastLsn - frame.lsn + 1;
    return frame.batchRemaining !== batchRemaining - entries || frame.block?.continues === false
      ? 'batch'
      : undefined;
  }
  return chain.expectedLsn !== 0 && frame.block?.continues === true ? 'batch' : undefined;
}

/** Does the frame name another log, or another segment, than the one that is read? */
export function claimsOther({ segment }: Frame, { logId, number }: ChainContext): boolean {
  if (segment === undefined) return false;
  return (logId !== undefined && segment.logId !== logId) || (number >= 0 && segment.number !== number);
}

/** Rule 5, if the frame is a block and lies whole in `bytes`: how many entries it counts decides where later entries are. */
export function checkBlockOrigin(
  bytes: Uint8Array,
  start: number,
  frame: Frame,
  chain: ChainContext,
): FrameFault | undefined {
  if (frame.block === undefined) return undefined;
  const beforeData = bytes.subarray(start, frame.dataStart);
  const afterData = bytes.subarray(frame.dataEnd, start + frame.byteLength - FRAME_CRC_BYTES);
  return checkOrigin(frame, beforeData, afterData, chain);
}

/** Rule 5 of an extended frame, from what `frameChecksum` takes. */
export function checkOrigin(
  frame: Frame,
  beforeData: Uint8Array,
  afterData: Uint8Array,
  chain: ChainContext,
): FrameFault | undefined {
  const { segment } = frame;
  const seed = segment === undefined ? chain.seed : frameChecksumSeed(segment.logId, segment.number);
  if (seed === undefined) return 'log-unknown';
  if (frameChecksum(beforeData, afterData, seed, chain.fileOffset) !== frame.frameCrc)
    return 'frame-checksum';
  if (segment === undefined) return undefined;
  if (chain.logId !== undefined && segment.logId !== chain.logId) return 'other-log';
  return chain.number >= 0 && segment.number !== chain.number ? 'other-segment' : undefined;
}
