/**
 * The status of the log as a whole. The writer thread and the sync thread publish it, and every thread may read it.
 *
 * One SharedArrayBuffer. 64-bit words first (BigInt64, so that a reader never sees half a value: two plain int32 could tear),
 * then 32-bit words.
 *
 *   byte  name             written by      meaning
 *      0  oldestLsn        writer          bits 0..52: first LSN in a segment, 0 = none. Bit 53: a reader has pinned a segment since
 *                          (bit 53: main)  the writer last cleared it, see `pin`
 *      8  lastLsn          writer          last LSN written, never inside an unfinished batch; stored after the write
 *                                          returned, so a thread that reads it finds the bytes in the file
 *     16  durableLsn       writer or sync  the watermark W; stored after fdatasync returned. Both may store it, never at
 *                          thread          the same time: the writer only while no sync is under way
 *     24  liveBytes        writer          bytes of whole frames in the live segment
 *     32  entries          writer          entries written since open
 *     40  payloadBytes     writer          their bytes without framing
 *     48  frameBytes       writer          bytes written to segments, framing included
 *     56  groups           writer          write calls' worth of frames (drained runs)
 *     64  syncs            both            completed syncs (fdatasync rounds)
 *     72  rotations        writer          segments sealed
 *     80  removed          writer          segments removed by retention
 *     88  rejected         writer          entries accepted and then rejected (full disk)
 *     96  checkpointLsn    writer          the last checkpoint, durable in the state file
 *    104  lanes            writer          lanes that a producer has or may still attach to; the opener's is one
 *    112  lanesPooled      writer          lane memories in the pool
 *    120  lanesReused      writer          lanes that were made from pooled memory
 *    128  pinned (int32)   main            lowest segment number that a reader of this process has open or is about to
 *                                          open, -1 = none
 *    132  watermarkAsked   both            1 = a follower waits for `durableLsn` to move. The follower stores 1, then
 *         (int32)                          loads durableLsn, and sleeps if that is too low; the thread that stores durableLsn
 *                                          then exchanges 0, and if it was 1 posts `watermark`. Sequential consistency: one of
 *                                          the two sees the other's store
 *    136  lanesGone        writer          lanes whose thread ended without closing them
 *    144  syncsWatched     main            1 = `ringwal:sync` has a subscriber: each sync is reported. Ordered against
 *         (int32)                          nothing: with the old value one sync more or less is reported
 *    152  retries          writer          calls of the writer that were repeated: short writes, EINTR, EAGAIN
 *    160  floor            writer          entries below it were given up, though their segment may be there; durable in the state
 *                                          file. 0 = none. Only a cut lowers it
 *    168  cuts             writer          cuts (`truncateAfter`) since open; counted after the intent is durable and before a byte
 *                                          goes: a thread that copies files and finds the same count before and after copied no
 *                                          mixture
 *    176  blocks           writer          compressed blocks written
 *    184  blockRawBytes    writer          bytes of their runs
 *    192  blockStoredBytes writer          bytes that these became
 *    200  blockMisses      writer          groups that compression did not make short enough
 *    208  replicatedLsn    replica thread  R: entries up to it are replicated. Only a cut, and a replica that lost entries, lower it
 *    216  replicaEnded     replica thread  why replication has stopped: an index into FINAL_CODES of src/replica/replica.ts, + 1; 0 =
 *                                          it has not
 *    224  replicaLags      replica thread  1 = more than `maxLag` bytes are not replicated: appends are refused
 *
 *    256  refused          producers       of all lanes since open, closed ones included: pushes that found no room and took
 *                                          nothing. These five have lines of their own: a producer that finds no room may try
 *                                          again and again
 *    264  queued           producers       the same: appends that found the ring full and were queued
 *    272  waits            producers       the same: waits for room
 *    280  dropped          producers       the same: lines that log streams dropped
 *    288  lost             producers       the same: fire-and-forget entries that were taken and then not written
 *
 *    384  writeMicros      writer          histogram: duration of each write call of a group, µs
 *   2248  syncMicros       both            histogram: duration of each round of syncs, µs
 *   4112  groupEntries     writer          histogram: entries of each group
 *
 * Every access is Atomics, hence sequentially consistent: a value read here is ordered after everything that its writer did
 * before. Values are stored once for each group, never for each entry: a store of a BigInt64 costs about as much as a whole
 * append.
 */
import { HISTOGRAM_BYTES, Histogram } from './shared-histogram.js';

const WORDS_BYTES = 384;
const HISTOGRAMS = 3;
const STATUS_BYTES = WORDS_BYTES + HISTOGRAMS * HISTOGRAM_BYTES;

const WORDS = {
  oldestLsn: 0,
  lastLsn: 1,
  durableLsn: 2,
  liveBytes: 3,
  entries: 4,
  payloadBytes: 5,
  frameBytes: 6,
  groups: 7,
  syncs: 8,
  rotations: 9,
  removed: 10,
  rejected: 11,
  checkpointLsn: 12,
  lanes: 13,
  lanesPooled: 14,
  lanesReused: 15,
  lanesGone: 17,
  retries: 19,
  floor: 20,
  cuts: 21,
  blocks: 22,
  blockRawBytes: 23,
  blockStoredBytes: 24,
  blockMisses: 25,
  replicatedLsn: 26,
  replicaEnded: 27,
  replicaLags: 28,
  refused: 32,
  queued: 33,
  waits: 34,
  dropped: 35,
  lost: 36,
} as const;

export type StatusWord = keyof typeof WORDS;

/** A bit in the word of `oldestLsn`, above any LSN. */
const PINNED_MEANWHILE = 1n << 53n;

const PINNED = 32;
const WATERMARK_ASKED = 33;
const SYNCS_WATCHED = 36;

export function createLogStatus(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(STATUS_BYTES);
  new LogStatus(buffer).pin(-1);
  return buffer;
}

export class LogStatus {
  readonly #wide: BigInt64Array<SharedArrayBuffer>;
  readonly #narrow: Int32Array<SharedArrayBuffer>;
  readonly writeMicros: Histogram;
  readonly syncMicros: Histogram;
  readonly groupEntries: Histogram;

  constructor(buffer: SharedArrayBuffer) {
    this.#wide = new BigInt64Array(buffer);
    this.#narrow = new Int32Array(buffer);
    const histogram = (at: number) => new Histogram(buffer, WORDS_BYTES + at * HISTOGRAM_BYTES);
    this.writeMicros = histogram(0);
    this.syncMicros = histogram(1);
    this.groupEntries = histogram(2);
  }

  /** `firstLsn`: where the log begins for its users, at the floor or at the oldest segment's first LSN. 0 = no entry yet. */
  get(word: StatusWord | 'firstLsn'): number {
    if (word === 'firstLsn') return Math.max(this.get('oldestLsn'), this.get('floor'));
    return numberIn(Atomics.load(this.#wide, WORDS[word]));
  }

  set(word: StatusWord, value: number): void {
    Atomics.store(this.#wide, WORDS[word], BigInt(value));
  }

  add(word: StatusWord, amount: number): void {
    Atomics.add(this.#wide, WORDS[word], BigInt(amount));
  }

  /** Stores the watermark; true = followers wait for it and must be told. */
  moveWatermark(lsn: number): boolean {
    this.set('durableLsn', lsn);
    Atomics.notify(this.#wide, WORDS.durableLsn);
    return Atomics.exchange(this.#narrow, WATERMARK_ASKED, 0) === 1;
  }

  /** Asks for a message when the watermark moves. Load the watermark after this: it may be high enough already. */
  askForWatermark(): void {
    Atomics.store(this.#narrow, WATERMARK_ASKED, 1);
  }

  /** Resolves once the watermark is not `lsn`. For a thread with an event loop, which this does not keep alive. */
  async watermarkMoved(lsn: number): Promise<void> {
    const { value } = Atomics.waitAsync(this.#wide, WORDS.durableLsn, BigInt(lsn));
    await value;
  }

  get syncsWatched(): boolean {
    return Atomics.load(this.#narrow, SYNCS_WATCHED) === 1;
  }

  set syncsWatched(isWatched: boolean) {
    Atomics.store(this.#narrow, SYNCS_WATCHED, isWatched ? 1 : 0);
  }

  /**
   * Called by the main thread: `segment` is the lowest one that readers want kept, -1 = none. Returns `oldestLsn`: segments that
   * begin there or above are kept until a call with a higher number; those below are gone, though their files may still be there.
   *
   * The bit is set in the word of `oldestLsn` after the store of `pinned`. So either the writer moved `oldestLsn` before, and the
   * caller gets the new value. Or the writer's exchange in `giveUp` comes later and finds the bit, unless an earlier round has
   * cleared it; then the writer loads `pinned` after that, and gets the new one. test/model/pin.pml checks all orders.
   */
  pin(segment: number): number {
    Atomics.store(this.#narrow, PINNED, segment);
    return numberIn(Atomics.or(this.#wide, WORDS.oldestLsn, PINNED_MEANWHILE));
  }

  /**
   * Called by the writer: moves `oldestLsn` to the result of `choose` for the lowest pinned segment (-1 = none); undefined leaves
   * it. Calls `choose` again as long as a reader pins a segment meanwhile: the last call's choice holds.
   */
  giveUp(choose: (pinned: number) => number | undefined): void {
    for (;;) {
      const before = Atomics.and(this.#wide, WORDS.oldestLsn, ~PINNED_MEANWHILE) & ~PINNED_MEANWHILE;
      const firstLsn = choose(Atomics.load(this.#narrow, PINNED));
      if (firstLsn === undefined) return;
      if (Atomics.compareExchange(this.#wide, WORDS.oldestLsn, before, BigInt(firstLsn)) === before) return;
    }
  }
}

function numberIn(word: bigint): number {
  return Number(BigInt.asUintN(53, word));
}
