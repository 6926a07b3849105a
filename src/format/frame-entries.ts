/** The step from frames to entries: nothing else knows how many entries a frame holds. Today every frame holds one. */

import type { Frame } from './frame.js';

/** An entry of a frame. `data` is a view of the bytes that the frame was parsed in. */
export interface FrameEntry {
  readonly lsn: number;
  readonly data: Uint8Array;
}

/** Adds the entries of `frame`, which was parsed in `bytes`, with `from` ≤ LSN ≤ `to` to `entries`, in order. */
export function takeEntries(
  bytes: Uint8Array,
  frame: Frame,
  from: number,
  to: number,
  entries: FrameEntry[],
): void {
  const { lsn } = frame;
  if (lsn < from || lsn > to) return;
  entries.push({ lsn, data: bytes.subarray(frame.dataStart, frame.dataEnd) });
}
