import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { withSource } from '../../format/bytes.js';
import { describeFault } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { isCutFileName, parseSnapshotName, SPARE_FILE, segmentName } from '../../format/segment-name.js';
import type { LogState } from '../../format/state-file.js';
import { type SegmentStart, surveyLog } from '../../format/survey.js';
import { describeReason, wayOutOf } from '../../format/verdict.js';
import type { LogStatus } from '../../ring/log-status.js';
import { type Layout, layOut } from '../directory/log-layout.js';
import { readState } from '../directory/state-store.js';
import { LogFailure } from '../errors/failure.js';
import { inspectOn } from '../inspect/inspect.js';
import { type BackupEnd, END_OF_NOTHING } from './manifest.js';

/** A log at one moment: the entries up to its watermark, and where they stand. */
export interface LogPicture {
  readonly logId: bigint;
  /** 0 = the log has none. */
  readonly branch: bigint;
  /** W */
  readonly watermark: number;
  /** The content of the state file; `undefined` = there is none, or it cannot be read. */
  readonly state: LogState | undefined;
  /** The segments that hold entries up to W, ascending. The last one ends, in this picture, with entry W. */
  readonly segments: readonly PicturedSegment[];
  readonly end: BackupEnd;
  /** LSNs of the snapshots of entries up to W, with the sizes of their files. */
  readonly snapshots: ReadonlyMap<number, number>;
  /** Files of old segments are written to again. */
  readonly isRecycling: boolean;
  /** See [evidenceOfCuts]. */
  readonly cuts: string;
}

export interface PicturedSegment {
  readonly number: number;
  /** Bytes of its frames, up to entry W. */
  readonly bytes: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** LSNs that are missing on purpose right before its first entry. */
  readonly skipped: number;
}

/**
 * Looks at a log that a process may be writing.
 *
 *   1. learn W. If this process writes the log, `status` has W; otherwise the files show it, as they do to a reader
 *   2. find where entry W ends
 *
 * @param cuts [evidenceOfCuts], taken before this call: a cut that begins later changes that evidence, and the caller compares it
 * after it has read the files
 * @throws LogFailure ERR_WAL_CORRUPT, ERR_WAL_UNSUPPORTED; the system's errors, ENOENT of a segment that was removed meanwhile
 */
export function takePicture(
  disk: Disk,
  directory: string,
  status: LogStatus | undefined,
  cuts: string,
): LogPicture {
  // Before the segments are listed: the one that holds entry W is then among them.
  const known = status?.get('durableLsn') ?? judgeFromOutside(disk, directory);
  const layout = layOut(disk, directory);
  // A cut is durable as soon as its intent is, which is before the writer lowers its watermark.
  const watermark = Math.min(known, layout.cut?.lsn ?? known);
  refuseHalfSalvaged(layout);
  const found = layout.state !== undefined && 'logId' in layout.state ? layout.state : undefined;
  const { starts, logId = 0n, state } = surveyLog(layout.files, found);
  const branch = state?.branch || (starts.findLast(({ stamp }) => stamp !== undefined)?.stamp?.branch ?? 0n);
  const isRecycling =
    starts.some(({ stamp }) => stamp?.recycled) || disk.stat(join(directory, SPARE_FILE)) !== undefined;
  const base = { logId, branch, state, cuts, isRecycling };
  const holder = starts.findLastIndex(({ fault, lsn }) => fault === undefined && lsn <= watermark);
  if (watermark === 0 || holder < 0) {
    // A cut of all entries leaves an empty log, which continues at a higher LSN. Otherwise retention was faster than this look.
    const hasEntries = starts.some(({ lsn }) => lsn > 0);
    if (watermark > 0 && hasEntries && (state?.floor ?? 0) <= watermark) throw movedOn(directory, watermark);
    const snapshots = snapshotsUpTo(disk, directory, watermark);
    return { ...base, watermark, snapshots, segments: [], end: END_OF_NOTHING };
  }
  const { lastLsn, end } = endOf(layout, starts[holder] as SegmentStart, logId, watermark);
  const segments = starts.slice(0, holder + 1).map((start, at) => {
    const { number, fault, size, lsn, skipped } = start;
    if (fault !== undefined) throw unreadable(directory, number, 0, 0, describeReason(fault));
    if (at > 0 && number !== (starts[at - 1] as SegmentStart).number + 1)
      throw unreadable(directory, number - 1, 0, 0, describeReason('missing-segment'));
    if (at === holder) return { number, bytes: end.offset, firstLsn: lsn, lastLsn, skipped };
    const next = starts[at + 1] as SegmentStart;
    return { number, bytes: size, firstLsn: lsn, lastLsn: next.lsn - 1 - next.skipped, skipped };
  });
  const snapshots = snapshotsUpTo(disk, directory, lastLsn);
  return { ...base, watermark: lastLsn, snapshots, segments, end };
}

/**
 * Everything that changes when durable entries are cut off: the branch in the state file; the intent, which the state file records
 * before the cut begins; the side files that keep the cut bytes; and the writer's count of its cuts.
 */
export function evidenceOfCuts(disk: Disk, directory: string, status: LogStatus | undefined): string {
  const names = disk.list(directory).filter(isCutFileName).sort();
  const state = readState(disk, directory);
  const known = state !== undefined && 'logId' in state ? state : undefined;
  const { segment, offset, lsn } = known?.pendingCut ?? {};
  return [status?.get('cuts'), known?.branch, segment, offset, lsn, ...names].join(' ');
}

/** W, as the files show it. */
function judgeFromOutside(disk: Disk, directory: string): number {
  const state = readState(disk, directory);
  const found = inspectOn(disk, { directory, full: false });
  if ('failure' in found) throw LogFailure.of(found.failure);
  const { verdict, trouble, watermark, lastLsn, hasWatermarks } = found.judgement;
  if (verdict === 'unsupported' || verdict === 'corrupt') {
    const path = trouble === undefined ? directory : join(directory, segmentName(trouble.segment));
    const why = trouble === undefined ? 'an entry cannot be read' : describeReason(trouble.reason);
    throw new LogFailure(
      verdict === 'corrupt' ? 'ERR_WAL_CORRUPT' : 'ERR_WAL_UNSUPPORTED',
      `Cannot back up "${directory}": the log cannot be read in "${path}": ${why}. ${wayOutOf(verdict, trouble?.reason)}`,
      { path, offset: trouble?.offset, lsn: trouble?.lsn || undefined },
    );
  }
  // wal-go's files do not show which entries are durable: then every readable entry counts.
  return hasWatermarks || state !== undefined ? Math.min(watermark, lastLsn) : lastLsn;
}

/**
 * Where entry W ends, by the frames of the segment that holds it. Only its own frame is checked whole: the checksums of all data would
 * take longer than the copy of the segment, and [verifyBackupOn] checks them.
 */
function endOf(
  layout: Layout,
  { number }: SegmentStart,
  logId: bigint,
  watermark: number,
): { readonly lastLsn: number; readonly end: BackupEnd } {
  const file = layout.files.find((each) => each.number === number);
  if (file === undefined) throw new Error(`segment ${number} was surveyed and is not in the layout`);
  return withSource(file, (source) => {
    const inbound = { logId: logId === 0n ? undefined : logId, expectedLsn: 0, batchRemaining: 0 };
    const cursor = new FrameCursor().start(inbound).enter(source, number);
    let end = END_OF_NOTHING;
    let lastLsn = 0;
    while (lastLsn < watermark) {
      const frameOffset = cursor.offset;
      const { expectedLsn } = cursor;
      const fault = cursor.parse() ?? (cursor.frame.lastLsn < watermark ? undefined : cursor.validate());
      const isNext = expectedLsn === 0 || cursor.frame.lsn === expectedLsn + cursor.frame.skipped;
      if (fault === undefined && !isNext)
        throw unreadable(layout.directory, number, frameOffset, expectedLsn, describeFault('lsn'));
      if (fault !== undefined) {
        throw unreadable(layout.directory, number, frameOffset, cursor.expectedLsn, describeFault(fault));
      }
      const { lsn, crc, unknownCritical } = cursor.frame;
      const frameLastLsn = cursor.frame.lastLsn;
      if (unknownCritical !== 0) throw unsupportedFrame(layout.directory, number, frameOffset, lsn);
      if (frameLastLsn > watermark) break;
      cursor.pass();
      lastLsn = frameLastLsn;
      end = { segment: number, frameOffset, offset: cursor.offset, crc };
    }
    return { lastLsn, end };
  });
}

function snapshotsUpTo(disk: Disk, directory: string, lastLsn: number): ReadonlyMap<number, number> {
  const snapshots = new Map<number, number>();
  for (const name of disk.list(directory)) {
    const lsn = parseSnapshotName(name);
    if (lsn === undefined || lsn > lastLsn) continue;
    const found = disk.stat(join(directory, name));
    if (found?.kind === 'file') snapshots.set(lsn, found.size);
  }
  return new Map([...snapshots].sort(([one], [other]) => one - other));
}

function movedOn(directory: string, lsn: number): LogFailure {
  return new LogFailure(
    'ERR_WAL_PURGED',
    `Cannot back up "${directory}": its segments are removed faster than they can be looked at. Back it up in the process that writes it.`,
    { path: directory, lsn },
  );
}

function refuseHalfSalvaged({ directory, isBeingSalvaged }: Layout): void {
  if (!isBeingSalvaged) return;
  throw new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot back up "${directory}": a repair of the log was interrupted, and entries may be in two segments. Finish it with Wal.repair.`,
    { path: directory },
  );
}

function unreadable(directory: string, number: number, offset: number, lsn: number, why: string): LogFailure {
  const path = join(directory, segmentName(number));
  const what = lsn === 0 ? 'an entry' : `entry ${lsn}`;
  return new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot back up "${directory}": ${what} in "${path}" at byte ${offset} cannot be read: ${why}. ${wayOutOf('corrupt')}`,
    { path, offset, lsn: lsn || undefined },
  );
}

function unsupportedFrame(directory: string, number: number, offset: number, lsn: number): LogFailure {
  const path = join(directory, segmentName(number));
  return new LogFailure(
    'ERR_WAL_UNSUPPORTED',
    `Cannot back up "${directory}": entry ${lsn} in "${path}" at byte ${offset}: ${describeReason('unknown-critical')}. ${wayOutOf('unsupported')}`,
    { path, offset, lsn },
  );
}
