/**
 * The kernel turns a run of ring records into a run of frames in the lane's staging area: copy, frame, checksum. Two
 * implementations, byte for byte alike (test/ring/kernel holds both against `format/encode.ts` and protobufjs):
 *
 *   wasm.ts       the fast one; assembly/kernel.ts over the lane's WebAssembly.Memory
 *   reference.ts  plain TypeScript on `crc-32`; also serves where WebAssembly or its vectors are missing (`node --jitless`)
 *
 * A run before and after (format/frame.ts has the spec of a frame, layout.ts that of a record):
 *
 *   records   | entry a | BATCH 2 | entry b | entry c | entry d |
 *   frames    | 1 2 3 4 8 15 | 1 2 3 5 15 | 1 2 3 | 1 2 3 |           the numbers are the fields present
 *               ▲              ▲
 *               │              └ `batch_remaining` = 1: field 5 on every entry of a batch but its last
 *               └ opening fields: `synced_lsn` (4) and `segment` (8), only on the first frame of a call
 *
 *   - Canonical order 1, 2, 3, 4, 5, 8, 15. Defaults are omitted (no data: no field 2; a CRC of 0: no field 3), but field 4 is
 *     written even if W is 0. Field 7 (`skipped`) is never written here: only repairs skip.
 *   - Field 15 stands on every frame that has any of 4, 5, 8. It is the CRC-32 of log_id LE64 || segment number LE64 || file
 *     offset of the size word LE64 || size word || the entry's bytes before the tag of 15, without the content of field 2 (whose
 *     tag and length are included).
 *   - A frame is started only if all of it fits before `outEnd`: no byte at or after `outEnd` is ever written, and the bytes
 *     between `outTo` and `outEnd` do not matter afterwards.
 *
 * A kernel keeps no state between calls: all state is in the [Run]. The writer can return to any earlier point by restoring the
 * fields that it kept.
 */

/** Why a call ended. */
export type RunStop =
  /** Every record of the run is consumed. */
  | 'end'
  /** `maxEntries` frames were made. */
  | 'max-entries'
  /** The next frame does not fit. `entries` may be 0: not even the first frame fits. */
  | 'out-full';

/**
 * Request and result of one call. The writer uses one object for every call, so that no run allocates.
 *
 * All positions are byte offsets in the lane's memory, below 2^31. All of `lsn`, `fileOffset` and `syncedLsn` are integers below
 * 2^53.
 */
export interface Run {
  // ── Request: the writer sets these, a kernel only reads them ──

  /** The records: `[from, to)`, whole ones, contiguous; see layout.ts for their alignment. */
  from: number;
  to: number;
  /** Make no more than this many frames; 0 makes none. */
  maxEntries: number;
  /** The space for frames: `[out, outEnd)`. */
  out: number;
  outEnd: number;
  /** LSN of the first entry of the call. */
  lsn: number;
  /** Offset, in the segment, of the byte at `out`. */
  fileOffset: number;
  /** `frameChecksumSeed(logId, segmentNumber)` of the segment. */
  checksumSeed: number;
  /** W, for field 4 of the call's first frame; -1 leaves the field out (a further run of the same group). */
  syncedLsn: number;
  /** Fields 6 and 8 of the call's first frame, encoded one after the other, somewhere in the lane's memory; 0 bytes: none. */
  segmentFieldAt: number;
  segmentFieldBytes: number;

  // ── Both ──

  /**
   * Entries of a started batch that are still to come, 0 outside batches. A kernel carries it from call to call: it becomes n
   * when a BATCH record is consumed and shrinks by 1 with each frame. A caller that goes back to an earlier point restores it.
   */
  batchRemaining: number;

  // ── Result: a kernel sets these, all of them, in every call that returns ──

  /**
   * The end of the last consumed record. Records are consumed whole, and an entry's together with its frame; a BATCH record may
   * be consumed although its first entry is not.
   */
  consumedTo: number;
  /** The end of the last frame. */
  outTo: number;
  /** Frames made; the next entry's LSN is `lsn + entries`. */
  entries: number;
  /** The sum of their payload lengths. */
  payloadBytes: number;
  /**
   * `entries` and `outTo` after the last frame that ends a batch or is in none. 0 and `out` if the call made no such frame. The
   * frames between here and `outTo` belong to an unfinished batch.
   */
  wholeBatchEntries: number;
  wholeBatchOutTo: number;
  stop: RunStop;
}

/**
 * Request and result of [Kernel.packRun]: records become the run of one block, as src/format/block-run.ts draws it. All positions
 * are byte offsets in the lane's memory.
 *
 * What goes into one block:
 *   - records as long as the run is at most `targetBytes` long; a record that is longer alone
 *   - a batch whole, together with what stands before and after it, if it fits; otherwise it begins the next block
 *   - a batch that does not fit into a block at all, or not into this run of records: as much of it as fits, and nothing else. The
 *     block that goes on with it holds nothing else either
 */
export interface Pack {
  // ── Request ──

  /** The records: `[from, to)`, as in [Run]. */
  from: number;
  to: number;
  /** Pack no more than this many entries. */
  maxEntries: number;
  /** The space for the run: `[out, outEnd)`. It has room for the longest record and PACK_SLACK_BYTES at least. */
  out: number;
  outEnd: number;
  targetBytes: number;

  // ── Both ──

  /** As in [Run]. Above 0 before the call: the block goes on with a batch. */
  batchRemaining: number;

  // ── Result ──

  /** As in [Run]; with entries = 0 the run held only the word that begins a batch. */
  consumedTo: number;
  /** The end of the run, checksum included. */
  outTo: number;
  entries: number;
  /** The sum of their payload lengths. */
  payloadBytes: number;
}

/** Room that a run needs besides its entries: their longest length, the checksum, and what a copy writes past its end. */
export const PACK_SLACK_BYTES = 32;

export interface Kernel {
  /** For `stats()` and for benchmarks. */
  readonly name: 'wasm' | 'reference';
  /**
   * Frames as many records of the run as are requested and fit.
   *
   * @throws Error if the records break the ring's invariants (one that passes `to`, a batch inside a batch). The result is then
   * meaningless and the log must end.
   */
  frameRun(run: Run): void;
  /**
   * Packs as many records as one block takes.
   *
   * @throws Error as `frameRun`
   */
  packRun(pack: Pack): void;
}

/** An empty run. */
export function createRun(): Run {
  return {
    from: 0,
    to: 0,
    maxEntries: 0x7fffffff,
    out: 0,
    outEnd: 0,
    lsn: 1,
    fileOffset: 0,
    checksumSeed: 0,
    syncedLsn: -1,
    segmentFieldAt: 0,
    segmentFieldBytes: 0,
    batchRemaining: 0,
    consumedTo: 0,
    outTo: 0,
    entries: 0,
    payloadBytes: 0,
    wholeBatchEntries: 0,
    wholeBatchOutTo: 0,
    stop: 'end',
  };
}

/** An empty pack. */
export function createPack(): Pack {
  return {
    from: 0,
    to: 0,
    maxEntries: 0x7fffffff,
    out: 0,
    outEnd: 0,
    targetBytes: 0,
    batchRemaining: 0,
    consumedTo: 0,
    outTo: 0,
    entries: 0,
    payloadBytes: 0,
  };
}

/** The error of a kernel for bytes that no producer can have written as records. */
export function brokenRecords(run: Pick<Run, 'from' | 'to'>, at: number): Error {
  return new Error(
    `invariant broken: byte ${at} of the lane, in records [${run.from}, ${run.to}), is not a record`,
  );
}
