import { basename, dirname, join } from 'node:path';
import { type Disk, type DiskFile, isMissing, readFully } from '../../files/disk.js';
import { BACKUP_FILE, BACKUP_FILE_ASIDE } from '../../format/segment-name.js';
import type { MessageFault } from '../../format/snapshot-messages.js';
import { LogFailure } from '../errors/failure.js';
import { digestOf } from './backup-target.js';
import { decodeManifest, MANIFEST_BYTES_MAX, type Manifest } from './manifest.js';

/** A finished backup: where it is, what it holds, and which one it is. */
export interface Backup {
  readonly directory: string;
  readonly manifest: Manifest;
  /** SHA-256 of the manifest file. */
  readonly sha256: Uint8Array;
}

/** The directory of the backup at `path`, which is the directory or its manifest. */
export function backupDirectory(path: string): string {
  return basename(path) === BACKUP_FILE ? dirname(path) : path;
}

/**
 * Reads the manifest of the backup in `directory`.
 *
 * @throws LogFailure ERR_WAL_OPTION: there is none; ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED: it cannot be read; the system's errors
 */
export function readBackup(disk: Disk, directory: string): Backup {
  const found = lookAtBackup(disk, directory);
  if (!('fault' in found)) return found;
  const path = join(directory, BACKUP_FILE);
  throw new LogFailure(
    found.isUnsupported ? 'ERR_WAL_UNSUPPORTED' : 'ERR_WAL_CORRUPT',
    `Cannot use the backup "${directory}": its manifest "${path}" cannot be read: ${found.fault}. ` +
      (found.isUnsupported
        ? 'Use the version that wrote it, or a later one.'
        : 'The files beside it are as they were; without a manifest nothing says whether they are whole.'),
    { path },
  );
}

/** As [readBackup], but returns the fault of a manifest that is damaged. */
export function lookAtBackup(disk: Disk, directory: string): Backup | MessageFault {
  let file: DiskFile;
  try {
    file = disk.open(join(directory, BACKUP_FILE), 'r');
  } catch (error) {
    if (isMissing(error)) throw noBackup(disk, directory);
    throw error;
  }
  try {
    const size = file.size();
    if (size > MANIFEST_BYTES_MAX) return { fault: `it is ${size} bytes long` };
    const window = new Uint8Array(size);
    const bytes = window.subarray(0, readFully(file, window, 0));
    const manifest = decodeManifest(bytes);
    return 'fault' in manifest ? manifest : { directory, manifest, sha256: digestOf(bytes) };
  } finally {
    file.close();
  }
}

function noBackup(disk: Disk, directory: string): LogFailure {
  const kind = disk.stat(directory)?.kind;
  const isUnfinished = kind === 'directory' && disk.stat(join(directory, BACKUP_FILE_ASIDE)) !== undefined;
  const why =
    kind === undefined
      ? 'there is nothing of that name'
      : kind !== 'directory'
        ? 'it is not a directory'
        : isUnfinished
          ? 'the backup was interrupted and never finished'
          : `it has no manifest (${BACKUP_FILE})`;
  return new LogFailure('ERR_WAL_OPTION', `"${directory}" is not a backup: ${why}.`, { path: directory });
}

export function isSameDigest(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function hex(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}
