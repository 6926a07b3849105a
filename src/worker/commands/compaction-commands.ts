import { join } from 'node:path';
import { type Disk, isSameFile } from '../../files/disk.js';
import { COMPACT_FILE_ASIDE, isCutFileName, segmentName } from '../../format/segment-name.js';
import type { BegunCompaction, CompactedRun, InstalledCompaction } from '../../protocol/compaction.js';
import type { CommandResult, CompactionCommand } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { syncDirectory } from '../directory/side-files.js';
import { PassingError } from '../errors/failure.js';
import type { AckChannel } from '../intake/ack-channel.js';
import type { Committer } from '../sync/committer.js';
import type { LogTail } from '../write/log-tail.js';
import { numberAfter, type SegmentCatalog, type SegmentRecord } from '../write/segment-catalog.js';

export interface CompactionCommandsParts {
  readonly disk: Disk;
  readonly options: WriterOptions;
  readonly logId: bigint;
  readonly place: LogDirectory;
  readonly catalog: SegmentCatalog;
  readonly status: LogStatus;
  readonly opener: AckChannel;
  readonly tail: LogTail;
  readonly committer: Committer;
  /** Seals the live segment, durably, and begins the next one. */
  readonly sealLive: () => void;
  /** Cuts since the log was opened. */
  readonly cutsMade: () => number;
}

/**
 * The writer thread's part in a compaction. A run of sealed segments n … m is written anew as one segment n in these steps:
 *
 *   1  job thread   writes `ringwal.compact.aside` and syncs it
 *   2  job thread   reads it back: every frame, the LSNs that it accounts for, a digest of its entries
 *   3  writer       the sources are what they were, or refuse; renames the file over `wal-n`
 *   4  writer       syncs the directory
 *   5  writer       puts the new segment into the catalog, and tells the readers
 *   6  writer       removes n + 1 … m
 *   7  writer       syncs the directory
 *
 * What is on disk if power goes:
 *   - in 1 or 2: an aside file, which the next open removes unread
 *   - in 3 or 4: the old `wal-n` or the new one. Both are valid: the new one says that it stands for n … m, so that the files
 *     n + 1 … m, which are all there, are not the log's any more
 *   - from 5 on: the new one, and any of the files n + 1 … m. The next open reads `wal-n` whole before it removes them
 *
 * No file is removed before the directory is synced: otherwise a power cut could leave the old `wal-n` without the segments after it.
 * The segment that holds the last durable entry, and those after it, are not changed, since recovery goes by them. `erase` alone changes
 * it, once it is sealed: its frames then stand for the same LSNs.
 */
export class CompactionCommands {
  readonly #parts: CompactionCommandsParts;

  constructor(parts: CompactionCommandsParts) {
    this.#parts = parts;
  }

  /** @throws PassingError; LogFailure ERR_WAL_SYNC_FAILED, ERR_WAL_IO, which end the log */
  run(command: CompactionCommand): CommandResult {
    switch (command.name) {
      case 'beginCompaction':
        return this.#begin(command.sealsLive);
      case 'installCompaction':
        return this.#install(command.run, command.cuts, command.sealsLive);
      case 'dropOldest':
        return this.#dropOldest(command.upTo, command.cuts);
    }
  }

  #begin(sealsLive: boolean): BegunCompaction {
    const { disk, options, committer, logId, place, tail } = this.#parts;
    // It removes the files that an interrupted compaction has left.
    committer.finishRecovery();
    if (sealsLive) {
      committer.syncAll();
      // A spare holds what retention removed.
      committer.makeRoom();
      if (tail.progress.bytes > 0) this.#parts.sealLive();
    }
    const end = this.#endOf(sealsLive);
    const sideFiles = disk.list(options.directory).filter(isCutFileName).sort();
    return { logId, place: place.identity, end, cuts: this.#parts.cutsMade(), sideFiles };
  }

  /**
   * The lowest segment that must stay: the one that holds the last durable entry, or the first one that is not archived or not replicated. With `sealsLive`
   * the one with the last durable entry may go if it is sealed and all of it is durable: its last frame, or that of the segment before
   * it, then stands for the last durable LSN.
   */
  #endOf(sealsLive: boolean): number {
    const { catalog, status, options, committer, tail } = this.#parts;
    // Not the committer's watermark, which is updated later than the acknowledgements.
    const durableLsn = status.get('durableLsn');
    const holder = catalog.holderOf(durableLsn)?.number ?? 0;
    const end = sealsLive ? Math.max(holder, tail.finalSegment(durableLsn) + 1) : holder;
    const { archived, replicated } = committer.housekeeper.places;
    const unarchived = options.hasArchive ? archived : Number.POSITIVE_INFINITY;
    const nextLsn = (replicated?.lsn ?? 0) + 1;
    const unreplicated = options.hasReplica ? catalog.holderOf(nextLsn)?.number : undefined;
    return Math.min(end, unarchived, unreplicated ?? Number.POSITIVE_INFINITY);
  }

  #install(run: CompactedRun, cuts: number, sealsLive: boolean): InstalledCompaction {
    const { disk, options, catalog, opener, committer } = this.#parts;
    const { directory } = options;
    const stale = this.#whyStale(run, cuts, this.#endOf(sealsLive));
    if (stale !== undefined) return { installed: false, stale };
    const path = join(directory, segmentName(run.number));
    try {
      disk.rename(join(directory, COMPACT_FILE_ASIDE), path);
    } catch (error) {
      // The segment is as it was.
      throw new PassingError(error);
    }
    syncDirectory(disk, directory);
    const { number, lastNumber, firstLsn, skipped, bytes, createdMs, latestMs } = run;
    const record: SegmentRecord = {
      number,
      lastNumber: lastNumber > number ? lastNumber : undefined,
      firstLsn,
      skipped,
      bytes,
      createdMs,
      latestMs,
    };
    catalog.replaceRun(lastNumber, record);
    const next = this.#recordAfter(lastNumber);
    // The live segment may still be empty.
    const lastLsn = next?.firstLsn ? next.firstLsn - (next.skipped ?? 0) - 1 : this.#parts.tail.wholeLsn;
    // Before any file goes: a reader that does not find one looks for its entry again.
    const segment = { number, path, firstLsn, lastLsn, bytes, createdMs };
    opener.post({ kind: 'segments-merged', segment, lastNumber });
    const gone = run.sources.map((source) => source.number).filter((each) => each !== number);
    committer.housekeeper.removeCovered(gone);
    return { installed: true };
  }

  /** What a run was made of may have been removed or cut meanwhile, or have lost its room to appends. */
  #whyStale(run: CompactedRun, cuts: number, end: number): string | undefined {
    const { disk, options, catalog } = this.#parts;
    const { directory } = options;
    const { number, lastNumber, sources, aside } = run;
    if (this.#parts.cutsMade() !== cuts) return 'the log was cut meanwhile';
    const records = catalog.toArray().filter((each) => each.number >= number && each.number <= lastNumber);
    const isSame =
      records.length === sources.length &&
      records.every(
        (record, at) => record.number === sources[at]?.number && record.bytes === sources[at].bytes,
      );
    const last = records.at(-1);
    if (!isSame || last === undefined || numberAfter(last) !== lastNumber + 1)
      return 'its segments were removed meanwhile';
    if (lastNumber >= end) return 'its segments hold the last durable entry, or are still to be archived';
    for (const source of sources) {
      const found = disk.stat(join(directory, segmentName(source.number)));
      if (found === undefined || !isSameFile(found, source.identity) || found.size !== source.bytes)
        return `segment ${source.number} is another file now`;
    }
    const found = disk.stat(join(directory, COMPACT_FILE_ASIDE));
    if (found === undefined || !isSameFile(found, aside) || found.size !== run.bytes)
      return 'the log needed the room of the new file';
    return undefined;
  }

  #dropOldest(upTo: number, cuts: number): InstalledCompaction {
    if (this.#parts.cutsMade() !== cuts) return { installed: false, stale: 'the log was cut meanwhile' };
    if (upTo >= this.#endOf(false))
      return {
        installed: false,
        stale: 'the segments hold the last durable entry, or are still to be archived',
      };
    const removed = this.#parts.committer.housekeeper.removeOldest(upTo);
    return removed
      ? { installed: true }
      : { installed: false, stale: 'a reader has one of the segments open' };
  }

  #recordAfter(number: number): SegmentRecord | undefined {
    return this.#parts.catalog.toArray().find((record) => record.number > number);
  }
}
