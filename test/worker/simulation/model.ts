import assert from 'node:assert/strict';
import type { LaneRuns, LogCommand, ToLane } from '../../../src/worker/messages.js';
import { expandRuns } from '../support/lane-client.js';
import type { FrameOnDisk } from '../support/segments.js';

/** How a log came to be without its process. */
export type CrashKind = 'power cut' | 'killed process';

interface Entry {
  readonly data: Uint8Array;
  /** In this epoch; entries that an earlier open recovered have none. */
  sequence: number | undefined;
  /** The last one of its batch, or in none. */
  readonly isWhole: boolean;
}

interface PendingSync {
  readonly sequence: number;
  /** Something that it covers was rejected: it must not be answered as done. */
  isVoid: boolean;
}

interface PendingCommand extends LogCommand {
  /** Of the newest entry before it. */
  readonly sequence: number;
}

/**
 * What a log must hold: everything that was appended and not rejected, in order, of which a crash may take the end, but
 * nothing that was acknowledged.
 */
export class LogModel {
  /** By LSN, from 1 at index 0. */
  #entries: Entry[] = [];
  #writtenLsn = 0;
  #durableLsn = 0;
  #checkpoint = 0;
  /** Entries below may have been removed. */
  #firstLsn = 0;
  #syncs = new Map<number, PendingSync>();
  #commands = new Map<number, PendingCommand>();
  #hasFailed = false;

  /** The log ended: nothing that is not acknowledged has a known fate. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  get lastLsn(): number {
    return this.#entries.length;
  }

  /** All of them or none are in the log, whatever happens. `sequence`: of the last one. */
  noteAppended(parts: readonly Uint8Array[], sequence: number): void {
    parts.forEach((data, at) => {
      const behind = parts.length - 1 - at;
      this.#entries.push({ data, sequence: sequence - behind, isWhole: behind === 0 });
    });
  }

  noteSyncAsked(id: number, sequence: number): void {
    if (!this.#hasFailed) this.#syncs.set(id, { sequence, isVoid: false });
  }

  noteCommand(id: number, command: LogCommand, sequence: number): void {
    if (!this.#hasFailed) this.#commands.set(id, { ...command, sequence });
  }

  noteHeard(message: ToLane): void {
    if (message.kind === 'written') this.#writtenLsn = this.#acknowledge(message.runs, this.#writtenLsn);
    else if (message.kind === 'durable') this.#durableLsn = this.#acknowledge(message.runs, this.#durableLsn);
    else if (message.kind === 'rejected') this.#reject(message.from, message.to);
    else if (message.kind === 'synced') this.#synced(message.id, message.watermark);
    else if (message.kind === 'sync-rejected') this.#syncs.delete(message.id);
    else if (message.kind === 'command-done') this.#carryOut(message.id);
    else if (message.kind === 'command-rejected') this.#commands.delete(message.id);
    else if (message.kind === 'failed') this.#fail(message.failure.code);
  }

  /** The log said that entries below are gone. */
  noteFirstLsn(lsn: number): void {
    this.#firstLsn = Math.max(this.#firstLsn, lsn);
  }

  assertAllAnswered(): void {
    assert.equal(this.#syncs.size, 0, 'a sync was never answered');
    assert.equal(this.#hasFailed ? 0 : this.#commands.size, 0, 'a command was never answered');
  }

  /** Compares what the next open made of the log, and goes on from there. */
  noteRecovered(
    frames: readonly FrameOnDisk[],
    after: CrashKind | 'close',
    checkpoint: number,
    isDurable: boolean,
  ): void {
    const lastLsn = frames.at(-1)?.lsn ?? 0;
    const cuts = this.#pending('truncateAfter');
    const known = after === 'power cut' ? this.#durableLsn : Math.max(this.#writtenLsn, this.#durableLsn);
    const promised = Math.min(known, ...cuts);
    assert.ok(lastLsn >= promised, `entries up to ${promised} were acknowledged, the log ends at ${lastLsn}`);
    assert.ok(lastLsn <= this.#entries.length, `entry ${lastLsn} was never appended`);
    if (after === 'close') assert.equal(lastLsn, this.#entries.length, 'close() left entries behind');
    this.#assertContent(frames);
    if (lastLsn > 0) assert.ok(this.#entries[lastLsn - 1]?.isWhole, `a part of a batch ends the log`);
    const checkpoints = [this.#checkpoint, ...this.#pending('checkpoint')];
    const possible = checkpoints.flatMap((lsn) => [lsn, ...cuts.map((cut) => Math.min(lsn, cut))]);
    assert.ok(possible.includes(checkpoint), `checkpoint ${checkpoint}, not one of ${possible}`);
    this.#startOver(lastLsn, checkpoint, isDurable);
  }

  #startOver(lastLsn: number, checkpoint: number, isDurable: boolean): void {
    this.#entries.length = lastLsn;
    for (const entry of this.#entries) entry.sequence = undefined;
    this.#checkpoint = checkpoint;
    this.#writtenLsn = lastLsn;
    this.#durableLsn = isDurable ? lastLsn : Math.min(this.#durableLsn, lastLsn);
    this.#syncs.clear();
    this.#commands.clear();
    this.#hasFailed = false;
  }

  #assertContent(frames: readonly FrameOnDisk[]): void {
    const firstLsn = frames[0]?.lsn ?? 1;
    assert.ok(
      firstLsn <= Math.max(1, this.#firstLsn),
      `entries ${this.#firstLsn} to ${firstLsn - 1} are gone`,
    );
    frames.forEach(({ lsn, data }, at) => {
      assert.equal(lsn, firstLsn + at, 'the LSNs have a gap');
      const expected = this.#entries[lsn - 1]?.data as Uint8Array;
      assert.ok(Buffer.from(expected).equals(data), `entry ${lsn} is not what was appended`);
    });
  }

  #acknowledge(runs: LaneRuns, before: number): number {
    let lastLsn = before;
    for (const [sequence, lsn] of expandRuns(runs)) {
      assert.equal(this.#entries[lsn - 1]?.sequence, sequence, `LSN ${lsn} went to the wrong append`);
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
    const { name, lsn, sequence: last } = command;
    if (name === 'checkpoint') this.#checkpoint = lsn;
    if (name !== 'truncateAfter') return;
    this.#entries = this.#entries.filter(({ sequence }, at) => at < lsn || (sequence ?? 0) > last);
    this.#checkpoint = Math.min(this.#checkpoint, lsn);
    this.#writtenLsn = Math.min(this.#writtenLsn, lsn);
    this.#durableLsn = lsn;
  }

  #pending(name: LogCommand['name']): number[] {
    return [...this.#commands.values()].filter((command) => command.name === name).map(({ lsn }) => lsn);
  }

  /** After a failed sync not even a read shows what was written (Btrfs): only what is durable is promised. */
  #fail(code: string): void {
    this.#hasFailed = true;
    if (code === 'ERR_WAL_SYNC_FAILED') this.#writtenLsn = this.#durableLsn;
    this.#syncs.clear();
  }
}
