import { join } from 'node:path';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type FileIdentity, isSameFile } from '../files/disk.js';
import { holdLifeline } from '../files/lock.js';
import { adoptDescriptor, createNodeDisk } from '../files/node-disk.js';
import { LOCK_FILE } from '../format/segment-name.js';
import { SyncWord } from '../protocol/sync-words.js';
import type { SyncThreadData } from '../protocol/thread-data.js';
import { Doorbell } from '../ring/doorbell.js';
import { LogStatus } from '../ring/log-status.js';
import { LogDirectory } from './directory/log-directory.js';
import { LogFailure } from './errors/failure.js';
import { AckChannel } from './intake/ack-channel.js';
import { finishClosing } from './intake/closed-ports.js';
import { failedOutcome, JobRunner, NOTHING_DONE } from './sync/job-runner.js';
import type { SyncableFile } from './sync/sync-job.js';
import { SyncRound } from './sync/sync-round.js';
import type { SyncOutcome } from './sync/syncer.js';
import type { FileHandle, ToSyncThread } from './sync/thread-syncer.js';
import { StatsPublisher } from './upkeep/stats-publisher.js';

/**
 * The sync thread: sleeps until the writer posts a job, runs it, and reports to the writer.
 *
 * It acknowledges durable entries to the lanes itself (sync-round.ts), with one message for each lane and group: the way back
 * through the writer would cost a thread switch for every durable append.
 */
export async function runSyncThread(data: SyncThreadData<MessagePort>): Promise<void> {
  const { directory } = data;
  const disk = createNodeDisk();
  const status = new LogStatus(data.status);
  const doorbell = new Doorbell(data.bell);
  const publisher = new StatsPublisher(disk, directory, status, data.fileMode, process.pid);
  const words = new Int32Array(data.syncWords);
  const channels = new Map([[0, new AckChannel(data.lanePort)]]);
  const round = new SyncRound({ disk, nowMs: () => performance.now(), directory, status, channels });
  let runner: JobRunner;
  for (let seen = 0; ; seen = (seen + 1) | 0) {
    while (Atomics.load(words, SyncWord.requested) === seen) Atomics.wait(words, SyncWord.requested, seen);
    const message = receiveMessageOnPort(data.writerPort)?.message as ToSyncThread;
    if (message.kind === 'stop') {
      publisher.close();
      return;
    }
    if (message.kind === 'job')
      for (const { lane, port } of message.newLanes) channels.set(lane, new AckChannel(port));
    data.writerPort.postMessage(message.kind === 'begin' ? begin(message.place) : runJob(message.job));
    Atomics.store(words, SyncWord.done, (seen + 1) | 0);
    Atomics.notify(words, SyncWord.done);
    doorbell.ring(true);
    if (message.kind === 'job' && message.goneLanes.length > 0) await dropLanes(message.goneLanes);
  }

  /** Called after the job, since a thread waits for the job. */
  async function dropLanes(lanes: readonly number[]): Promise<void> {
    for (const lane of lanes) {
      channels.get(lane)?.close();
      channels.delete(lane);
    }
    await finishClosing();
  }

  function begin(identity: FileIdentity): SyncOutcome {
    try {
      const place = new LogDirectory(disk, directory, identity);
      runner = new JobRunner(disk, place, data.fileMode, round, publisher);
      holdLifeline(join(directory, LOCK_FILE), data.lifeline);
      disk.holdDirectory(directory);
      return NOTHING_DONE;
    } catch (error) {
      return failedOutcome(error, `lock "${directory}"`, directory);
    }
  }

  function runJob(request: Extract<ToSyncThread, { kind: 'job' }>['job']): SyncOutcome {
    return runner.run({ ...request, files: request.files.map(borrowed) });
  }
}

/**
 * A file that the writer thread has open. If that thread dies, the system closes its descriptors and may reuse their numbers. A
 * sync of such a number proves nothing about the log's file, so each sync is followed by a check of which file it synced.
 */
function borrowed(handle: FileHandle): SyncableFile {
  const file = adoptDescriptor(handle.fd, handle.path);
  return {
    path: handle.path,
    datasync() {
      file.datasync();
      if (isSameFile(file.identity(), handle)) return;
      throw new LogFailure(
        'ERR_WAL_WORKER_DIED',
        `The writer thread ended while "${handle.path}" was being synced: entries that were not acknowledged may or may not be in the log.`,
        { path: handle.path },
      );
    },
  };
}
