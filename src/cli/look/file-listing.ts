import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LockHolder } from '../../files/disk.js';
import { lockHolder } from '../../files/lock.js';
import { nameHolder } from '../../files/lock-note.js';
import {
  BACKUP_FILE,
  BACKUP_FILE_ASIDE,
  isCutFileName,
  isSnapshotAsideName,
  LOCK_FILE,
  NEXT_FILE,
  parseCutSnapshotLsn,
  parsePartName,
  parseSegmentName,
  parseSnapshotName,
  SALVAGE_FILE,
  SALVAGE_FILE_ASIDE,
  SHORTENED_FILE,
  SPARE_FILE,
  STATE_FILE,
  STATE_FILE_ASIDE,
  STATS_FILE,
} from '../../format/segment-name.js';

export interface SideFile {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedMs: number;
  /** The purpose of the file; `undefined` if it does not belong to the log. */
  readonly purpose: string | undefined;
}

export interface SegmentOnDisk {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface FilesOfLog {
  /** Ascending by number. */
  readonly segments: readonly SegmentOnDisk[];
  readonly sideFiles: readonly SideFile[];
}

/** Lists every file in a log's directory, without files that are removed during the listing. */
export function listFiles(directory: string): FilesOfLog {
  const segments: SegmentOnDisk[] = [];
  const sideFiles: SideFile[] = [];
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) continue;
    const { size: bytes, mtimeMs: modifiedMs } = found;
    const number = parseSegmentName(name);
    if (number === undefined) sideFiles.push({ name, bytes, modifiedMs, purpose: purposeOf(name) });
    else segments.push({ number, path, bytes, modifiedMs });
  }
  segments.sort((a, b) => a.number - b.number);
  sideFiles.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { segments, sideFiles };
}

const PURPOSES: Readonly<Record<string, string>> = {
  [STATE_FILE]: 'watermark and checkpoints',
  [STATE_FILE_ASIDE]: 'the state file while it is written',
  [LOCK_FILE]: 'locked by the writer',
  [STATS_FILE]: 'figures of the running log',
  [NEXT_FILE]: 'the next segment, prepared',
  [SPARE_FILE]: 'a removed segment, kept for reuse',
  [SALVAGE_FILE]: 'an interrupted repair, which the next open finishes',
  [SALVAGE_FILE_ASIDE]: 'a segment while it is rewritten',
  [SHORTENED_FILE]: 'a segment while a cut shortens it',
  [BACKUP_FILE]: 'the manifest of a backup',
  [BACKUP_FILE_ASIDE]: 'the manifest of an unfinished backup',
};

function purposeOf(name: string): string | undefined {
  if (isCutFileName(name)) return `bytes removed from wal-${name.split('-')[1]}`;
  if (isSnapshotAsideName(name)) return 'a snapshot while it is written';
  const snapshot = parseSnapshotName(name);
  if (snapshot !== undefined) return `the state after entry ${snapshot}`;
  const cutSnapshot = parseCutSnapshotLsn(name);
  if (cutSnapshot !== undefined) return `a snapshot that a cut removed, after entry ${cutSnapshot}`;
  const part = parsePartName(name);
  if (part !== undefined) return `bytes of wal-${part.segment} in a backup`;
  return PURPOSES[name];
}

export type Holder =
  | { readonly isHeld: false }
  | ({ readonly isHeld: true } & LockHolder)
  /** The system has no locks, or does not show who holds one. */
  | { readonly isHeld: undefined; readonly why: string };

/** The process that has the log open for writing. */
export function holderOf(directory: string): Holder {
  try {
    const holder = lockHolder(join(directory, LOCK_FILE));
    return holder === undefined ? { isHeld: false } : { isHeld: true, ...holder };
  } catch (error) {
    return { isHeld: undefined, why: (error as Error).message };
  }
}

export function describeHolder(holder: Holder): string {
  if (holder.isHeld === undefined) return `unknown: ${holder.why}`;
  if (!holder.isHeld) return 'nobody';
  return nameHolder(holder);
}
