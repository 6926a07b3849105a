/**
 * The names in a log's directory.
 *
 *   wal-<n>                          segment n, from 0, decimal, no padding
 *   ringwal.state                    see state-file.ts
 *   ringwal.state.aside              the same while it is being written
 *   ringwal.lock                     locked by the writer, never unlinked
 *   ringwal.stats                    figures of the running log for other processes, see stats-file.ts
 *   ringwal.next                     a zero-filled segment, made ready ahead of its use
 *   ringwal.spare                    a segment that retention removed, kept to be used again
 *   ringwal.salvage                  a salvage was begun and must be finished, see salvage-mark.ts
 *   ringwal.salvage.aside            the readable rest of a damaged segment while it is being rewritten
 *   ringwal.shortened                a segment as it will be after a cut inside a batch, see src/worker/rewrite/shortened-segment.ts
 *   ringwal.cut-<n>-<lsn>-<unique>   bytes that were cut from segment n, from entry lsn on
 *   ringwal.snapshot-<lsn>           the application's state after entry lsn, see snapshot-file.ts
 *   ringwal.snapshot-<lsn>.aside     the same while it is being written
 *   ringwal.cut-snapshot-<lsn>-<unique>   a snapshot of entries that a cut removed
 *   ringwal.backup                   the manifest of a backup: the directory is one, see docs/format.md
 *   ringwal.backup.aside             the same while it is being written: the backup is not finished
 *   ringwal.part-<n>-<offset>        in an incremental backup: bytes of segment n, from that offset on
 *
 * Files with any other name are foreign, and the log leaves them alone. No side file can be taken for a segment.
 */

export const STATE_FILE = 'ringwal.state';
export const STATE_FILE_ASIDE = 'ringwal.state.aside';
export const LOCK_FILE = 'ringwal.lock';
export const STATS_FILE = 'ringwal.stats';
export const NEXT_FILE = 'ringwal.next';
export const SPARE_FILE = 'ringwal.spare';
export const SALVAGE_FILE = 'ringwal.salvage';
export const SALVAGE_FILE_ASIDE = 'ringwal.salvage.aside';
export const SHORTENED_FILE = 'ringwal.shortened';
export const BACKUP_FILE = 'ringwal.backup';
export const BACKUP_FILE_ASIDE = 'ringwal.backup.aside';

const SIDE_FILES: readonly string[] = [
  STATE_FILE,
  STATE_FILE_ASIDE,
  LOCK_FILE,
  STATS_FILE,
  NEXT_FILE,
  SPARE_FILE,
  SALVAGE_FILE,
  SALVAGE_FILE_ASIDE,
  SHORTENED_FILE,
  BACKUP_FILE,
  BACKUP_FILE_ASIDE,
];
const SEGMENT_NAME = /^wal-(0|[1-9]\d*)$/;
const SNAPSHOT_NAME = /^ringwal\.snapshot-([1-9]\d*)$/;
const SNAPSHOT_ASIDE_NAME = /^ringwal\.snapshot-[1-9]\d*\.aside$/;
const CUT_SNAPSHOT_NAME = /^ringwal\.cut-snapshot-([1-9]\d*)-[0-9a-z]+$/;
const CUT_NAME = /^ringwal\.cut-(0|[1-9]\d*)-(0|[1-9]\d*)-[0-9a-z]+$/;
const PART_NAME = /^ringwal\.part-(0|[1-9]\d*)-(0|[1-9]\d*)$/;

export function segmentName(number: number): string {
  return `wal-${number}`;
}

/** n of `wal-<n>`; `undefined` for every other name, also for an n that a number cannot hold exactly. */
export function parseSegmentName(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `unique`: digits and lower-case letters that make the name new, since it is created exclusively. */
export function cutFileName(segmentNumber: number, lsn: number, unique: string): string {
  return `ringwal.cut-${segmentNumber}-${lsn}-${unique}`;
}

export function isCutFileName(name: string): boolean {
  return CUT_NAME.test(name);
}

/** The first entry that was cut, by the name of the side file that keeps it; `undefined` for every other name. */
export function parseCutLsn(name: string): number | undefined {
  const lsn = Number(CUT_NAME.exec(name)?.[2]);
  return Number.isSafeInteger(lsn) ? lsn : undefined;
}

export function snapshotName(lsn: number): string {
  return `ringwal.snapshot-${lsn}`;
}

/** The name of a snapshot while it is being written. */
export function snapshotAsideName(lsn: number): string {
  return `${snapshotName(lsn)}.aside`;
}

export function isSnapshotAsideName(name: string): boolean {
  return SNAPSHOT_ASIDE_NAME.test(name);
}

/** The name of a snapshot that a cut took out of the log. `unique`: as of [cutFileName]. */
export function cutSnapshotName(lsn: number, unique: string): string {
  return `ringwal.cut-snapshot-${lsn}-${unique}`;
}

/** The LSN of a snapshot that a cut took out of the log, by its name; `undefined` for every other name. */
export function parseCutSnapshotLsn(name: string): number | undefined {
  const lsn = Number(CUT_SNAPSHOT_NAME.exec(name)?.[1]);
  return Number.isSafeInteger(lsn) ? lsn : undefined;
}

/** Bytes of segment n, from `offset` on, in an incremental backup. */
export function partName(segment: number, offset: number): string {
  return `ringwal.part-${segment}-${offset}`;
}

export function parsePartName(name: string): { segment: number; offset: number } | undefined {
  const [, segment, offset] = PART_NAME.exec(name)?.map(Number) ?? [];
  if (!Number.isSafeInteger(segment) || !Number.isSafeInteger(offset)) return undefined;
  return { segment, offset } as { segment: number; offset: number };
}

/** The LSN of a snapshot by its name; `undefined` for every other name. */
export function parseSnapshotName(name: string): number | undefined {
  const lsn = Number(SNAPSHOT_NAME.exec(name)?.[1]);
  return Number.isSafeInteger(lsn) ? lsn : undefined;
}

export function classifyName(name: string): 'segment' | 'ours' | 'foreign' {
  if (parseSegmentName(name) !== undefined) return 'segment';
  const isOurs =
    SIDE_FILES.includes(name) ||
    isCutFileName(name) ||
    PART_NAME.test(name) ||
    parseSnapshotName(name) !== undefined ||
    SNAPSHOT_ASIDE_NAME.test(name) ||
    CUT_SNAPSHOT_NAME.test(name);
  return isOurs ? 'ours' : 'foreign';
}
