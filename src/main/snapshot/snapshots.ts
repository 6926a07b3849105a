import { AbortController } from '../../files/node-globals.js';
import type { AnyCommand, CommandResult } from '../../protocol/lane-messages.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { Lane } from '../append/lane.js';
import { WalError } from '../errors/wal-error.js';
import { hasField } from '../jobs/own-field.js';
import type { SnapshotJobs, SnapshotSink } from '../jobs/snapshot-jobs.js';
import type { CheckedWriteSnapshotOptions } from '../options/snapshot-options.js';
import type { LiveView } from '../read/live-view.js';
import { verifyOne } from './recover-state.js';
import { SnapshotPump, type SnapshotSource } from './snapshot-source.js';

/** Figures about snapshots: {@link WalStats.snapshots}. */
export interface SnapshotsStats {
  /** Snapshots whose headers and footers are intact. */
  readonly count: number;
  /** Bytes of data in all of them. */
  readonly totalBytes: number;
  /** LSN of the newest one; 0 = there is none. */
  readonly newestLsn: number;
  /** Bytes of data in the newest one. */
  readonly newestBytes: number;
  /** When the newest one was begun, milliseconds since 1970; 0 = there is none. */
  readonly newestMs: number;
  /** Milliseconds since then, by the wall clock; 0 = there is none. */
  readonly newestAgeMs: number;
  /** Snapshots written since open. */
  readonly written: number;
  /** Calls of `writeSnapshot` that failed since open. Calls that their signal or `close` ended are not among them. */
  readonly failures: number;
}

export interface SnapshotsParts {
  readonly directory: string;
  readonly lane: Lane;
  readonly view: LiveView;
  readonly jobs: SnapshotJobs;
  readonly fileMode: number;
  /** Milliseconds of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly onError: (error: WalError) => void;
}

/** A call of `writeSnapshot` that has not ended. */
interface Writing {
  /** Ends it, with this error, unless the snapshot has its name already. */
  interrupt: (error: unknown) => void;
  /** Settles when the call has let go of every file. */
  ended: Promise<unknown>;
}

/**
 * Writes the snapshots of the log that this process writes: the opening thread's part of the steps in
 * src/worker/commands/snapshot-commands.ts.
 */
export class Snapshots {
  readonly #parts: SnapshotsParts;
  readonly #writing = new Map<number, Writing>();
  /** Snapshots whose whole files were read, or written, since open. */
  readonly #verified = new Set<string>();
  /** Snapshots are installed one after the other, removal of surplus included: none gets a name that is about to be removed. */
  #installing: Promise<unknown> = Promise.resolve();
  #written = 0;
  #failures = 0;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
  }

  /** See `Wal.writeSnapshot`. */
  async write(
    lsn: number,
    source: SnapshotSource,
    options: CheckedWriteSnapshotOptions,
  ): Promise<SnapshotRecord> {
    const { directory } = this.#parts;
    options.signal?.throwIfAborted();
    if (this.#writing.has(lsn))
      throw new WalError(
        'ERR_WAL_OPTION',
        `Cannot write a snapshot at ${lsn} of "${directory}": one is being written. Wait for that call.`,
        { path: directory, lsn },
      );
    const call = new SnapshotCall(options.signal);
    const ended = this.#run(call, lsn, source, options);
    this.#writing.set(lsn, { interrupt: (error) => call.interrupt(error), ended });
    try {
      const snapshot = await ended;
      this.#written += 1;
      return snapshot;
    } catch (error) {
      if (!call.isInterrupted) this.#failures += 1;
      throw error;
    } finally {
      call.dispose();
      this.#writing.delete(lsn);
    }
  }

  /** See `Wal.removeSnapshot`. */
  async remove(lsn: number): Promise<void> {
    await this.#inTurn(() => this.#command({ name: 'removeSnapshot', lsn }));
  }

  /** The whole file of `snapshot` was read, and it is intact. */
  async noteVerified(snapshot: SnapshotRecord): Promise<void> {
    this.#verified.add(keyOf(snapshot));
    await this.#command({ name: 'noteSnapshotIntact', lsn: snapshot.lsn });
  }

  read(): SnapshotsStats {
    const snapshots = this.#parts.view.snapshots();
    const [newest] = snapshots;
    return {
      count: snapshots.length,
      totalBytes: snapshots.reduce((sum, { bytes }) => sum + bytes, 0),
      newestLsn: newest?.lsn ?? 0,
      newestBytes: newest?.bytes ?? 0,
      newestMs: newest?.createdMs ?? 0,
      newestAgeMs: newest === undefined ? 0 : Math.max(0, this.#parts.view.wallMs() - newest.createdMs),
      written: this.#written,
      failures: this.#failures,
    };
  }

  /** Ends the calls that have not ended, with `error`. Resolves once they have let go of every file. */
  async close(error: () => unknown): Promise<void> {
    const calls = [...this.#writing.values()];
    for (const { interrupt } of calls) interrupt(error());
    await Promise.allSettled([...calls.map(({ ended }) => ended), this.#installing]);
  }

  async #run(
    call: SnapshotCall,
    lsn: number,
    source: SnapshotSource,
    options: CheckedWriteSnapshotOptions,
  ): Promise<SnapshotRecord> {
    const { directory, lane, view, jobs, fileMode, nowMs } = this.#parts;
    if (view.durableLsn < lsn) await lane.sync(options.signal);
    const { cuts, ...place } = await this.#begin(lsn);
    const { format, bytesPerSecond } = options;
    const sink = await jobs.write({ directory, lsn, format, fileMode, ...place });
    try {
      const pump = new SnapshotPump(sink, { bytesPerSecond, nowMs });
      call.onInterrupt((error) => pump.interrupt(error));
      await pump.run(source);
      call.assertWanted();
      const snapshot = await sink.finish();
      call.assertWanted();
      await this.#inTurn(() => this.#install(call, snapshot, cuts, options.keep));
      sink.close();
      return snapshot;
    } catch (error) {
      await this.#abort(sink);
      throw error;
    }
  }

  async #begin(lsn: number) {
    const result = await this.#command({ name: 'beginSnapshot', lsn });
    if (result === undefined) throw new Error('the writer has begun no snapshot');
    return result;
  }

  async #install(call: SnapshotCall, snapshot: SnapshotRecord, cuts: number, keep: number): Promise<void> {
    const { kept, surplus } = await this.#choose(call, snapshot, keep);
    call.assertWanted();
    const { lsn } = snapshot;
    const intact = [lsn, ...kept];
    await this.#command({ name: 'installSnapshot', lsn, snapshot, cuts, intact, surplus });
    this.#verified.add(keyOf(snapshot));
    if (surplus.length > 0) await this.#removeSurplus(surplus);
  }

  /**
   * Among the snapshots besides the new one: the LSNs of those that are kept, and of those that are not. Only an intact snapshot
   * counts as kept. A damaged one stays where it is, for a person to look at, and so does each one that is newer.
   */
  async #choose(
    call: SnapshotCall,
    { lsn }: SnapshotRecord,
    keep: number,
  ): Promise<{ readonly kept: readonly number[]; readonly surplus: readonly number[] }> {
    const { view } = this.#parts;
    const kept: number[] = [];
    const surplus: number[] = [];
    for (const other of view.snapshots()) {
      if (other.lsn === lsn) continue;
      const isOlder = other.lsn < lsn;
      if (isOlder && kept.length >= keep - 1) surplus.push(other.lsn);
      else if (await this.#isIntact(other, call.signal)) kept.push(other.lsn);
    }
    return { kept, surplus };
  }

  async #isIntact(snapshot: SnapshotRecord, signal: AbortSignal): Promise<boolean> {
    const key = keyOf(snapshot);
    if (this.#verified.has(key)) return true;
    const isIntact = hasField(await verifyOne(this.#parts.view, snapshot.lsn, signal), 'snapshot');
    if (isIntact) this.#verified.add(key);
    return isIntact;
  }

  /** The new snapshot is in place: a failure to remove an old one does not affect it. */
  async #removeSurplus(lsns: readonly number[]): Promise<void> {
    const { directory, jobs, view, onError } = this.#parts;
    try {
      await jobs.remove({ directory, place: view.place, lsns });
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      onError(error);
    }
  }

  async #abort(sink: SnapshotSink): Promise<void> {
    try {
      await sink.abort();
    } catch (error) {
      // The caller gets the error that the snapshot failed with. The next open removes the file.
      if (!(error instanceof WalError)) throw error;
      this.#parts.onError(error);
    }
  }

  #command(command: AnyCommand): Promise<CommandResult | undefined> {
    return this.#parts.lane.command(command);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#installing.then(act);
    this.#installing = done.catch(() => {
      // The caller has it.
    });
    return done;
  }
}

/** One call of `writeSnapshot`, which its signal or the end of the log may end early. */
class SnapshotCall {
  readonly #given: AbortSignal | undefined;
  readonly #own = new AbortController();
  readonly #onAbort = () => this.interrupt(this.#given?.reason);
  #onInterrupt: (error: unknown) => void = () => {};

  constructor(given: AbortSignal | undefined) {
    this.#given = given;
    given?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Aborts in either case. */
  get signal(): AbortSignal {
    return this.#own.signal;
  }

  get isInterrupted(): boolean {
    return this.#own.signal.aborted;
  }

  interrupt(error: unknown): void {
    this.#own.abort(error);
    this.#onInterrupt(error);
  }

  /** Calls `act` once the call is interrupted, or now if it is. */
  onInterrupt(act: (error: unknown) => void): void {
    this.#onInterrupt = act;
    if (this.isInterrupted) act(this.#own.signal.reason);
  }

  assertWanted(): void {
    this.#own.signal.throwIfAborted();
  }

  dispose(): void {
    this.#given?.removeEventListener('abort', this.#onAbort);
  }
}

/** Distinguishes a snapshot from every other one that had its name. */
function keyOf({ lsn, branch, createdMs, bytes, entryCrc }: SnapshotRecord): string {
  return [lsn, branch, createdMs, bytes, entryCrc].join('/');
}
