import assert from 'node:assert/strict';
import type { Fault, Operation, Random, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { NEXT_FILE, SPARE_FILE } from '../../src/format/segment-name.js';
import type { CheckpointChange } from '../../src/protocol/checkpoint-changes.js';
import type { LogCommand } from '../../src/protocol/lane-messages.js';
import type { WriterOptions } from '../../src/protocol/thread-data.js';
import type { Kernel } from '../../src/ring/kernel/kernel.js';
import type { LaneViews } from '../../src/ring/layout.js';
import type { SteppedSyncer, SyncerHost } from '../../src/testing/stepped-syncer.js';
import { readState } from '../../src/worker/directory/state-store.js';
import type { LogFailure } from '../../src/worker/errors/failure.js';
import { recoverLog } from '../../src/worker/recover/recovery.js';
import { repairLog } from '../../src/worker/recover/repair.js';
import type { SyncRound, SyncRoundParts } from '../../src/worker/sync/sync-round.js';
import { assertNothingGone, type Image, imageOf, judgeFully } from '../worker/recover/damaged-logs.js';
import { Level } from '../worker/support/lane-client.js';
import { type FrameOnDisk, readFrames, readFramesBeforeFault } from '../worker/support/segments.js';
import { DIRECTORY, OPTIONS, TestLog } from '../worker/support/test-log.js';
import { backUpAndRestore } from './backups.js';
import { inflictDamage } from './damage.js';
import { EntryNames } from './entry-names.js';
import { type CrashKind, LogModel, type RepairMode, type Retention } from './model.js';

export interface SimulationSettings {
  readonly disk: SimulatedDisk;
  readonly options: Partial<WriterOptions>;
  /** Default: the real one. */
  readonly createRound?: ((parts: SyncRoundParts) => SyncRound) | undefined;
  readonly createSyncer?: ((host: SyncerHost) => SteppedSyncer) | undefined;
  /** Default: the real one. */
  readonly createKernel?: ((views: LaneViews) => Kernel) | undefined;
  /** Changes the disk operations of a broken writer. Default: the disk gets all operations unchanged. */
  readonly tamper?: ((operation: Operation) => Fault | undefined) | undefined;
}

/** Ends the work on a log whose machine has stopped. */
export class Stopped extends Error {}

/**
 * A log on a simulated disk and the model of its promises. The machine may stop at any disk operation. Messages posted until then
 * count; what the dying code does afterwards does not.
 */
export class Simulation {
  readonly disk: SimulatedDisk;
  readonly model: LogModel;
  readonly #settings: SimulationSettings;
  /** The files when they were damaged, if no cut was under way that the next open would finish. */
  #damaged: Image | undefined;
  #hasBeenDamaged = false;
  /** Opening could not remove what a process before had prepared. */
  #hasLeftovers = false;
  #isAtRest = false;
  /** A repair may have removed segments. */
  #mayHaveRepaired = false;
  /** Everything that the last open cut off is gone from the files. */
  #isSettled = true;
  #log: TestLog | undefined;
  readonly #names = new EntryNames();
  #stopAt = Number.POSITIVE_INFINITY;
  #hasStopped = false;
  #lastEnd: CrashKind | 'close' = 'close';

  constructor(settings: SimulationSettings) {
    this.#settings = settings;
    this.disk = settings.disk;
    this.model = new LogModel(retentionOf(settings.options));
    this.#watch();
  }

  /** The machine will stop at the operation with this index. */
  stopAt(index: number): void {
    this.#stopAt = index;
  }

  /**
   * No process has the log open, none of its bytes is in memory only, and it ends where the last open said. (If there was no room
   * to cut a tail, a salvage would keep what it can read of it.)
   */
  get isAtRest(): boolean {
    return this.#isAtRest && this.#isSettled;
  }

  get log(): TestLog {
    if (this.#log === undefined) throw new Error('the log is not open');
    return this.#log;
  }

  /** @throws Stopped; the error of a log that cannot be opened */
  open(): void {
    this.#isAtRest = false;
    const { disk, options, createRound, createSyncer, createKernel } = this.#settings;
    try {
      this.#log = new TestLog({ disk, options, createRound, createSyncer, createKernel });
    } catch (error) {
      if (this.#hasStopped) throw new Stopped();
      // What was written and not durable may be gone with the page cache.
      if ((error as Partial<LogFailure>).failure?.code === 'ERR_WAL_SYNC_FAILED') this.#lastEnd = 'power cut';
      throw error;
    }
    const { finishRecovery, lastLsn, state, catalog } = this.#log.recovered.start;
    // A log without an entry may have a last LSN, and bytes that there was no room to cut yet.
    const frames = catalog.oldestLsn === 0 ? [] : readFrames(this.#log.files, lastLsn);
    const { report } = this.#log.recovered;
    const isDurable = finishRecovery === undefined;
    this.#hasBeenDamaged ||= this.model.isDamaged;
    this.#mayHaveRepaired ||= this.model.isBeingRepaired;
    this.model.noteRecovered(frames, this.#lastEnd, report, state, isDurable);
    this.#noteNames(frames, isDurable ? lastLsn : 0);
    this.#assertArchived();
    // That they cannot be removed is no reason not to open the log.
    this.#hasLeftovers = this.#log.files.names().some((name) => name === NEXT_FILE || name === SPARE_FILE);
    this.#damaged = undefined;
    this.#isSettled = finishRecovery === undefined;
  }

  #assertArchived(): void {
    if (!this.log.options.hasArchive || this.#mayHaveRepaired) return;
    const first = this.log.segments[0] ?? 0;
    if (this.model.takeEmptied()) this.model.places.noteGivenUp(first);
    this.model.places.assertArchived(first);
  }

  /** Damages the files of a log that [isAtRest]. */
  damage(random: Random): void {
    const damage = inflictDamage(this.disk, random);
    if (damage === undefined) return;
    this.model.noteDamaged(damage);
    const state = readState(this.disk, DIRECTORY);
    const isBeingCut = state !== undefined && 'pendingCut' in state;
    this.#damaged = isBeingCut ? undefined : imageOf(this.disk);
  }

  /**
   * What a user does with a damaged log: verifies it, and repairs it if it is corrupt.
   *
   * @throws Stopped; the error of a log that cannot be repaired
   */
  mend(mode: RepairMode): void {
    const { disk } = this;
    try {
      const { verdict } = judgeFully(disk);
      assert.notEqual(verdict, 'unsupported');
      if (verdict !== 'corrupt') return;
      this.model.noteRepair(mode);
      const plan = repairLog(disk, DIRECTORY, mode, true, OPTIONS.fileMode);
      const done = repairLog(disk, DIRECTORY, mode, false, OPTIONS.fileMode);
      assert.deepEqual({ ...done, dryRun: true, sideFiles: [] }, plan, 'the dry run said something else');
      assert.notEqual(judgeFully(disk).verdict, 'corrupt');
      if (this.#damaged !== undefined) assertNothingGone(this.#damaged, imageOf(disk));
      assert.deepEqual(repairLog(disk, DIRECTORY, mode, false, OPTIONS.fileMode).changedSegments, []);
    } catch (error) {
      if (this.#hasStopped) throw new Stopped();
      throw error;
    }
  }

  append(data: Uint8Array, level: number = Level.none): void {
    this.#take([data], this.log.lane.append(data, level));
  }

  appendBatch(parts: readonly Uint8Array[], level: number = Level.none): void {
    this.#take(parts, this.log.lane.appendBatch(parts, level));
  }

  /** Appends one entry or a batch that must become entry `lsn`. */
  appendExpecting(parts: readonly Uint8Array[], lsn: number, level: number = Level.none): void {
    this.model.noteAppended(parts, this.log.lane.appendExpecting(parts, lsn, level), lsn);
  }

  /** Appends each entry by itself, in one message beside the ring. The entries are small. */
  appendQueued(entries: readonly Uint8Array[], level: number = Level.none): void {
    const first = this.log.lane.appendQueued(entries, level) - entries.length + 1;
    for (const [at, data] of entries.entries()) this.#take([data], first + at);
  }

  sync(): void {
    this.model.noteSyncAsked(this.log.lane.sync(), this.log.lane.sequence);
  }

  command(name: LogCommand['name'], lsn: number, splitBatch = false): void {
    const id = this.log.lane.command(name, lsn, splitBatch);
    this.model.noteCommand(id, { name, lsn, splitBatch }, this.log.lane.sequence);
  }

  change(...changes: CheckpointChange[]): void {
    this.model.noteChange(this.log.lane.change(...changes), changes);
  }

  /** Segments up to this number are sealed and durable, as far as the archive has heard; -1 = none. */
  get sealed(): number {
    const { catalog } = this.log.recovered.start;
    const told = this.log.lane.all('segments-sealed').at(-1)?.upTo ?? -1;
    return Math.min(told, (catalog.last?.number ?? 0) - 1);
  }

  /** Cuts that the archive has heard of since the log was opened. */
  get cuts(): number {
    return this.log.lane.all('truncated').length;
  }

  /** See [backUpAndRestore]. Not of a log that was damaged, nor with a writer that is broken on purpose. */
  backUp(random: Random): void {
    // A backup begins with a sync, which is refused as long as recovery has no room, and once the log has ended.
    if (!this.#isSettled || this.model.hasFailed) return;
    if (this.model.isDamaged || this.#settings.tamper !== undefined) return;
    backUpAndRestore(this.log, random);
    if (this.#hasStopped) throw new Stopped();
  }

  /** The producer starts to poll the acknowledgement slot, or stops. */
  switchPolling(): void {
    const { lane } = this.log;
    if (lane.isPolling) lane.stopPolling();
    else lane.startPolling();
    this.#hear();
  }

  step(): void {
    this.#act((log) => log.step());
  }

  run(): void {
    this.#act((log) => log.run());
  }

  finishSync(): void {
    this.#act((log) => log.finishSync());
  }

  /** The sync under way is done, but the writer does not know yet. */
  workOfSync(): void {
    this.#act((log) => log.syncer.work());
  }

  sleep(ms: number): void {
    this.#act((log) => log.sleep(ms));
  }

  /** @throws Stopped; an assertion if the log does not close */
  close(): void {
    this.log.lane.close();
    this.log.syncer.isPrompt = true;
    this.#act((log) => {
      log.syncer.complete();
      const next = log.run();
      if (!this.#hasStopped) assert.equal(next.kind, 'closed');
    });
    this.model.assertAllAnswered();
    this.#isAtRest = !this.model.hasFailed && this.log.recovered.start.finishRecovery === undefined;
    if (this.#isAtRest) {
      this.model.noteClosed();
      // Only whole frames, and no prepared file beside the segments.
      readFrames(this.log.files);
      const made = this.log.files.names().filter((name) => name === NEXT_FILE || name === SPARE_FILE);
      if (!this.model.hasTrouble && !this.#hasLeftovers) assert.deepEqual(made, []);
    }
    this.#leave(this.model.hasFailed ? 'killed process' : 'close');
  }

  /** The machine has stopped, or stops now: notes what that may leave for the next open. */
  crash(kind: CrashKind): void {
    this.#leave(kind);
    this.#isAtRest = kind === 'power cut';
    this.#hasStopped = false;
    if (kind === 'power cut') this.disk.powerCut();
    else this.disk.killProcess();
  }

  /** The log is open and quiet: another open would find nothing to do. */
  assertSettled(): void {
    const { report } = recoverLog(this.disk, this.log.options);
    assert.equal(report.verdict, 'clean');
    assert.equal(report.rewrittenBytes, 0);
    assert.equal(report.watermark, report.lastLsn);
  }

  #take(parts: readonly Uint8Array[], sequence: number): void {
    if (sequence > 0) this.model.noteAppended(parts, sequence);
  }

  #act(act: (log: TestLog) => void): void {
    try {
      act(this.log);
    } catch (error) {
      if (!this.#hasStopped) throw error;
    }
    // The writer takes the stop for a disk error: what it then does happens after its death.
    if (this.#hasStopped) throw new Stopped();
    this.#hear();
  }

  #hear(): void {
    this.model.noteFirstLsn(this.log.status.get('firstLsn'));
    const durableLsn = this.model.durableLsn;
    for (const message of this.log.lane.hear()) this.model.noteHeard(message);
    // Whatever is cut off later was durable under this name.
    if (this.model.durableLsn > durableLsn && !this.model.hasFailed)
      this.#noteNames(readFramesBeforeFault(this.log.files), this.model.durableLsn);
  }

  /**
   * Not once bytes have rotted: a log that ended before durable entries then gives out their LSNs again without knowing it, and a
   * stamp that nothing reads any more may be among the bytes (docs/durability.md).
   */
  #noteNames(frames: readonly FrameOnDisk[], durableLsn: number): void {
    if (!this.#hasBeenDamaged) this.#names.note(frames, durableLsn);
  }

  #watch(): void {
    this.disk.onOperation((operation) => {
      if (operation.index !== this.#stopAt || this.#hasStopped) return this.#settings.tamper?.(operation);
      if (this.#log !== undefined) this.#hear();
      this.#hasStopped = true;
      return { crash: true };
    });
  }

  #leave(end: CrashKind | 'close'): void {
    // Several crashes may come before an open succeeds: the worst one counts. A failed sync counts as a power cut, even if the
    // log had ended before or did not live to learn of it.
    const worst = this.#log?.syncer.hasFailed && end === 'killed process' ? 'power cut' : end;
    if (this.#log !== undefined || end === 'power cut') this.#lastEnd = worst;
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.disk.clearFaults();
    this.#watch();
    this.#log?.dispose();
    this.#log = undefined;
  }
}

function retentionOf({
  maxFiles,
  maxAge,
  maxTotalSize,
  retainFromCheckpoint,
}: Partial<WriterOptions>): Retention {
  const limits = [maxFiles, maxAge, maxTotalSize].filter((limit) => limit !== undefined);
  if (!limits.some(Number.isFinite)) return 'none';
  return retainFromCheckpoint ? 'checkpointed' : 'any';
}
