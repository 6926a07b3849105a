import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
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
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import { LogDirectory } from '../directory/log-directory.js';
import { removeIfThere } from '../directory/side-files.js';
import { snapshotLsns } from '../directory/snapshot-listing.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import { checkSnapshot } from './check-snapshot.js';
import { identifyEntry } from './entry-identity.js';
import { SnapshotWriter } from './snapshot-writer.js';

/** A snapshot that is being written: its writer, and what its file will say. */
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
    finish: () => {
      const bytes = writer.finish();
      const { lsn, format, createdMs, logId, branch, entryCrc } = header;
      const path = join(directory, snapshotName(lsn));
      return { lsn, format, bytes, createdMs, path, logId, branch, entryCrc };
    },
  };
}

function headerFor(disk: Disk, request: WriteSnapshotRequest): SnapshotHeader {
  const { directory, logId, lsn, segment, format } = request;
  const common = { logId, lsn, format, createdMs: disk.now() };
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

/** Job of a thread of its own. Ends once the port's other end says so, or has closed. */
export async function writeSnapshot(
  request: WriteSnapshotRequest & { readonly port: MessagePort },
): Promise<void> {
  const { port } = request;
  const answer = (message: ToSource, buffers: ArrayBuffer[] = []) => port.postMessage(message, buffers);
  const path = join(request.directory, snapshotAsideName(request.lsn));
  const attempt = (act: () => void) => {
    try {
      act();
    } catch (error) {
      answer({ kind: 'failed', failure: failureOf(error, `write the snapshot "${path}"`, path) });
    }
  };
  let begun: BegunSnapshot | undefined;
  /** The file is the opening thread's: it gives it its name, or asks to have it removed. */
  let isFinished = false;
  attempt(() => {
    begun = beginSnapshot(createNodeDisk(), request);
    answer({ kind: 'begun' });
  });
  await new Promise<void>((resolve) => {
    if (begun === undefined) {
      port.close();
      resolve();
      return;
    }
    const { writer, finish } = begun;
    port.on('message', (message: FromSource) => {
      if (message.kind === 'chunk') {
        const { buffer, dataBytes } = message;
        attempt(() => {
          writer.write(new Uint8Array(buffer), dataBytes);
          answer({ kind: 'written', buffer }, [buffer]);
        });
      } else if (message.kind === 'finish') {
        attempt(() => {
          const snapshot = finish();
          isFinished = true;
          answer({ kind: 'finished', snapshot });
        });
      } else {
        attempt(() => {
          isFinished = true;
          writer.abort();
          answer({ kind: 'aborted' });
        });
      }
    });
    port.on('close', () => {
      if (!isFinished) attempt(() => writer.abort());
      resolve();
    });
  });
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
