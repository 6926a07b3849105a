/**
 * What is left of a frame that loses entries, or whose batch does: the frames that take its place.
 *
 *   block of 1 … 9, without 3 and 7:   1 2 │ 4 5 6 │ 8 9       consecutive entries stay together in a block of the same codec
 *
 * A batch that loses an entry is no batch any more: its other entries are durable, and stand by themselves. Other batches stay as they
 * are. A block holds whole batches, or a part of one only.
 */

import { crc32 } from 'node:zlib';
import type { BlockEntries } from '../../blocks/block-entries.js';
import { type Compression, compressRun } from '../../blocks/encode-block.js';
import { type Block, CODEC } from '../../format/block.js';
import { packRun } from '../../format/block-run.js';
import type { LsnSet } from '../../format/lsn-set.js';

/** Below so many bytes of data a block of its own is not worth its header. */
const BLOCK_BYTES_MIN = 1024;

const ZSTD_LEVEL = 3;

/** An entry that is kept. */
export interface KeptEntry {
  readonly lsn: number;
  readonly data: Uint8Array;
  /** Entries of its batch that follow. 0 = it is the last one, or its batch is no batch any more. */
  readonly batchRemaining: number;
}

/** A frame of kept entries. The first one's LSN is the frame's. */
export interface KeptPiece {
  readonly lsn: number;
  readonly lastLsn: number;
  readonly data: Uint8Array;
  readonly batchRemaining: number;
  readonly block: Block | undefined;
}

/**
 * The entries of a block without those in `drop`. `firstLsn`: of the block. `isBroken`: the block is part of a batch over several frames
 * that loses an entry.
 */
export function keptOf(
  entries: BlockEntries,
  firstLsn: number,
  drop: LsnSet,
  isBroken: boolean,
): KeptEntry[] {
  const kept: KeptEntry[] = [];
  for (let index = 0; index < entries.count; ) {
    let end = index;
    while (end < entries.count - 1 && entries.isFollowed(end)) end++;
    const isWhole = !isBroken && !drop.meets(firstLsn + index, firstLsn + end);
    for (; index <= end; index++) {
      const lsn = firstLsn + index;
      if (drop.has(lsn)) continue;
      kept.push({ lsn, data: entries.data(index), batchRemaining: isWhole ? end - index : 0 });
    }
  }
  return kept;
}

/** The frames that hold `kept`, which are of one block with codec `codec`. */
export function piecesOf(kept: readonly KeptEntry[], block: Block): KeptPiece[] {
  const pieces: KeptPiece[] = [];
  let from = 0;
  for (let at = 1; at <= kept.length; at++) {
    const isEnd = at === kept.length || (kept[at] as KeptEntry).lsn !== (kept[at - 1] as KeptEntry).lsn + 1;
    if (!isEnd) continue;
    pieces.push(...packed(kept.slice(from, at), block));
    from = at;
  }
  return pieces;
}

/** One block of consecutive entries, or a plain frame for each of them. */
function packed(entries: readonly KeptEntry[], { codec }: Block): KeptPiece[] {
  const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
  const last = entries.at(-1) as KeptEntry;
  const { lsn } = entries[0] as KeptEntry;
  if (bytes >= BLOCK_BYTES_MIN) {
    const run = packRun(
      entries.map(({ data, batchRemaining }) => ({ data, more: batchRemaining > 0 })),
      crc32,
    );
    const stored = compressRun(run, entries.length, compressionFor(codec), run.length - 1);
    if (stored !== undefined) {
      const block: Block = {
        entries: entries.length,
        rawBytes: run.length,
        codec: stored.codec,
        keyHeaderBytes: 0,
        epoch: 0,
        counter: 0,
        continues: false,
      };
      return [{ lsn, lastLsn: last.lsn, data: stored.bytes.slice(), batchRemaining: 0, block }];
    }
  }
  return entries.map((entry) => ({ ...entry, lastLsn: entry.lsn, block: undefined }));
}

function compressionFor(codec: Block['codec']): Compression {
  return codec === CODEC.zstd ? { codec: 'zstd', level: ZSTD_LEVEL } : { codec: 'lz4' };
}
