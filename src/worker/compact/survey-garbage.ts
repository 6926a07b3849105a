import { join } from 'node:path';
import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { withSource } from '../../format/bytes.js';
import { describeFault } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { LsnSet } from '../../format/lsn-set.js';
import { segmentName } from '../../format/segment-name.js';
import { wayOutOf } from '../../format/verdict.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { GarbageSurvey, SegmentGarbage, SurveyRequest } from '../../protocol/compaction.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { checkStop, StopRequest } from '../backup/copy-file.js';
import { segmentFile } from '../directory/log-listing.js';
import { failureOf, LogFailure } from '../errors/failure.js';

/** A job checks this often whether it is to stop. */
const CHECK_BYTES = 4 * 1024 * 1024;

/** A job of the pool. */
export function surveyGarbage(
  request: SurveyRequest,
): GarbageSurvey | StoppedJob | { readonly failure: Failure } {
  return surveyGarbageOn(createNodeDisk(), request);
}

export function surveyGarbageOn(disk: Disk, request: SurveyRequest): ReturnType<typeof surveyGarbage> {
  try {
    return surveyOn(disk, request);
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    const { directory } = request;
    return { failure: failureOf(error, `compact "${directory}"`, directory) };
  }
}

/** @throws the system's error; LogFailure ERR_WAL_CORRUPT */
export function surveyOn(disk: Disk, request: SurveyRequest): GarbageSurvey {
  const drop = LsnSet.from(request.drop);
  const control = new JobControl(request.control);
  return { segments: request.segments.map((number) => surveySegment(disk, request, number, drop, control)) };
}

function surveySegment(
  disk: Disk,
  { directory, logId }: SurveyRequest,
  number: number,
  drop: LsnSet,
  control: JobControl,
): SegmentGarbage {
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  return withSource(segmentFile(disk, directory, number), (source) => {
    const { frame } = cursor.enter(source, number);
    let entries = 0;
    let firstLsn = 0;
    let droppedEntries = 0;
    let droppedBytes = 0;
    let headLsn = 0;
    let openLsn = 0;
    let isHead = true;
    let nextCheck = 0;
    while (cursor.offset < cursor.size) {
      if (cursor.offset >= nextCheck) {
        checkStop(control);
        nextCheck = cursor.offset + CHECK_BYTES;
      }
      const { offset, expectedLsn } = cursor;
      const fault = cursor.parse();
      if (fault !== undefined || (expectedLsn > 0 && frame.lsn !== expectedLsn + frame.skipped))
        throw damaged(directory, number, offset, expectedLsn, describeFault(fault ?? 'lsn'));
      const { lsn, lastLsn, byteLength, batchRemaining } = frame;
      const count = lastLsn - lsn + 1;
      const dropped = drop.countIn(lsn, lastLsn);
      entries += count;
      droppedEntries += dropped;
      droppedBytes += Math.floor((byteLength * dropped) / count);
      if (firstLsn === 0) firstLsn = lsn;
      if (batchRemaining > 0 && openLsn === 0) openLsn = lsn;
      if (batchRemaining === 0) openLsn = 0;
      if (isHead) headLsn = lastLsn;
      if (batchRemaining === 0) isHead = false;
      cursor.pass();
    }
    const lastLsn = cursor.expectedLsn - 1;
    const found = { number, bytes: source.size, entries, firstLsn, lastLsn, droppedEntries, droppedBytes };
    return { ...found, headLsn, openLsn };
  });
}

export function damaged(
  directory: string,
  number: number,
  offset: number,
  lsn: number,
  why: string,
): LogFailure {
  const path = join(directory, segmentName(number));
  const what = lsn === 0 ? 'an entry' : `entry ${lsn}`;
  return new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot compact "${path}": ${what} at byte ${offset} cannot be read: ${why}. The segment stays as it is. ${wayOutOf('corrupt')}`,
    { path, offset, lsn: lsn || undefined },
  );
}
