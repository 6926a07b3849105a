import {
  BATCH,
  BATCH_MARKER_BYTES,
  createLaneMemory,
  type LaneMemory,
  type LaneViews,
  RECORD_HEADER_BYTES,
  recordBytes,
  viewLane,
  WRAP,
} from '../../../src/ring/layout.js';

/** An entry, or an atomic batch of them. */
export type Item = Uint8Array | readonly Uint8Array[];

/** A record that was laid into the ring, and where it ends. */
export type LaidRecord =
  | { readonly kind: 'entry'; readonly data: Uint8Array; readonly end: number }
  | { readonly kind: 'batch'; readonly entries: number; readonly end: number }
  | { readonly kind: 'wrap'; readonly end: number };

export interface TestLane {
  readonly memory: LaneMemory;
  readonly views: LaneViews;
}

export function createTestLane(ringBytes: number, stagingBytes: number): TestLane {
  const memory = createLaneMemory(ringBytes, stagingBytes);
  return { memory, views: viewLane(memory) };
}

/** Lays records from `at` on, as a producer would; `wrap` puts WRAP and some padding behind them. */
export function layRecords(views: LaneViews, at: number, items: readonly Item[], wrap = false): LaidRecord[] {
  const { i32, u8 } = views;
  const records: LaidRecord[] = [];
  let end = at;
  const layEntry = (data: Uint8Array) => {
    i32[end >> 2] = data.length;
    u8.set(data, end + RECORD_HEADER_BYTES);
    end += recordBytes(data.length);
    records.push({ kind: 'entry', data, end });
  };
  for (const item of items) {
    if (item instanceof Uint8Array) {
      layEntry(item);
      continue;
    }
    i32[end >> 2] = BATCH;
    i32[(end >> 2) + 1] = item.length;
    end += BATCH_MARKER_BYTES;
    records.push({ kind: 'batch', entries: item.length, end });
    item.forEach(layEntry);
  }
  if (wrap) {
    i32[end >> 2] = WRAP;
    // What stands behind WRAP is undefined: here it looks like a broken record.
    i32.fill(-77, (end >> 2) + 1, (end >> 2) + 6);
    end += 24;
    records.push({ kind: 'wrap', end });
  }
  return records;
}
