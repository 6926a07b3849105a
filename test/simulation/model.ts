import assert from 'node:assert/strict';
import type { LogState } from '../../src/format/state-file.js';
import type { CheckpointChange } from '../../src/protocol/checkpoint-changes.js';
import type { AckRuns, LogCommand, ToLane } from '../../src/protocol/lane-messages.js';
import { expandRuns } from '../worker/support/lane-client.js';
import type { FrameOnDisk } from '../worker/support/segments.js';
import { CheckpointModel } from './checkpoint-model.js';

/** How a log lost its process. */
export type CrashKind = 'power cut' | 'killed process';

interface Entry {
  readonly data: Uint8Array;
  /** Sequence number in this epoch; entries that an earlier open recovered have none. */
  sequence: number | undefined;
  /** The entry ends its batch, or is in none. */
  isWhole: boolean;
  /** The least watermark that frames written from here on must record. */
  proof: number;
  /** Damage destroyed it, and a salvage has reported that: its LSN is skipped. Or the log was emptied. */
  isGone: boolean;
  /** The LSN that it must get, or be refused; `undefined`: any. */
  readonly expectLsn: number | undefined;
}

/** Damage to the files while no process had the log open. */
export interface Damage {
  /** The last entry before the damage that shares no batch with a damaged one; 0 = none. */
  readonly keptLsn: number;
  /** The first and the last damaged entry, extended to whole batches; `Infinity`: no entry is damaged. */
  readonly from: number;
  readonly to: number;
  /** A salvage resumes here at the latest; `Infinity`: nowhere. */
  readonly resumesAt: number;
  readonly isOfState: boolean;
}

export type RepairMode = 'truncate' | 'salvage';

/** What retention may remove: nothing, checkpointed entries, or any entry. */
export type Retention = 'none' | 'checkpointed' | 'any';

const NO_ENTRY: Entry = {
  data: new Uint8Array(0),
  sequence: undefined,
  isWhole: true,
  proof: 0,
  isGone: true,
  expectLsn: undefined,
};

interface PendingSync {
  readonly sequence: number;
  /** An entry that it covers was rejected: it must not be answered as done. */
  isVoid: boolean;
}

interface PendingCommand extends LogCommand {
  /** The sequence number of the newest entry before it. */
  readonly sequence: number;
}

/**
 * What a log must hold: everything that was appended and not rejected, in order. A crash may remove the end of it, but nothing
 * that was acknowledged.
 */
export class LogModel {
  /** The entry with LSN n is at index n - 1. */
  #entries: Entry[] = [];
  #writtenLsn = 0;
  #durableLsn = 0;
  #checkpoint = 0;
  /** Entries below may have been removed. */
  #firstLsn = 0;
  /** The highest of all truncations that were carried out: the log begins there at the earliest. */
  #truncatedBefore = 0;
  /** Entries up to it went when the log was emptied. */
  #base = 0;
  readonly #retention: Retention;
  /** The least watermark that the state file must hold. */
  #stateProof = 0;
  /** An operation failed and the log survived: the state file may be an older one. */
  #hasTrouble = false;
  #damage: Damage | undefined;
  #repairs: RepairMode[] = [];
  #syncs = new Map<number, PendingSync>();
  #commands = new Map<number, PendingCommand>();
  #hasFailed = false;
  #isEmptied = false;
  /** There is no entry since a repair could keep none. */
  #isEmptyByRepair = false;
  /** The last cut left no entry. */
  #hasCutAll = false;

  readonly places = new CheckpointModel();

  constructor(retention: Retention = 'any') {
    this.#retention = retention;
  }

  /** The log ended: the fate of unacknowledged entries is unknown. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  get hasTrouble(): boolean {
    return this.#hasTrouble;
  }

  get lastLsn(): number {
    return this.#entries.length;
  }

  get firstLsn(): number {
    return this.#firstLsn;
  }

  get durableLsn(): number {
    return this.#durableLsn;
  }

  /**
   * The parts stay or vanish together, whatever happens. `sequence`: of the last part. `expectLsn`: what the first one must get, or
   * they are refused.
   */
  noteAppended(parts: readonly Uint8Array[], sequence: number, expectLsn?: number): void {
    parts.forEach((data, at) => {
      const behind = parts.length - 1 - at;
      this.#entries.push({
        data,
        sequence: sequence - behind,
        isWhole: behind === 0,
        // Written after this moment, in a group that begins after it.
        proof: this.#durableLsn,
        isGone: false,
        expectLsn: expectLsn === undefined ? undefined : expectLsn + at,
      });
    });
  }

  noteSyncAsked(id: number, sequence: number): void {
    if (!this.#hasFailed) this.#syncs.set(id, { sequence, isVoid: false });
  }

  noteCommand(id: number, command: LogCommand, sequence: number): void {
    if (!this.#hasFailed) this.#commands.set(id, { ...command, sequence });
    // Also if it fails, or is never answered: it may have begun. Where the log begins is not known before a command has run.
    if (command.name === 'reset' || command.name === 'truncateAfter') this.#isEmptied = true;
  }

  noteChange(id: number, changes: readonly CheckpointChange[]): void {
    if (!this.#hasFailed) this.places.noteAsked(id, changes);
  }

  noteHeard(message: ToLane): void {
    if (message.kind === 'written') this.#writtenLsn = this.#acknowledge(message.runs, this.#writtenLsn);
    else if (message.kind === 'durable') this.#durableLsn = this.#acknowledge(message.runs, this.#durableLsn);
    else if (message.kind === 'rejected') this.#reject(message.from, message.to);
    else if (message.kind === 'conflict') this.#refuse(message.from, message.to);
    else if (message.kind === 'synced') this.#synced(message.id, message.watermark);
    else if (message.kind === 'sync-rejected') this.#syncs.delete(message.id);
    else if (message.kind === 'command-done') this.#carryOut(message.id);
    else if (message.kind === 'command-rejected') this.#commands.delete(message.id);
    else if (message.kind === 'checkpoints-done') this.places.noteDone(message.id, message.results);
    else if (message.kind === 'checkpoints-rejected') this.places.noteRefused(message.id);
    else if (message.kind === 'failed') this.#fail(message.failure.code);
    else if (message.kind === 'trouble') this.#hasTrouble = true;
    // Of the command that is answered next.
    else if (message.kind === 'truncated')
      this.#hasCutAll = message.segments.every(({ bytes }) => bytes === 0);
  }

  /** The log reported that entries below are removed. */
  noteFirstLsn(lsn: number): void {
    this.#assertRemovable(lsn);
    this.#firstLsn = Math.max(this.#firstLsn, lsn);
  }

  /** Everything was accepted, written and synced, and the log was closed. */
  noteClosed(): void {
    if (!this.#hasTrouble) this.#stateProof = this.#entries.length;
  }

  /** A repair may take segments, in any way. */
  get isBeingRepaired(): boolean {
    return this.#repairs.length > 0;
  }

  get isDamaged(): boolean {
    return this.#damage !== undefined;
  }

  noteDamaged(damage: Damage): void {
    this.#damage = damage;
    this.#repairs = [];
    if (damage.isOfState) this.#stateProof = 0;
  }

  /** A repair begins; it may not finish. */
  noteRepair(mode: RepairMode): void {
    this.#repairs.push(mode);
  }

  assertAllAnswered(): void {
    assert.equal(this.#syncs.size, 0, 'a sync was never answered');
    assert.equal(this.#hasFailed ? 0 : this.#commands.size, 0, 'a command was never answered');
    assert.ok(this.#hasFailed || this.places.isAllAnswered, 'a change of checkpoints was never answered');
  }

  /** Compares the log after the next open with the model, and continues from there. */
  noteRecovered(
    frames: readonly FrameOnDisk[],
    after: CrashKind | 'close',
    { firstLsn, lastLsn }: { readonly firstLsn: number; readonly lastLsn: number },
    { checkpoint, namedCheckpoints }: LogState,
    isDurable: boolean,
  ): void {
    assert.equal(frames.at(-1)?.lsn ?? lastLsn, lastLsn);
    if (frames.length === 0) this.#noteEmpty(lastLsn);
    this.#noteSplit(frames);
    const cuts = this.#pending('truncateAfter').map((lsn) => this.#lastKept(lsn));
    const known = after === 'power cut' ? this.#durableLsn : Math.max(this.#writtenLsn, this.#durableLsn);
    const promised = this.#lastKept(Math.min(known, ...cuts));
    const left = this.#whatDamageLeaves(promised, cuts);
    if (lastLsn < promised && frames.length === 0)
      assert.ok(
        this.#repairs.length > 0 || this.#isEmptyByRepair || !this.#damage?.isOfState,
        'an emptied log that lost its place was opened',
      );
    // A repair of an emptied log that lost its state file cannot know where the log stood, and loses no entry.
    const holdsNothing =
      this.#repairs.length > 0 && this.#entries.slice(0, left).every(({ isGone }) => isGone);
    assert.ok(
      lastLsn >= left || holdsNothing,
      `entries up to ${left} were acknowledged, the log ends at ${lastLsn}`,
    );
    assert.ok(lastLsn <= this.#entries.length, `entry ${lastLsn} was never appended`);
    if (after === 'close' && !this.isDamaged)
      assert.equal(lastLsn, this.#entries.length, 'close() left entries behind');
    if (this.#repairs.includes('salvage')) this.#noteSalvaged(frames, promised);
    this.#assertContent(frames, firstLsn);
    this.#assertFloor(firstLsn, lastLsn);
    if (frames.length > 0) assert.ok(this.#entries[lastLsn - 1]?.isWhole, `a part of a batch ends the log`);
    this.#assertCheckpoint(checkpoint, lastLsn, cuts);
    const wasRepaired = this.#repairs.length > 0;
    const resets = this.#pending('reset').map((next) => next - 1);
    const ends = [...cuts, ...resets, ...(this.#repairs.length > 0 ? [lastLsn] : [])];
    this.places.noteRecovered(namedCheckpoints, ends, this.#damage?.isOfState ?? false);
    this.#startOver(lastLsn, checkpoint, isDurable);
    // Also a repair may leave no entry. It leaves no segment by whose number that could be told without the state file.
    if (frames.length === 0) this.#base = lastLsn;
    this.#isEmptyByRepair = frames.length === 0 && (this.#isEmptyByRepair || wasRepaired);
    this.#truncatedBefore = Math.min(this.#truncatedBefore, firstLsn);
    // Lower than before where the floor was lost.
    this.#firstLsn = firstLsn;
  }

  /** May the log have been emptied since the last call? Its segments then go without having been archived. */
  takeEmptied(): boolean {
    const isEmptied = this.#isEmptied;
    this.#isEmptied = false;
    return isEmptied;
  }

  /** The log holds no entry, and goes on after `lastLsn`: it was emptied, or is being emptied by a command that is not answered. */
  #noteEmpty(lastLsn: number): void {
    const isReset = this.#pending('reset').some((next) => next === lastLsn + 1);
    if (isReset) this.#empty(lastLsn, Number.POSITIVE_INFINITY);
    else if (this.#pending('truncateAfter').includes(lastLsn)) this.#empty(lastLsn, Number.POSITIVE_INFINITY);
  }

  /** A cut inside a batch may have begun and not been answered. */
  #noteSplit(frames: readonly FrameOnDisk[]): void {
    for (const { name, lsn, splitBatch } of this.#commands.values()) {
      if (name !== 'truncateAfter' || !splitBatch) continue;
      const last = this.#lastKept(lsn);
      const isSplit = frames.some((frame) => frame.lsn === last && frame.batchRemaining === 0);
      const entry = this.#entries[last - 1];
      if (isSplit && entry !== undefined) entry.isWhole = true;
    }
  }

  /** What was acknowledged to be given up stays so, unless the file that says so was damaged, or a repair ended the log before it. */
  #assertFloor(firstLsn: number, lastLsn: number): void {
    if (this.#damage !== undefined) return;
    const cuts = [...this.#pending('truncateAfter'), ...this.#pending('reset')];
    const least = Math.min(this.#truncatedBefore, lastLsn + 1, ...cuts.map((lsn) => lsn + 1));
    assert.ok(
      firstLsn >= least || lastLsn === 0,
      `entries below ${least} were given up, the log begins at ${firstLsn}`,
    );
  }

  /**
   * The last entry that must still be there. Damage that no later proof reveals is taken for a torn write and cut, and a repair
   * may end the log before it.
   */
  #whatDamageLeaves(promised: number, cuts: readonly number[]): number {
    if (this.#damage === undefined) return promised;
    const { keptLsn, from, to, resumesAt, isOfState } = this.#damage;
    // Only the state file knew where an emptied log goes on. Nothing but a repair, which somebody asked for, may begin anew.
    if (isOfState && (promised === this.#base || this.#isBeingEmptied)) return 0;
    // An undamaged group after the damage proves the watermark in its head.
    const proofs = this.#entries.slice(to, promised).map(({ proof }) => proof);
    const proven = Math.min(Math.max(this.#stateProof, ...proofs), ...cuts);
    const isTruncated = this.#repairs.includes('truncate');
    if (this.#repairs.includes('salvage') && !isTruncated && promised >= resumesAt) return promised;
    return proven >= from && this.#repairs.length === 0 ? promised : Math.min(promised, keptLsn);
  }

  /** Of the promised entries a salvage drops only the damaged ones, and those before the next place that proves itself. */
  #noteSalvaged(frames: readonly FrameOnDisk[], promised: number): void {
    const { keptLsn, resumesAt } = this.#damage as Damage;
    const kept = new Set(frames.map(({ lsn }) => lsn));
    const firstLsn = frames[0]?.lsn ?? 0;
    const lastLsn = frames.at(-1)?.lsn ?? 0;
    this.#entries.slice(0, lastLsn).forEach((entry, at) => {
      const lsn = at + 1;
      const mustStay = lsn >= this.#firstLsn && lsn <= promised && (lsn <= keptLsn || lsn >= resumesAt);
      const isLost = !kept.has(lsn) && !entry.isGone && !(lsn < firstLsn && lsn < this.#removableBelow);
      assert.ok(!isLost || !mustStay, `the salvage lost entry ${lsn}, which was acknowledged`);
      entry.isGone = !kept.has(lsn);
      // A salvage rewrites segments as one group each.
      entry.proof = 0;
      if (entry.isGone) return;
      if (!entry.isWhole) assert.ok(kept.has(lsn + 1), `entry ${lsn} is a part of a batch`);
      const before = this.#entries[at - 1];
      // If only the end of a batch can be read it counts as an entry; and retention may remove the start of a batch.
      if (lsn > firstLsn && before !== undefined && !before.isWhole && before.isGone)
        assert.ok(entry.isWhole, `entry ${lsn} is in the middle of a batch`);
    });
  }

  #assertCheckpoint(checkpoint: number, lastLsn: number, cuts: readonly number[]): void {
    const checkpoints = [this.#checkpoint, ...this.#pending('checkpoint')];
    const possible = checkpoints.flatMap((lsn) => [lsn, ...cuts.map((cut) => Math.min(lsn, cut))]);
    if (this.#repairs.length > 0) possible.push(...possible.map((lsn) => Math.min(lsn, lastLsn)));
    if (this.#damage?.isOfState) possible.push(0);
    assert.ok(possible.includes(checkpoint), `checkpoint ${checkpoint}, not one of ${possible}`);
  }

  #startOver(lastLsn: number, checkpoint: number, isDurable: boolean): void {
    this.#entries.length = lastLsn;
    for (const entry of this.#entries) entry.sequence = undefined;
    if (lastLsn === 0) this.#firstLsn = 0;
    this.#base = Math.min(this.#base, lastLsn);
    this.#checkpoint = checkpoint;
    this.#writtenLsn = lastLsn;
    this.#durableLsn = isDurable ? lastLsn : Math.min(this.#durableLsn, lastLsn);
    this.#stateProof = isDurable ? lastLsn : Math.min(this.#stateProof, lastLsn);
    this.#hasTrouble = false;
    // Until there is room for another state file, the damaged one stays.
    if (isDurable || this.#damage?.isOfState !== true) this.#damage = undefined;
    this.#repairs = [];
    this.#syncs.clear();
    this.#commands.clear();
    this.#hasFailed = false;
    this.#hasCutAll = false;
  }

  #assertContent(frames: readonly FrameOnDisk[], firstLsn: number): void {
    this.#assertRemovable(firstLsn);
    // Entries below the floor may be there.
    let lsn = frames[0]?.lsn ?? 0;
    this.#assertRemovable(lsn);
    for (const frame of frames) {
      while (lsn < frame.lsn && this.#entries[lsn - 1]?.isGone) lsn += 1;
      assert.equal(frame.lsn, lsn, 'the LSNs have a gap');
      const expected = this.#entries[lsn - 1]?.data as Uint8Array;
      assert.ok(Buffer.from(expected).equals(frame.data), `entry ${lsn} is not what was appended`);
      this.#assertExpected(lsn);
      lsn += 1;
    }
  }

  /** The log begins with entry `firstLsn`: earlier entries must have been removed legally, or skipped. */
  #assertRemovable(firstLsn: number): void {
    for (let lsn = Math.max(1, this.#firstLsn); lsn < firstLsn; lsn++) {
      assert.ok(lsn < this.#removableBelow || this.#entries[lsn - 1]?.isGone, `entry ${lsn} is gone`);
    }
  }

  /** The last entry up to `lsn` that is not skipped. */
  #lastKept(lsn: number): number {
    let last = lsn;
    while (last > this.#base && this.#entries[last - 1]?.isGone) last -= 1;
    return last;
  }

  /** A command that leaves no entry has begun and is not answered. */
  get #isBeingEmptied(): boolean {
    const firstLsn = Math.max(1, this.#firstLsn);
    return this.#pending('reset').length > 0 || this.#pending('truncateAfter').some((lsn) => lsn < firstLsn);
  }

  /** Entries with a lower LSN may be removed without a new request. */
  get #removableBelow(): number {
    if (this.#isBeingEmptied) return Number.POSITIVE_INFINITY;
    const asked = Math.max(this.#truncatedBefore, ...this.#pending('truncateBefore'));
    if (this.#retention === 'none') return asked;
    if (this.#retention === 'any') return Number.POSITIVE_INFINITY;
    return Math.max(
      asked,
      this.places.releasedAtMost([this.#checkpoint, ...this.#pending('checkpoint')]) + 1,
    );
  }

  #acknowledge(runs: AckRuns, before: number): number {
    let lastLsn = before;
    for (const [sequence, lsn] of expandRuns(runs)) {
      assert.equal(this.#entries[lsn - 1]?.sequence, sequence, `LSN ${lsn} went to the wrong append`);
      this.#assertExpected(lsn);
      lastLsn = Math.max(lastLsn, lsn);
    }
    return lastLsn;
  }

  #reject(from: number, to: number): void {
    this.#entries = this.#entries.filter(
      ({ sequence }) => sequence === undefined || sequence < from || sequence >= to,
    );
    for (const sync of this.#syncs.values()) sync.isVoid ||= from <= sync.sequence;
  }

  /** Entries were refused since they expected another LSN: rightly so, and nothing else is lost with them. */
  #refuse(from: number, to: number): void {
    const at = this.#entries.findIndex(({ sequence }) => sequence === from);
    const expected = this.#entries[at]?.expectLsn;
    assert.ok(expected !== undefined, `entry ${from} of the lane was refused and expected nothing`);
    assert.notEqual(at + 1, expected, `entry ${from} of the lane would have got the LSN that it expected`);
    this.#entries = this.#entries.filter(
      ({ sequence }) => sequence === undefined || sequence < from || sequence >= to,
    );
  }

  #assertExpected(lsn: number): void {
    const expected = this.#entries[lsn - 1]?.expectLsn;
    assert.equal(expected ?? lsn, lsn, `an append that expected LSN ${expected} got ${lsn}`);
  }

  /** Every entry up to `lsn` is gone; those that the lane appended after `sequence` come next. */
  #empty(lsn: number, sequence: number): void {
    const later = this.#entries.filter((entry) => (entry.sequence ?? 0) > sequence);
    const gone = Array.from(
      { length: lsn },
      (_, at): Entry => ({ ...(this.#entries[at] ?? NO_ENTRY), isGone: true }),
    );
    this.#entries = [
      ...gone.map((entry) => ({ ...entry, sequence: undefined, expectLsn: undefined })),
      ...later,
    ];
    this.#base = lsn;
    this.#firstLsn = lsn + 1;
    this.#truncatedBefore = lsn + 1;
    this.#checkpoint = Math.min(this.#checkpoint, lsn);
    this.places.lower(lsn);
    this.#writtenLsn = lsn;
    this.#durableLsn = lsn;
    this.#stateProof = Math.min(this.#stateProof, lsn);
    for (const entry of this.#entries) entry.proof = Math.min(entry.proof, lsn);
  }

  #synced(id: number, watermark: number): void {
    const sync = this.#syncs.get(id);
    assert.ok(sync !== undefined, `sync ${id} was answered twice`);
    assert.ok(!sync.isVoid, `sync ${id} was answered, and an entry that it covers was rejected`);
    const lsn = this.#entries.findLastIndex(({ sequence }) => (sequence ?? 0) <= sync.sequence) + 1;
    assert.ok(watermark >= lsn, `sync ${id} covers entry ${lsn}, and was answered at ${watermark}`);
    this.#durableLsn = Math.max(this.#durableLsn, lsn);
    this.#syncs.delete(id);
  }

  #carryOut(id: number): void {
    const command = this.#commands.get(id);
    assert.ok(command !== undefined, `command ${id} was answered twice`);
    this.#commands.delete(id);
    const hasCutAll = this.#hasCutAll;
    this.#hasCutAll = false;
    const { name, lsn, sequence: last, splitBatch } = command;
    if (name === 'checkpoint') this.#checkpoint = lsn;
    if (name === 'truncateBefore') this.#truncatedBefore = Math.max(this.#truncatedBefore, lsn);
    // A reset to where the log stands empty changes nothing, and neither does it here.
    if (name === 'reset') this.#empty(lsn - 1, last);
    if (name !== 'truncateAfter') return;
    if (lsn > 0 && hasCutAll) {
      this.#empty(lsn, last);
      return;
    }
    const end = this.#lastKept(lsn);
    const kept = this.#entries[end - 1];
    if (splitBatch && kept !== undefined) kept.isWhole = true;
    this.#truncatedBefore = Math.min(this.#truncatedBefore, end + 1);
    this.#entries = this.#entries.filter(({ sequence }, at) => at < end || (sequence ?? 0) > last);
    for (const entry of this.#entries) entry.proof = Math.min(entry.proof, end);
    this.#checkpoint = Math.min(this.#checkpoint, end);
    this.places.lower(end);
    this.#writtenLsn = Math.min(this.#writtenLsn, end);
    this.#durableLsn = end;
    this.#stateProof = Math.min(this.#stateProof, end);
  }

  #pending(name: LogCommand['name']): number[] {
    return [...this.#commands.values()].filter((command) => command.name === name).map(({ lsn }) => lsn);
  }

  /** After a failed sync even a read need not return what was written (Btrfs): only durable entries are promised. */
  #fail(code: string): void {
    this.#hasFailed = true;
    if (code === 'ERR_WAL_SYNC_FAILED') this.#writtenLsn = this.#durableLsn;
    this.#syncs.clear();
  }
}
