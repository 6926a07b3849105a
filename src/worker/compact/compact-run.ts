import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { BlockEntries } from '../../blocks/block-entries.js';
import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { nowMs } from '../../files/node-globals.js';
import { withSource } from '../../format/bytes.js';
import { closeDataChecksum, describeFault } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';
import { LsnSet } from '../../format/lsn-set.js';
import { COMPACT_FILE_ASIDE, segmentName } from '../../format/segment-name.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { CompactionSource, CompactRunAnswer, CompactRunRequest } from '../../protocol/compaction.js';
import type { Failure } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import { StopRequest } from '../backup/copy-file.js';
import { LogDirectory } from '../directory/log-directory.js';
import { openSource, segmentFile } from '../directory/log-listing.js';
import { discard, removeIfThere } from '../directory/side-files.js';
import { failureOf } from '../errors/failure.js';
import { AsideWriter } from './aside-writer.js';
import { EntryDigest } from './digest.js';
import { Throttle } from './throttle.js';
import { writeRun } from './write-run.js';

/** First frames are small. */
const WINDOW_BYTES = 4096;

/** A job of the pool: steps 1 and 2 of src/worker/commands/compaction-commands.ts. If it fails, no file is left. */
export function compactRun(
  request: CompactRunRequest,
): CompactRunAnswer | StoppedJob | { readonly failure: Failure } {
  return compactOn(createNodeDisk(), request);
}

export function compactOn(disk: Disk, request: CompactRunRequest): ReturnType<typeof compactRun> {
  try {
    return compactRunOn(disk, request, new Throttle(request.bytesPerSecond, nowMs));
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    const { directory } = request;
    return { failure: failureOf(error, `compact "${directory}"`, directory) };
  }
}

/** @throws LogFailure; the system's error; StopRequest */
export function compactRunOn(disk: Disk, request: CompactRunRequest, throttle: Throttle): CompactRunAnswer {
  const { directory, place, logId, segments, lastNumber, fileMode } = request;
  new LogDirectory(disk, directory, place).check();
  const number = segments[0] as number;
  const path = join(directory, COMPACT_FILE_ASIDE);
  const sources = segments.map((each) => sourceOf(disk, directory, each));
  const createdMs = newestCreation(disk, request);
  const control = new JobControl(request.control);
  const target = new AsideWriter(disk, path, { logId, number, fileMode }, control, throttle);
  try {
    const run = { directory, logId, segments, lastNumber, drop: LsnSet.from(request.drop), createdMs };
    const { digest, nextLsn, ...written } = writeRun(disk, run, target, control);
    if (written.firstLsn === 0) {
      target.close();
      removeIfThere(disk, path);
      return { empty: true };
    }
    target.finish();
    readBack(disk, path, { logId, number, digest, nextLsn, bytes: target.offset });
    const { offset: bytes, identity: aside } = target;
    const { entries } = digest;
    return { ...written, number, lastNumber, sources, bytes, createdMs, entries, aside };
  } catch (error) {
    // What it failed with is the error to tell. The next run, or the next open, removes what is left.
    if (target.isNamed) discard(disk, [path]);
    throw error;
  } finally {
    target.close();
  }
}

function sourceOf(disk: Disk, directory: string, number: number): CompactionSource {
  const path = join(directory, segmentName(number));
  const file = disk.open(path, 'r');
  try {
    const { dev, ino } = file.identity();
    return { number, identity: { dev, ino }, bytes: file.size() };
  } finally {
    file.close();
  }
}

/** Retention by age goes by it: an entry must not go earlier than it would have. 0 = not known. */
function newestCreation(disk: Disk, { directory, logId, segments }: CompactRunRequest): number {
  const cursor = new FrameCursor(WINDOW_BYTES).start({ logId, expectedLsn: 0, batchRemaining: 0 });
  return Math.max(
    ...segments.map((number) =>
      withSource(segmentFile(disk, directory, number), (source) =>
        cursor.enter(source, number).parse() === undefined ? (cursor.frame.segment?.createdMs ?? 0) : 0,
      ),
    ),
  );
}

interface Expected {
  readonly logId: bigint;
  readonly number: number;
  readonly digest: EntryDigest;
  readonly nextLsn: number;
  readonly bytes: number;
}

/** Step 2: is the file what it should be? @throws an error that says what is not as it should be */
function readBack(disk: Disk, path: string, { logId, number, digest, nextLsn, bytes }: Expected): void {
  const found = new EntryDigest();
  const cursor = new FrameCursor().start({ logId, expectedLsn: 0, batchRemaining: 0 });
  const source = openSource(disk, path);
  try {
    const { frame } = cursor.enter(source, number);
    for (;;) {
      const { offset } = cursor;
      const outcome = cursor.next();
      if (outcome === 'end') break;
      if (outcome !== undefined)
        throw new Error(`"${path}" reads back wrong at byte ${offset}: ${describeFault(outcome)}`);
      const entries = BlockEntries.of(cursor);
      if (typeof entries === 'string')
        throw new Error(`"${path}" reads back wrong at byte ${offset}: ${entries}`);
      if (entries === undefined) found.add(frame.lsn, frame.crc);
      for (let index = 0; entries !== undefined && index < entries.count; index++) {
        const lsn = frame.lsn + index;
        found.add(lsn, closeDataChecksum(crc32(entries.data(index)), lsn));
      }
    }
    const isSame = found.value === digest.value && cursor.expectedLsn === nextLsn && source.size === bytes;
    if (!isSame) throw new Error(`"${path}" reads back with other entries than were written`);
  } finally {
    source.close?.();
  }
}
