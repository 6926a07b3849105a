import { type Disk, isFullDisk } from '../../files/disk.js';
import type { ChangeResult, CheckpointChange } from '../../protocol/checkpoint-changes.js';
import type { Failure } from '../../protocol/errors.js';
import type { AnyCommand, CommandResult, LogCommand, SnapshotCommand } from '../../protocol/lane-messages.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { failureOf, LogFailure, mayPass, PassingError } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import { changePlaces } from '../upkeep/kept-places.js';
import type { LogTail } from '../write/log-tail.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';
import { LogCuts } from './log-cuts.js';
import { SnapshotCommands } from './snapshot-commands.js';

/** `failure`: the command was refused, or could not be carried out. */
export interface CommandOutcome {
  readonly failure: Failure | undefined;
  readonly result?: CommandResult | undefined;
}

/**
 * Runs `checkpoint`, `truncateBefore`, `truncateAfter`, `reset` and `rotate`, changes of named checkpoints, and the steps of
 * snapshots. A command runs to its end on the writer thread: the writer takes in
 * nothing meanwhile, so no other change can come in between.
 */
export class LogCommands {
  readonly #options: WriterOptions;
  readonly #status: LogStatus;
  readonly #cuts: LogCuts;
  readonly #catalog: SegmentCatalog;
  readonly #tail: LogTail;
  readonly #committer: Committer;
  readonly #sealLive: () => void;
  readonly #snapshots: SnapshotCommands;

  constructor(parts: {
    readonly disk: Disk;
    readonly options: WriterOptions;
    readonly status: LogStatus;
    readonly logId: bigint;
    readonly place: LogDirectory;
    readonly catalog: SegmentCatalog;
    readonly opener: AckChannel;
    readonly tail: LogTail;
    readonly committer: Committer;
    /** Seals the live segment and begins the next one. */
    readonly sealLive: () => void;
    readonly snapshots: readonly SnapshotRecord[];
  }) {
    this.#options = parts.options;
    this.#status = parts.status;
    this.#catalog = parts.catalog;
    this.#tail = parts.tail;
    this.#committer = parts.committer;
    this.#sealLive = parts.sealLive;
    this.#snapshots = new SnapshotCommands(parts);
    this.#cuts = new LogCuts({ ...parts, snapshots: this.#snapshots });
  }

  /**
   * Makes everything that was accepted before the command durable, except for a snapshot command: that is refused unless its entry
   * is durable already. Returns the failure, if there is one; the log is then unchanged.
   *
   * @throws an error that ends the log
   */
  prepare(command: AnyCommand): Failure | undefined {
    if (isAboutSnapshot(command)) return undefined;
    const done = this.#attempt(command, () => {
      this.#committer.syncAll();
      return { failure: undefined };
    });
    return done.failure;
  }

  /**
   * Carries the command out, after [prepare]. Returns its answer, or why it could not be carried out; the log is then unchanged.
   *
   * @throws an error that ends the log
   */
  run(command: AnyCommand): CommandOutcome {
    return this.#attempt(command, () => {
      this.#tail.checkPlace();
      if (isAboutSnapshot(command)) return { failure: undefined, result: this.#snapshots.run(command) };
      return { failure: this.#runOnLog(command) };
    });
  }

  #runOnLog({ name, lsn, splitBatch = false, dryRun = false }: LogCommand): Failure | undefined {
    const committer = this.#committer;
    const { housekeeper } = committer;
    this.#checkRange(name, lsn);
    switch (name) {
      case 'rotate':
        // A segment without an entry cannot be sealed.
        if (this.#tail.progress.bytes > 0) this.#sealLive();
        return undefined;
      case 'checkpoint':
        committer.withRoom(() => housekeeper.keep({ checkpoint: lsn }, committer.watermark));
        return undefined;
      case 'truncateBefore':
        return this.#truncateBefore(lsn);
      case 'truncateAfter':
        if (lsn < this.#tail.wholeLsn) this.#cuts.truncateAfter(lsn, splitBatch, dryRun);
        return undefined;
      case 'reset':
        this.#cuts.reset(lsn);
        return undefined;
    }
  }

  /**
   * Makes changes of named checkpoints, and of the archive's progress, durable in one step. Before it, only the entries that the
   * changes name must be durable. A failure refuses all changes, and the log is then unchanged.
   *
   * @throws an error that ends the log
   */
  change(changes: readonly CheckpointChange[]): { readonly results: ChangeResult[] } | Failure {
    const committer = this.#committer;
    const { housekeeper } = committer;
    const { directory } = this.#options;
    try {
      const highest = Math.max(0, ...changes.map((change) => (change.kind === 'set' ? change.lsn : 0)));
      committer.syncUpTo(Math.min(highest, this.#tail.wholeLsn));
      this.#tail.checkPlace();
      const { places, results } = changePlaces(housekeeper.places, changes, {
        directory,
        firstLsn: this.#status.get('firstLsn'),
        lastLsn: this.#tail.wholeLsn,
        live: this.#catalog.last?.number ?? 0,
        cuts: this.#cuts.made,
      });
      if (changes.some(({ kind }) => kind === 'detached')) housekeeper.detachReplica(committer.watermark);
      if (places !== undefined) committer.withRoom(() => housekeeper.keep(places, committer.watermark));
      return { results };
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      return failureOf(causeOf(error), `record checkpoints of "${directory}"`, directory);
    }
  }

  #attempt(command: AnyCommand, act: () => CommandOutcome): CommandOutcome {
    try {
      return act();
    } catch (error) {
      if (this.#isTerminal(error)) throw error;
      const { directory } = this.#options;
      return {
        failure: failureOf(causeOf(error), `${describeCommand(command)} on "${directory}"`, directory),
      };
    }
  }

  /** A command that was refused, or found no room before it changed anything, leaves the log unchanged. */
  #isTerminal(error: unknown): boolean {
    if (error instanceof LogFailure)
      return error.failure.code === 'ERR_WAL_SYNC_FAILED' || error.failure.code === 'ERR_WAL_IO';
    return !mayPass(error);
  }

  /** On a full disk, removing the segments makes the room for recording their removal. */
  #truncateBefore(lsn: number): Failure | undefined {
    const committer = this.#committer;
    const { housekeeper } = committer;
    const raiseFloor = () => committer.withRoom(() => housekeeper.raiseFloor(lsn, committer.watermark));
    if (lsn <= this.#status.get('firstLsn')) return housekeeper.removeBelow(lsn);
    try {
      raiseFloor();
    } catch (error) {
      if (!isFullDisk(error)) throw error;
      const trouble = housekeeper.removeBelow(lsn);
      raiseFloor();
      return trouble;
    }
    return housekeeper.removeBelow(lsn);
  }

  #checkRange(name: LogCommand['name'], lsn: number): void {
    if (name === 'rotate' || name === 'reset') return;
    const firstLsn = this.#status.get('firstLsn');
    const lastLsn = this.#tail.wholeLsn;
    // One before the first entry is the place where the log ends once it is emptied.
    const isLow = name === 'truncateAfter' && lsn < firstLsn - 1;
    // One past the end is the place of the next entry: everything before it may be removed.
    const isHigh = lsn > (name === 'truncateBefore' ? lastLsn + 1 : lastLsn);
    if (!isLow && !isHigh) return;
    const { directory } = this.#options;
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot ${name}(${lsn}) on "${directory}": the log ${describeExtent(firstLsn, lastLsn)}.`,
      { path: directory, lsn },
    );
  }
}

function describeCommand({ name, lsn }: AnyCommand): string {
  return name === 'rotate' ? 'rotate()' : `${name}(${lsn})`;
}

function describeExtent(firstLsn: number, lastLsn: number): string {
  if (lastLsn === 0) return 'is empty';
  return firstLsn > lastLsn
    ? `is empty and continues with entry ${firstLsn}`
    : `holds entries ${firstLsn} to ${lastLsn}`;
}

function causeOf(error: unknown): unknown {
  return error instanceof PassingError ? error.cause : error;
}

function isAboutSnapshot(command: AnyCommand): command is SnapshotCommand {
  return command.name.includes('Snapshot');
}
