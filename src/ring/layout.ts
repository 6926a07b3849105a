/**
 * The memory of one lane. A single producer thread writes it and the writer thread drains it. This file owns every offset that
 * ring, kernel and writer use.
 *
 *  byte      size          region
 *  0         768           control words, drawn below
 *  1,024     128           fields 6 and 8: the writer encodes them here for the kernel to copy
 *  4,096     16,384        checksum tables of the wasm kernel (unused by the reference kernel)
 *  20,484    ringBytes     record ring: a power of two; begins 4 bytes past a multiple of 8, see below
 *  then      stagingBytes  staging: the kernel's output, written to the file from here; at a multiple of 64
 *  then      PACKED_BYTES  packed records: records that came beside the ring, copied here to be framed like the ring's;
 *                          begins 4 bytes past a multiple of 8, as the ring does
 *
 * Control words are int32, except `ackSlot`. The words that one side stores share a line of 128 bytes (two cache lines, since
 * processors fetch them in pairs) that the other side only reads. "Published by" names the store that makes the word's value, and
 * every plain store before it in program order, visible to the other side.
 *
 *  byte  word  name             written by  published by  meaning
 *     0     0  ringBytes        maker       sending       size of the ring; never changes
 *     4     1  stagingBytes     maker       sending       size of staging; never changes
 *   128    32  head             producer    itself        next byte to fill; storing it publishes records
 *   132    33  posted           producer    itself        messages posted beside the ring so far; stored after
 *                                                         the postMessage and before any later head
 *   136    34  writtenWanted    producer    head, posted  newest entry whose append waits until it is written
 *   140    35  durableWanted    producer    head, posted  newest entry whose append waits until it is durable
 *   144    36  commitWanted     producer    head, posted  newest entry that asks for a sync at once
 *   148    37  refused          producer    -             pushes that found no room and took nothing
 *   152    38  queued           producer    -             appends that found the ring full and were queued
 *   156    39  waits            producer    -             waits for room
 *   160    40  dropped          producer    -             lines that log streams dropped
 *   256    64  tail             writer      itself        next byte to drain; storing it frees the space
 *   260    65  taken            writer      itself        messages beside the ring taken so far
 *   384    96  roomWanted       both        itself        free bytes that the producer waits for; 0 = none. The
 *                                                         producer sets it, the writer clears it with its answer
 *   512   128  flushRequested   producer    itself        newest ticket of a producer blocked in a flush
 *   516   129  flushDone        writer      itself        newest ticket served; the producer waits on this word
 *   520   130  state            both        itself        LaneState; the producer's last store is `closing`
 *   640   160  poll             both        itself        PollState: whether the producer polls `ackSlot` for acknowledgements
 *   648   -    ackSlot          writer      poll          three float64: sequence number of the first entry, number of
 *                                                         entries, LSN of the first. Read in state `filled` only:
 *                                                         ack-slot.ts explains why
 *
 * The words `refused` to `dropped` are figures, modulo 2^32 and ordered against nothing. The producer stores them when it finds
 * no room, never for an entry that has room.
 *
 * The three `…Wanted` words hold sequence numbers: the n-th entry of a lane, in the ring or beside it, has sequence n, a batch of
 * m entries spends m of them. On a fresh lane all three hold the number before the first entry's, so that both sides know where
 * counting starts. A word may be older than any other number here, since a producer may never wait. So only a change of the word
 * counts, and its new value is near the newest entry. If a producer's new number equals the old one, 2^32 entries later, it
 * stores the next number instead, which asks for no less.
 *
 * Positions (head, tail) count bytes, sequence numbers count entries, both modulo 2^32 as int32: never compare two of them, only
 * take their difference, `(a - b) | 0`. That is exact because two positions are never more than ringBytes <= 2^30 apart, and two
 * live sequence numbers never 2^31 (each entry takes 8 bytes of the ring or of a message whose queue is bounded).
 *
 * A position, always a multiple of 8, is the byte `RING_START + (position & (ringBytes - 1))`. The record there:
 *
 *   0               4                       8
 *   +---------------+-----------------------+--------------------------
 *   | length >= 0   | payload ...                  | zero to 7 bytes up to a multiple of 8, undefined
 *   +---------------+-----------------------+--------------------------
 *   | WRAP (-1)     | undefined up to the end of the ring; the next record is at the ring's start
 *   +---------------+-----------------------+
 *   | BATCH (-2)    | entries n >= 1        |   the n records that follow are one atomic batch
 *   +---------------+-----------------------+
 *
 * - The payload, 4 bytes into the record, is at a multiple of 8 in memory because the ring begins 4 past one. The engine copies
 *   into shared memory by words only if both ends are aligned alike, else by single bytes: copy-in.ts.
 * - A record never crosses the end of the ring. If the next one does not fit before the end, WRAP fills the rest. There is always
 *   room for that word: positions are multiples of 8 and so is the ring's size, so that at least 8 bytes are left wherever any
 *   are.
 * - WRAP is published together with the record that it makes room for, and a batch by one store of head: a thread that sees that
 *   head sees all of both. WRAP may be inside a batch (also right after its BATCH word).
 * - A walk over a run of records ends at WRAP; `LaneConsumer.nextRun` continues after it.
 * - A record takes at most a quarter of the ring, so that any record fits into an empty ring, WRAP included.
 */

export const CONTROL_BYTES = 768;
export const SEGMENT_FIELD_START = 1024;
export const SEGMENT_FIELD_BYTES_MAX = 128;
export const CRC_TABLES_START = 4096;
export const CRC_TABLES_BYTES = 16_384;
/** Size of the region for packed records, and the largest size of a chunk. */
export const PACKED_BYTES = 65_536;
/** Longest payload of a packed record. */
export const PACKED_PAYLOAD_MAX = 4096;
/** First byte of the ring in every lane: 4 past a multiple of 8, so that payloads are at multiples of 8. */
export const RING_START = 20_484;

/** Indices of the control words in an Int32Array over the lane. */
export const LaneWord = {
  ringBytes: 0,
  stagingBytes: 1,
  head: 32,
  posted: 33,
  writtenWanted: 34,
  durableWanted: 35,
  commitWanted: 36,
  refused: 37,
  queued: 38,
  waits: 39,
  dropped: 40,
  tail: 64,
  taken: 65,
  roomWanted: 96,
  flushRequested: 128,
  flushDone: 129,
  state: 130,
  poll: 160,
} as const;

const ACK_SLOT_START = 648;
const ACK_SLOT_NUMBERS = 3;

/** Values of the `state` word. */
export const LaneState = {
  /** In the pool: it has no producer. */
  free: 0,
  /** A producer thread has it. */
  attached: 1,
  /** The producer has published its last record. */
  closing: 2,
} as const;
export type LaneState = (typeof LaneState)[keyof typeof LaneState];

/** Values of the `poll` word. The producer stores `polling`; the writer stores `filled`, and only over `polling`. */
export const PollState = {
  /** Acknowledgements are posted. */
  none: 0,
  /** The producer polls: the writer may fill `ackSlot`. */
  polling: 1,
  /** `ackSlot` holds a run. */
  filled: 2,
} as const;
export type PollState = (typeof PollState)[keyof typeof PollState];

/** First word of a record that is not an entry. */
export const WRAP = -1;
export const BATCH = -2;

export const RECORD_ALIGNMENT = 8;
export const RECORD_HEADER_BYTES = 4;
export const BATCH_MARKER_BYTES = 8;

/**
 * The layout holds for any power of two from 64 bytes, and tests use such rings, where every second push wraps.
 * Users get no ring below 64 KiB; that limit belongs to the option.
 */
export const RING_BYTES_MIN = 64;
export const RING_BYTES_MAX = 2 ** 30;
/** Keeps every byte offset in a lane below 2^31, so that offsets are int32 in the kernel too. */
export const STAGING_BYTES_MAX = 2 ** 29;

const WASM_PAGE_BYTES = 65_536;

/** Structured clone carries it to another thread; both sides then share it. */
export interface LaneMemory {
  readonly buffer: SharedArrayBuffer;
  /** For a wasm kernel; absent if the engine has no wasm (`--jitless`) or no address space for it. */
  readonly memory?: SharedMemory;
}

/** The part of a shared `WebAssembly.Memory` that is used here; pure folders have no type for it. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** One thread's views of a lane. `i32` and `u8` cover the whole memory, so that offsets are the same in all. */
export interface LaneViews {
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  /** The three numbers of the acknowledgement slot. */
  readonly ackSlot: Float64Array<SharedArrayBuffer>;
  readonly ringBytes: number;
  readonly stagingStart: number;
  readonly stagingBytes: number;
  readonly packedStart: number;
}

/** Bytes that a lane needs. */
export function laneBytes(ringBytes: number, stagingBytes: number): number {
  return packedStart(ringBytes, stagingBytes) + PACKED_BYTES;
}

/** Creates the zeroed memory of a lane, in state `free`. It never grows. */
export function createLaneMemory(ringBytes: number, stagingBytes: number): LaneMemory {
  if (!isPowerOfTwo(ringBytes) || ringBytes < RING_BYTES_MIN || ringBytes > RING_BYTES_MAX) {
    throw new RangeError(`ring of ${ringBytes} bytes: not a power of two from ${RING_BYTES_MIN} to 2^30`);
  }
  if (stagingBytes % RECORD_ALIGNMENT !== 0 || stagingBytes < 0 || stagingBytes > STAGING_BYTES_MAX) {
    throw new RangeError(`staging of ${stagingBytes} bytes: not a multiple of 8 from 0 to 2^29`);
  }
  const bytes = laneBytes(ringBytes, stagingBytes);
  const memory = createSharedMemory(Math.ceil(bytes / WASM_PAGE_BYTES));
  const buffer = memory?.buffer ?? new SharedArrayBuffer(bytes);
  const i32 = new Int32Array(buffer);
  i32[LaneWord.ringBytes] = ringBytes;
  i32[LaneWord.stagingBytes] = stagingBytes;
  return memory === undefined ? { buffer } : { buffer, memory };
}

/** Creates views of a lane in the calling thread. */
export function viewLane(lane: LaneMemory): LaneViews {
  const i32 = new Int32Array(lane.buffer);
  const ringBytes = i32[LaneWord.ringBytes];
  const stagingBytes = i32[LaneWord.stagingBytes];
  return {
    i32,
    u8: new Uint8Array(lane.buffer),
    ackSlot: new Float64Array(lane.buffer, ACK_SLOT_START, ACK_SLOT_NUMBERS),
    ringBytes,
    stagingStart: stagingStart(ringBytes),
    stagingBytes,
    packedStart: packedStart(ringBytes, stagingBytes),
  };
}

/**
 * Prepares a lane for its next producer. Call it only while no other thread uses the lane: it is new, or it comes from the pool
 * and its last producer is gone. `position` (a multiple of 8) and `sequence` are where counting starts; tests set them close to
 * where int32 overflows.
 */
export function resetLane(views: LaneViews, position = 0, sequence = 0): void {
  const { i32 } = views;
  for (const word of Object.values(LaneWord)) {
    if (word !== LaneWord.ringBytes && word !== LaneWord.stagingBytes) i32[word] = 0;
  }
  i32[LaneWord.head] = position;
  i32[LaneWord.tail] = position;
  i32[LaneWord.writtenWanted] = sequence;
  i32[LaneWord.durableWanted] = sequence;
  i32[LaneWord.commitWanted] = sequence;
  // Orders the stores above for a thread that loads `attached`; sending the memory to the producer orders them as well.
  Atomics.store(i32, LaneWord.state, LaneState.attached);
}

/** Bytes of a lane's ring that are in use: a figure, ordered against nothing. `i32` covers the lane. */
export function ringUsed(i32: Int32Array<SharedArrayBuffer>): number {
  const tail = Atomics.load(i32, LaneWord.tail);
  const used = (Atomics.load(i32, LaneWord.head) - tail) | 0;
  // While the lane is prepared for its next producer, head and tail may not belong together.
  return Math.min(Math.max(used, 0), i32[LaneWord.ringBytes] as number);
}

/** Bytes that an entry's record takes in the ring, header and padding to the alignment included. */
export function recordBytes(payloadBytes: number): number {
  return (payloadBytes + RECORD_HEADER_BYTES + RECORD_ALIGNMENT - 1) & -RECORD_ALIGNMENT;
}

/** Longest payload that goes into the ring; a longer one travels beside it. */
export function maxRecordPayload(ringBytes: number): number {
  return ringBytes / 4 - RECORD_ALIGNMENT;
}

/** The first multiple of 64 (the smallest ring) after the ring. */
function stagingStart(ringBytes: number): number {
  return RING_START - (RING_START % RING_BYTES_MIN) + RING_BYTES_MIN + ringBytes;
}

/** Staging is a multiple of 8. */
function packedStart(ringBytes: number, stagingBytes: number): number {
  return stagingStart(ringBytes) + stagingBytes + RECORD_ALIGNMENT - RECORD_HEADER_BYTES;
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;
}

/**
 * Every wasm memory reserves gigabytes of address space for its guard pages, which a limit (`ulimit -v`) may
 * refuse. A lane without wasm works all the same, so that is no error.
 */
function createSharedMemory(pages: number): SharedMemory | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: { Memory: SharedMemoryConstructor } };
  if (WebAssembly === undefined) return undefined;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return undefined;
  }
}

type SharedMemoryConstructor = new (descriptor: {
  initial: number;
  maximum: number;
  shared: true;
}) => SharedMemory;

/** Bytes of staging that a ring needs: the longest record with its frame, and at least one group of small records. */
export function stagingBytesFor(ringBytes: number): number {
  return Math.max(ringBytes / 4, 512 * 1024) + FRAME_ROOM_BYTES;
}

/** Rounded up from the most bytes that a frame is written with besides its data. */
const FRAME_ROOM_BYTES = 256;

/** Touches every page of the ring, so that the first lap costs no page faults. Only before there is a producer. */
export function touchRing(views: LaneViews): void {
  const end = RING_START + views.ringBytes;
  for (let at = RING_START; at < end; at += PAGE_BYTES) views.u8[at] = 0;
}

const PAGE_BYTES = 4096;
