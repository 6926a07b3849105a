import { crc32 } from 'node:zlib';
import { type Block, CODEC } from '../format/block.js';
import { indexRun, type RunIndex } from '../format/block-run.js';
import type { Frame } from '../format/frame.js';
import { lz4For } from '../format/kernel/lz4.js';
import { decompressZstd, hasZstd } from './zstd.js';

/** A block whose content was found to be exactly what its frame says. */
export interface DecodedBlock extends RunIndex {
  /** Entries are views of it. No later block uses it. */
  readonly run: Uint8Array;
}

/** Why a block cannot be read: its content is not what its frame says, or this Node lacks the codec. */
export type BlockFault = 'damaged' | 'no-zstd';

/** What of a frame its block needs. */
export type BlockFrame = Pick<Frame, 'batchRemaining'> & { readonly block: Block };

/**
 * Reads a block. `data`: the frame's data, whose checksum has matched. Allocates `rawBytes`, which the parser has found to be
 * justified by the length of the data.
 */
export function decodeBlock(data: Uint8Array, frame: BlockFrame): DecodedBlock | BlockFault {
  const { block } = frame;
  if (block.codec === CODEC.zstd && !hasZstd) return 'no-zstd';
  const run = decompress(data, block);
  const index = run && indexRun(run, frame, crc32);
  return run === undefined || index === undefined ? 'damaged' : { run, ...index };
}

function decompress(data: Uint8Array, { codec, rawBytes }: Block): Uint8Array | undefined {
  switch (codec) {
    case CODEC.stored:
      return data;
    case CODEC.lz4: {
      const run = new Uint8Array(rawBytes);
      return lz4For(rawBytes).decompress(data, run) ? run : undefined;
    }
    case CODEC.zstd:
      return decompressZstd(data, rawBytes);
  }
}

/** The middle of a sentence: what is missing to read a block of zstd. */
export const NO_ZSTD = `its block is compressed with zstd, which Node ${process.versions.node} does not have`;

/** A sentence: the way out. */
export const NO_ZSTD_WAY_OUT = 'Read it with Node 22.15 or later.';
