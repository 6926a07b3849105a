import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { datasyncAside } from '../../files/async-file.js';
import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { snapshotAsideName, snapshotName } from '../../format/segment-name.js';
import type { SnapshotHeader } from '../../format/snapshot-messages.js';
import type { Failure } from '../../protocol/errors.js';
import type {
  FromSource,
  RemoveSnapshotsRequest,
  SnapshotCheck,
  ToSource,
  VerifySnapshotRequest,
  WriteSnapshotRequest,
} from '../../protocol/snapshot-jobs.js';
import { type SnapshotRecord, snapshotRecord } from '../../protocol/snapshots.js';
import { LogDirectory } from '../directory/log-directory.js';
import { removeIfThere } from '../directory/side-files.js';
import { snapshotLsns } from '../directory/snapshot-listing.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import { checkSnapshot } from './check-snapshot.js';
import { identifyEntry } from './entry-identity.js';
import { SnapshotWriter } from './snapshot-writer.js';

/** A snapshot that is being written: its writer, and the content of its header. */
export interface BegunSnapshot {
  readonly writer: SnapshotWriter;
  /** Completes the file. @throws as `SnapshotWriter.finish` */
  finish(): SnapshotRecord;
}

/**
 * Finds the snapshot's entry and begins the file.
 *
 * @throws LogFailure ERR_WAL_OPTION: the entry is inside a batch, or is none; ERR_WAL_IO
 */
export function beginSnapshot(disk: Disk, request: WriteSnapshotRequest): BegunSnapshot {
  const { directory, place, fileMode } = request;
  const header = headerFor(disk, request);
  new LogDirectory(disk, directory, place).check();
  const writer = new SnapshotWriter(disk, directory, header, fileMode);
  return {
    writer,
    finish: () => snapshotRecord(join(directory, snapshotName(header.lsn)), header, writer.finish()),
  };
}

function headerFor(disk: Disk, request: WriteSnapshotRequest): SnapshotHeader {
  const { directory, logId, lsn, segment, format } = request;
  const common = { logId, lsn, format, createdMs: Math.max(0, disk.now()) };
  if (segment === undefined) return { ...common, branch: request.branch, entryCrc: undefined };
  const entry = identifyEntry(disk, directory, logId, segment, lsn);
  if (entry === undefined)
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot write a snapshot at ${lsn} of "${directory}": the log has no entry with this LSN. Take the LSN of the entry that the state was applied up to.`,
      { path: directory, lsn },
    );
  if (entry.batchRemaining > 0)
    throw new LogFailure(
      'ERR_WAL_OPTION',
      `Cannot write a snapshot at ${lsn} of "${directory}": ${entry.batchRemaining} more of its batch follow, and a batch is all or nothing. The batch ends at ${lsn + entry.batchRemaining}.`,
      { path: directory, lsn },
    );
  return { ...common, branch: entry.branch, entryCrc: entry.crc };
}

/** Job of a thread of its own. Ends when the other end of the port says so, or has closed. */
export async function writeSnapshot(
  request: WriteSnapshotRequest & { readonly port: MessagePort },
): Promise<void> {
  const { port } = request;
  const path = join(request.directory, snapshotAsideName(request.lsn));
  const answer = (message: ToSource, buffers: ArrayBuffer[] = []) => port.postMessage(message, buffers);
  const attempt = async (act: () => void | Promise<void>) => {
    try {
      await act();
    } catch (error) {
      answer({ kind: 'failed', failure: failureOf(error, `write the snapshot "${path}"`, path) });
    }
  };
  let snapshot: SnapshotInThread | undefined;
  await attempt(() => {
    snapshot = new SnapshotInThread(beginSnapshot(createNodeDisk(), request), answer);
    answer({ kind: 'begun' });
  });
  const begun = snapshot;
  if (begun === undefined) {
    port.close();
    return;
  }
  await new Promise<void>((resolve) => {
    // Steps run one after the other: a step may wait for a sync.
    let last: Promise<void> = Promise.resolve();
    port.on('message', (message: FromSource) => {
      last = last.then(() => attempt(() => begun.take(message)));
    });
    port.on('close', () => {
      last.then(() => attempt(() => begun.leave())).then(resolve);
    });
  });
}

/** The steps of one snapshot on its thread. Syncs run beside the writing, at most one at a time: the disk and the processor are both busy. */
class SnapshotInThread {
  readonly #begun: BegunSnapshot;
  readonly #answer: (message: ToSource, buffers?: ArrayBuffer[]) => void;
  /** Resolves to the error of the sync under way, if it fails. */
  #syncing: Promise<{ readonly error: unknown } | undefined> = Promise.resolve(undefined);
  /** The opening thread now owns the file: it has the file renamed, or removed. */
  #isFinished = false;

  constructor(begun: BegunSnapshot, answer: (message: ToSource, buffers?: ArrayBuffer[]) => void) {
    this.#begun = begun;
    this.#answer = answer;
  }

  async take(message: FromSource): Promise<void> {
    const { writer, finish } = this.#begun;
    if (message.kind === 'chunk') {
      const { buffer, dataBytes } = message;
      if (writer.isSyncDue) await this.#startSync();
      writer.write(new Uint8Array(buffer), dataBytes);
      this.#answer({ kind: 'written', buffer }, [buffer]);
    } else if (message.kind === 'finish') {
      await this.#endSync();
      const snapshot = finish();
      this.#isFinished = true;
      this.#answer({ kind: 'finished', snapshot });
    } else {
      this.#isFinished = true;
      await this.#syncing;
      writer.abort();
      this.#answer({ kind: 'aborted' });
    }
  }

  /** The opening thread is gone, or has let go of the file. */
  async leave(): Promise<void> {
    await this.#syncing;
    if (!this.#isFinished) this.#begun.writer.abort();
  }

  async #startSync(): Promise<void> {
    await this.#endSync();
    const { writer } = this.#begun;
    this.#syncing = datasyncAside(writer.fd).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    writer.noteSyncStarted();
  }

  /** @throws LogFailure ERR_WAL_IO: the sync has failed. It is not tried again */
  async #endSync(): Promise<void> {
    const failed = await this.#syncing;
    if (failed !== undefined) throw this.#begun.writer.failureOf(failed.error);
  }
}

/** Job of the pool: LSNs of the files that have the name of a snapshot, newest first. */
export function findSnapshots({
  directory,
}: {
  readonly directory: string;
}): { readonly lsns: readonly number[] } | { readonly failure: Failure } {
  try {
    return { lsns: snapshotLsns(createNodeDisk().list(directory)) };
  } catch (error) {
    return { failure: failureOf(error, `read "${directory}"`, directory) };
  }
}

/** Job of the pool. */
export function verifySnapshot(
  request: VerifySnapshotRequest,
): SnapshotCheck | { readonly failure: Failure } {
  const path = join(request.directory, snapshotName(request.lsn));
  try {
    return checkSnapshot(createNodeDisk(), request);
  } catch (error) {
    return { failure: failureOf(error, `read the snapshot "${path}"`, path) };
  }
}

/** Job of the pool. */
export function removeSnapshots(
  request: RemoveSnapshotsRequest,
): { readonly removed: number } | { readonly failure: Failure } {
  try {
    removeSnapshotFiles(createNodeDisk(), request);
    return { removed: request.lsns.length };
  } catch (error) {
    return { failure: failureOf(error, `remove snapshots of "${request.directory}"`, request.directory) };
  }
}

/** @throws the system's error; LogFailure ERR_WAL_IO: the path leads to another directory now */
export function removeSnapshotFiles(disk: Disk, { directory, place, lsns }: RemoveSnapshotsRequest): void {
  const home = new LogDirectory(disk, directory, place);
  for (const lsn of lsns) {
    home.check();
    removeIfThere(disk, join(directory, snapshotName(lsn)));
  }
  disk.syncDirectory(directory);
}
