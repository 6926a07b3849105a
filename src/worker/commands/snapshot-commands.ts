import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { snapshotAsideName, snapshotName } from '../../format/segment-name.js';
import type { BegunSnapshotPlace, CommandResult, SnapshotCommand } from '../../protocol/lane-messages.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { removeIfThere, syncDirectory } from '../directory/side-files.js';
import { LogFailure, PassingError } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import type { SegmentCatalog } from '../write/segment-catalog.js';

/**
 * The writer thread's part in snapshots. A snapshot at entry `lsn` is written in these steps:
 *
 *   1  opening thread  `sync()`
 *      writer          `begin`: refuse unless lsn ≤ W and entry lsn is not given up
 *   2  job thread      finds the entry, refuses an lsn inside a batch; writes the file aside, synced every 8 MiB and at the end
 *      job thread      reads the older snapshots that will be kept, unless it has read them before
 *   3  writer          `install`: refuse if a cut came meanwhile; rename, directory sync
 *   4  writer          the same: entries up to the oldest snapshot that is intact and kept need not be retained
 *   5  job thread      removes surplus snapshots, directory sync
 *
 * On disk if power goes:
 *   - before 1 has ended: nothing of the snapshot
 *   - in 2: a file under an aside name, which the next open removes unread
 *   - in 3: the snapshot under one of its two names. All of it was synced before, and so was its entry
 *   - between 3 and 4: the snapshot, and more of the log than it needs. 4 itself changes no file: the next housework removes segments
 *   - in 5: one snapshot more, which the next one that is written removes
 *
 * Steps 3 and 4 run on the writer thread, since a cut must not come in between: it takes the snapshots above it out of the log
 * (tail-cut.ts). Everything that takes long runs elsewhere.
 */
export class SnapshotCommands {
  readonly #disk: Disk;
  readonly #options: WriterOptions;
  readonly #logId: bigint;
  readonly #place: LogDirectory;
  readonly #catalog: SegmentCatalog;
  readonly #status: LogStatus;
  readonly #opener: AckChannel;
  readonly #tail: LogTail;
  readonly #committer: Committer;
  /** Newest first. */
  #snapshots: readonly SnapshotRecord[];
  /** LSNs of the snapshots that were written or read since the log was opened: only that proves a snapshot intact. */
  readonly #intact = new Set<number>();
  /** For each cut since the log was opened, the last entry that stayed. */
  readonly #cuts: number[] = [];

  constructor(parts: {
    readonly disk: Disk;
    readonly options: WriterOptions;
    readonly logId: bigint;
    readonly place: LogDirectory;
    readonly catalog: SegmentCatalog;
    readonly status: LogStatus;
    readonly opener: AckChannel;
    readonly tail: LogTail;
    readonly committer: Committer;
    readonly snapshots: readonly SnapshotRecord[];
  }) {
    this.#disk = parts.disk;
    this.#options = parts.options;
    this.#logId = parts.logId;
    this.#place = parts.place;
    this.#catalog = parts.catalog;
    this.#status = parts.status;
    this.#opener = parts.opener;
    this.#tail = parts.tail;
    this.#committer = parts.committer;
    this.#snapshots = parts.snapshots;
  }

  /** @throws LogFailure ERR_WAL_OPTION, ERR_WAL_TRUNCATED; PassingError; LogFailure ERR_WAL_SYNC_FAILED, which ends the log */
  run(command: SnapshotCommand): CommandResult | undefined {
    switch (command.name) {
      case 'beginSnapshot':
        return this.#begin(command.lsn);
      case 'installSnapshot':
        this.#install(command);
        return undefined;
      case 'noteSnapshotIntact':
        this.#noteIntact(command.lsn);
        return undefined;
      case 'removeSnapshot':
        this.#remove(command.lsn);
        return undefined;
    }
  }

  /**
   * The log is being cut after entry `lsn`, and continues after `endLsn`, which is higher if the log is emptied. The cut takes the
   * snapshots above `endLsn` aside.
   */
  noteCut(lsn: number, endLsn: number): void {
    this.#cuts.push(lsn);
    const kept = this.#snapshots.filter((snapshot) => snapshot.lsn <= endLsn);
    if (kept.length < this.#snapshots.length) this.#tellLeft(kept);
  }

  #begin(lsn: number): BegunSnapshotPlace {
    // Recovery removes the files of snapshots that were being written.
    this.#committer.finishRecovery();
    const firstLsn = this.#status.get('firstLsn');
    const { wholeLsn } = this.#tail;
    // Not the committer's watermark, which is updated later than the acknowledgements.
    const watermark = this.#status.get('durableLsn');
    const isEmptyAfter = this.#holdsNothing && lsn === wholeLsn;
    if (lsn > watermark || (lsn < firstLsn && !isEmptyAfter) || (firstLsn === 0 && !isEmptyAfter)) {
      const { directory } = this.#options;
      const holds =
        firstLsn === 0 || wholeLsn === 0
          ? 'the log is empty'
          : `the log holds entries ${firstLsn} to ${wholeLsn}, durable up to ${watermark}`;
      throw new LogFailure(
        'ERR_WAL_OPTION',
        `Cannot write a snapshot at ${lsn} of "${directory}": ${holds}.`,
        {
          path: directory,
          lsn,
        },
      );
    }
    return {
      logId: this.#logId,
      branch: this.#committer.housekeeper.state(watermark).branch,
      place: this.#place.identity,
      segment: isEmptyAfter ? undefined : this.#catalog.holderOf(lsn)?.number,
      cuts: this.#cuts.length,
    };
  }

  /** The log is empty: LSNs continue after `wholeLsn`, which has no entry. */
  get #holdsNothing(): boolean {
    const firstLsn = this.#status.get('firstLsn');
    const { wholeLsn } = this.#tail;
    return wholeLsn > 0 && (firstLsn === 0 || firstLsn > wholeLsn);
  }

  #install({ snapshot, cuts, intact, surplus }: Extract<SnapshotCommand, { name: 'installSnapshot' }>): void {
    const { directory } = this.#options;
    const { lsn } = snapshot;
    if (this.#cuts.slice(cuts).some((cutLsn) => cutLsn < lsn)) {
      throw new LogFailure(
        'ERR_WAL_TRUNCATED',
        `Cannot keep the snapshot at ${lsn} of "${directory}": truncateAfter has cut off entry ${lsn} while it was being written.`,
        { path: directory, lsn },
      );
    }
    passing(() =>
      this.#disk.rename(join(directory, snapshotAsideName(lsn)), join(directory, snapshotName(lsn))),
    );
    syncDirectory(this.#disk, directory);
    const others = this.#snapshots.filter((each) => each.lsn !== lsn && !surplus.includes(each.lsn));
    this.#tell([...others, snapshot].sort((a, b) => b.lsn - a.lsn));
    for (const each of intact) this.#intact.add(each);
    this.#release(Math.min(...intact));
  }

  /** The whole file of the snapshot was read. */
  #noteIntact(lsn: number): void {
    // A cut or a removal may have come in between.
    if (!this.#snapshots.some((snapshot) => snapshot.lsn === lsn)) return;
    this.#intact.add(lsn);
    // With this one, the entries that any older one needs are needed too, and no others.
    this.#release(Math.min(...this.#snapshots.map((snapshot) => snapshot.lsn)));
  }

  #release(lsn: number): void {
    this.#committer.housekeeper.releaseForSnapshots(lsn, this.#committer.watermark);
  }

  #remove(lsn: number): void {
    const { directory } = this.#options;
    passing(() => removeIfThere(this.#disk, join(directory, snapshotName(lsn))));
    syncDirectory(this.#disk, directory);
    this.#tellLeft(this.#snapshots.filter((snapshot) => snapshot.lsn !== lsn));
  }

  /** Snapshots were taken out of the log. If none of the rest is known to be intact, retention keeps every entry again. */
  #tellLeft(left: readonly SnapshotRecord[]): void {
    const isLeft = new Set(left.map(({ lsn }) => lsn));
    for (const lsn of this.#intact) if (!isLeft.has(lsn)) this.#intact.delete(lsn);
    if (this.#intact.size === 0) this.#release(0);
    this.#tell(left);
  }

  #tell(snapshots: readonly SnapshotRecord[]): void {
    this.#snapshots = snapshots;
    this.#opener.post({ kind: 'snapshots', snapshots });
  }
}

/** No entry depends on the name of a snapshot: a system that refuses to change it does not end the log. */
function passing(act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new PassingError(error);
  }
}
