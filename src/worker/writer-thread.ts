import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { createDirectory } from '../files/directories.js';
import { type Disk, type DiskLock, systemCode } from '../files/disk.js';
import { createNodeDisk } from '../files/node-disk.js';
import { LOCK_FILE, segmentName } from '../format/segment-name.js';
import { Board } from '../ring/board.js';
import { BellState, Doorbell, DoorbellSleeper } from '../ring/doorbell.js';
import { chooseKernel } from '../ring/kernel/wasm.js';
import { touchRing, viewLane } from '../ring/layout.js';
import { failureOf, LogFailure, systemCause } from './failure.js';
import { LaneIntake } from './lane-intake.js';
import type { SegmentInfo, ToLane, WriterOptions, WriterThreadData } from './messages.js';
import { recoverLog } from './recovery.js';
import type { SegmentCatalog } from './segment-catalog.js';
import { ThreadSyncer } from './thread-syncer.js';
import { Writer } from './writer.js';

/**
 * The writer thread: opens the log, then works and sleeps until it is closed. It has no event loop to speak of; what
 * others want of it they say through shared memory and ports that it looks at, and ring.
 */
export function runWriterThread(data: WriterThreadData<MessagePort>): void {
  const { options, lanePort } = data;
  const say = (message: ToLane) => lanePort.postMessage(message);
  const disk = createNodeDisk();
  const syncer = new ThreadSyncer(data.syncPort, data.syncWords);
  let lock: DiskLock | undefined;
  try {
    lock = openDirectory(disk, options);
    const recovered = recoverLog(disk, options);
    const views = viewLane(data.lane);
    // Touched here once, the first lap of the ring costs the producer no page faults.
    touchRing(views);
    const writer = new Writer({
      disk,
      nowMs: () => performance.now(),
      board: new Board(data.board),
      doorbell: new Doorbell(data.bell),
      options,
      lanes: [new LaneIntake(0, views, chooseKernel(data.lane, views), lanePort)],
      syncer,
      start: recovered.start,
    });
    say({
      kind: 'opened',
      recovery: recovered.report,
      segments: describeSegments(recovered.start.catalog, options.directory, recovered.start.lastLsn),
    });
    workUntilClosed(writer, new DoorbellSleeper(data.bell));
    lock.release();
    say({ kind: 'closed' });
    writer.wakeFlushes();
  } catch (error) {
    lock?.release();
    syncer.stop();
    say({ kind: 'refused', failure: failureOf(error, `open "${options.directory}"`, options.directory) });
  }
}

function workUntilClosed(writer: Writer, sleeper: DoorbellSleeper): void {
  for (;;) {
    const next = writer.step();
    if (next.kind === 'closed') return;
    if (next.kind === 'again') continue;
    const announced = sleeper.announce(next.lingering ? BellState.lingering : BellState.parked);
    // The last look comes after the announcement: whoever published before it is seen, whoever does after it rings.
    if (!writer.hasWork()) sleeper.wait(announced, next.forMs);
    sleeper.awake();
  }
}

function openDirectory(disk: Disk, options: WriterOptions): DiskLock {
  const { directory, directoryMode, fileMode } = options;
  createDirectory(disk, directory, directoryMode);
  const path = join(directory, LOCK_FILE);
  let lock: DiskLock | undefined;
  try {
    lock = disk.lock(path, fileMode);
  } catch (error) {
    const { message } = systemCause(error);
    throw new LogFailure('ERR_WAL_IO', `Cannot lock "${directory}": ${message} (${systemCode(error)})`, {
      path: directory,
      cause: error,
    });
  }
  if (lock !== undefined) return lock;
  const pid = disk.lockHolder(path)?.pid;
  const holder =
    pid === undefined ? 'another writer' : pid === process.pid ? 'this process' : `process ${pid}`;
  throw new LogFailure('ERR_WAL_LOCKED', `Cannot open "${directory}": ${holder} has it open for writing.`, {
    path: directory,
  });
}

function describeSegments(catalog: SegmentCatalog, directory: string, lastLsn: number): SegmentInfo[] {
  const { records } = catalog;
  return records.map(({ number, firstLsn, bytes, createdMs }, at) => {
    const next = records.slice(at + 1).find((record) => record.firstLsn !== 0);
    const path = join(directory, segmentName(number));
    const last = firstLsn === 0 ? 0 : next === undefined ? lastLsn : next.firstLsn - 1;
    return { number, path, firstLsn, lastLsn: last, bytes, createdMs };
  });
}
