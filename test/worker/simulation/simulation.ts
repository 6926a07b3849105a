import assert from 'node:assert/strict';
import type { Fault, Operation, SimulatedDisk } from '../../../src/files/simulated-disk.js';
import type { LogFailure } from '../../../src/worker/failure.js';
import type { LogCommand, WriterOptions } from '../../../src/worker/messages.js';
import { recoverLog } from '../../../src/worker/recovery.js';
import type { NextStep } from '../../../src/worker/writer.js';
import { Level } from '../support/lane-client.js';
import { readFrames } from '../support/segments.js';
import type { StepSyncer, SyncerHost } from '../support/step-syncer.js';
import { TestLog } from '../support/test-log.js';
import { type CrashKind, LogModel } from './model.js';

export interface SimulationSettings {
  readonly disk: SimulatedDisk;
  readonly options: Partial<WriterOptions>;
  /** Default: an honest one. */
  readonly createSyncer?: ((host: SyncerHost) => StepSyncer) | undefined;
  /** What a broken writer would not do to the disk, or not in this way. Default: the disk gets all that is asked. */
  readonly tamper?: ((operation: Operation) => Fault | undefined) | undefined;
}

/** Ends the work on a log whose machine has stopped. */
export class Stopped extends Error {}

/**
 * A log on a simulated disk and the model that knows what it promised. The machine may stop at any operation of the disk;
 * what was said until then counts, what the dying code does afterwards does not.
 */
export class Simulation {
  readonly disk: SimulatedDisk;
  readonly model = new LogModel();
  readonly #settings: SimulationSettings;
  #log: TestLog | undefined;
  #stopAt = Number.POSITIVE_INFINITY;
  #hasStopped = false;
  #lastEnd: CrashKind | 'close' = 'close';

  constructor(settings: SimulationSettings) {
    this.#settings = settings;
    this.disk = settings.disk;
    this.#watch();
  }

  /** The machine will stop at the operation with this index. */
  stopAt(index: number): void {
    this.#stopAt = index;
  }

  get log(): TestLog {
    if (this.#log === undefined) throw new Error('the log is not open');
    return this.#log;
  }

  /** @throws Stopped; whatever keeps the log from being opened */
  open(): void {
    const { disk, options, createSyncer } = this.#settings;
    try {
      this.#log = new TestLog({ disk, options, createSyncer });
    } catch (error) {
      if (this.#hasStopped) throw new Stopped();
      // What was written and not durable may be gone with the page cache.
      if ((error as Partial<LogFailure>).failure?.code === 'ERR_WAL_SYNC_FAILED') this.#lastEnd = 'power cut';
      throw error;
    }
    const { settle, lastLsn, checkpoint } = this.#log.recovered.start;
    const frames = readFrames(this.#log.files, lastLsn);
    this.model.noteRecovered(frames, this.#lastEnd, checkpoint, settle === undefined);
  }

  append(data: Uint8Array, level: number = Level.none): void {
    this.#take([data], this.log.lane.append(data, level));
  }

  appendBatch(parts: readonly Uint8Array[], level: number = Level.none): void {
    this.#take(parts, this.log.lane.appendBatch(parts, level));
  }

  sync(): void {
    this.model.noteSyncAsked(this.log.lane.sync(), this.log.lane.sequence);
  }

  command(name: LogCommand['name'], lsn: number): void {
    const id = this.log.lane.command(name, lsn);
    this.model.noteCommand(id, { name, lsn }, this.log.lane.sequence);
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
      return next;
    });
    this.model.assertAllAnswered();
    this.#leave(this.model.hasFailed ? 'killed process' : 'close');
  }

  /** The machine's stop, or its end at this moment, and what it leaves for the next open. */
  crash(kind: CrashKind): void {
    this.#leave(kind);
    this.#hasStopped = false;
    if (kind === 'power cut') this.disk.powerCut();
    else this.disk.killProcess();
  }

  /** The log is open and quiet: whoever opened it again would find nothing to do. */
  assertSettled(): void {
    const { report } = recoverLog(this.disk, this.log.options);
    assert.equal(report.verdict, 'clean');
    assert.equal(report.rewrittenBytes, 0);
    assert.equal(report.watermark, report.lastLsn);
  }

  #take(parts: readonly Uint8Array[], sequence: number): void {
    if (sequence > 0) this.model.noteAppended(parts, sequence);
  }

  #act(act: (log: TestLog) => NextStep): void {
    try {
      act(this.log);
    } catch (error) {
      if (!this.#hasStopped) throw error;
    }
    // The writer takes the stop for an error of the disk: what it does about it happens after its death.
    if (this.#hasStopped) throw new Stopped();
    this.#hear();
  }

  #hear(): void {
    this.model.noteFirstLsn(this.log.board.get('firstLsn'));
    for (const message of this.log.lane.hear()) this.model.noteHeard(message);
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
    // Several crashes may come before an open succeeds: the worst counts.
    if (this.#log !== undefined || end === 'power cut') this.#lastEnd = end;
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.disk.clearFaults();
    this.#watch();
    this.#log?.dispose();
    this.#log = undefined;
  }
}
