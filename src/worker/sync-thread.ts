import { join } from 'node:path';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type DiskFile, isSameFile } from '../files/disk.js';
import { holdLifeline } from '../files/lock.js';
import { adoptDescriptor, createNodeDisk } from '../files/node-disk.js';
import { LOCK_FILE } from '../format/segment-name.js';
import { Board } from '../ring/board.js';
import { Doorbell } from '../ring/doorbell.js';
import { failureOf, LogFailure } from './failure.js';
import { finishClosing } from './finish-closing.js';
import type { SyncThreadData, ToLane } from './messages.js';
import { Publisher } from './publication.js';
import { keepHouse, type SyncJob, syncFiles } from './sync-job.js';
import { SyncWord } from './sync-words.js';
import type { SyncOutcome } from './syncer.js';
import type { FileHandle, ToSyncThread } from './thread-syncer.js';

/**
 * The sync thread: sleeps until the writer posts a job, makes its files durable, tells the lanes, reports to the writer.
 *
 * What is durable is told to the lanes from here, in one message for each lane and group: going back through the
 * writer would cost a thread switch for every durable append. The order is: sync returned, watermark stored, lanes told,
 * housekeeping, figures published, report.
 */
export async function runSyncThread(data: SyncThreadData<MessagePort>): Promise<void> {
  const disk = createNodeDisk();
  const board = new Board(data.board);
  const doorbell = new Doorbell(data.bell);
  const publisher = new Publisher(disk, data.directory, board, data.fileMode, process.pid);
  const words = new Int32Array(data.syncWords);
  const lanePorts = new Map([[0, data.lanePort]]);
  for (let seen = 0; ; seen = (seen + 1) | 0) {
    while (Atomics.load(words, SyncWord.requested) === seen) Atomics.wait(words, SyncWord.requested, seen);
    const message = receiveMessageOnPort(data.writerPort)?.message as ToSyncThread;
    if (message.kind === 'stop') {
      publisher.close();
      return;
    }
    if (message.kind === 'job') for (const { lane, port } of message.newLanes) lanePorts.set(lane, port);
    data.writerPort.postMessage(message.kind === 'begin' ? begin() : runJob(message.job));
    Atomics.store(words, SyncWord.done, (seen + 1) | 0);
    Atomics.notify(words, SyncWord.done);
    doorbell.ring(true);
    if (message.kind === 'job' && message.goneLanes.length > 0) await dropLanes(message.goneLanes);
  }

  /** After the job, for which somebody waits. */
  async function dropLanes(lanes: readonly number[]): Promise<void> {
    for (const lane of lanes) {
      lanePorts.get(lane)?.close();
      lanePorts.delete(lane);
    }
    await finishClosing();
  }

  function begin(): SyncOutcome {
    try {
      holdLifeline(join(data.directory, LOCK_FILE), data.lifeline);
      disk.holdDirectory(data.directory);
      return NOTHING_DONE;
    } catch (error) {
      return { ...NOTHING_DONE, failure: failureOf(error, `lock "${data.directory}"`, data.directory) };
    }
  }

  function runJob(request: Extract<ToSyncThread, { kind: 'job' }>['job']): SyncOutcome {
    const { directory } = data;
    try {
      const files = request.files.map((handle) => adoptDescriptor(handle.fd, handle.path));
      const job: SyncJob = { ...request, files };
      const startedMs = performance.now();
      syncFiles(disk, directory, job);
      const durationMs = performance.now() - startedMs;
      if (files.length > 0) {
        for (const [at, file] of files.entries()) proveSame(file, request.files[at] as FileHandle);
        const isFollowed = board.moveWatermark(job.watermark);
        board.add('syncs', 1);
        board.syncMicros.record(durationMs * 1000);
        for (const { lane, runs } of job.acknowledgements) {
          const port = lanePorts.get(lane) as MessagePort;
          port.postMessage({ kind: 'durable', runs } satisfies ToLane);
        }
        // After those who wait for their own entries.
        if (isFollowed) data.lanePort.postMessage({ kind: 'watermark' } satisfies ToLane);
        if (board.syncsWatched) {
          const { watermark } = job;
          data.lanePort.postMessage({ kind: 'sync-made', watermark, durationMs } satisfies ToLane);
        }
      }
      const done = keepHouse(disk, directory, job, data.fileMode);
      if (job.publication === undefined) return done;
      return { ...done, published: publisher.publish(job.publication) };
    } catch (error) {
      return { ...NOTHING_DONE, failure: failureOf(error, `sync "${directory}"`, directory) };
    }
  }
}

const NOTHING_DONE: SyncOutcome = { stateWritten: false, unremoved: [], troubles: [] };

/**
 * If the writer thread dies, its descriptors are closed and their numbers used again: a sync of such a number would
 * prove nothing about the log's file.
 */
function proveSame(file: DiskFile, handle: FileHandle): void {
  if (isSameFile(file.identity(), handle)) return;
  throw new LogFailure(
    'ERR_WAL_WORKER_DIED',
    `The writer thread ended while "${handle.path}" was being synced: what was not acknowledged is uncertain.`,
    { path: handle.path },
  );
}
