import type { MessagePort } from 'node:worker_threads';
import { BroadcastChannel } from 'node:worker_threads';
import { createNodeDisk } from '../files/node-disk.js';
import type { Failure, WalErrorCode } from '../protocol/errors.js';
import type { FromReplica, ReplicaNews, ReplicaThreadData, ToReplica } from '../protocol/replica-messages.js';
import { connectReplica } from '../replica/connect.js';
import { FINAL_CODES, isFinal, type Replica, ReplicaError } from '../replica/replica.js';
import { type ReplicaProgress, Shipper } from '../replica/shipper.js';
import { LogStatus } from '../ring/log-status.js';
import { systemCause } from './errors/failure.js';
import { DirectorySource } from './replica/directory-source.js';

/** How often the lag is measured while something is behind. */
const LAG_MS = 500;

/**
 * The replica thread: loads the adapter and ships the log, on an event loop of its own. A busy opening thread delays neither the shipping
 * nor the acknowledgements of other threads.
 */
export async function runReplicaThread(data: ReplicaThreadData<MessagePort>): Promise<void> {
  const { port, directory } = data;
  const status = new LogStatus(data.status);
  const channel = new BroadcastChannel(data.channel);
  const say = (message: FromReplica) => port.postMessage(message);
  const tell = (news: ReplicaNews) => channel.postMessage(news);
  const end = (error: unknown) => {
    const failure = failureOf(error, directory);
    status.set('replicaEnded', 1 + Math.max(0, (FINAL_CODES as readonly string[]).indexOf(failure.code)));
    say({ kind: 'trouble', failure, isFinal: true });
    say({ kind: 'state', state: 'stopped' });
    tell({ failure });
  };
  const source = new DirectorySource(createNodeDisk(), directory, status);
  let replica: Replica;
  try {
    replica = await connectReplica(data.adapter, { timeoutMs: data.timeoutMs });
  } catch (error) {
    end(
      isFinal(error)
        ? error
        : new ReplicaError('ERR_WAL_OPTION', `Cannot load the adapter: ${systemCause(error).message}`),
    );
    port.on('message', (message: ToReplica) => answerEnded(message, port, directory, () => channel.close()));
    return;
  }
  const shipper = new Shipper({
    replica,
    source,
    logId: data.logId,
    writer: data.writer,
    known: data.known,
    expectEpoch: data.expectEpoch,
    delay,
    onProgress: (place: ReplicaProgress) => {
      status.set('replicatedLsn', place.lsn);
      // First: an append that has heard of it finds the progress in the opening thread's port.
      say({ kind: 'progress', place });
      tell({});
    },
    onState: (state) => {
      if (state !== 'stopped') say({ kind: 'state', state });
    },
    onTrouble: (error, isLast) => {
      if (isLast) end(error);
      else say({ kind: 'trouble', failure: failureOf(error, directory), isFinal: false });
    },
  });
  const lag = watchLag(data, source, status, say, () => {
    end(tooFarBehind(data));
    shipper.stop();
  });
  let isOver = false;
  const close = () => {
    clearInterval(lag);
    channel.close();
    source.close();
    port.close();
  };
  port.on('message', (message: ToReplica) => {
    if (isOver) answerEnded(message, port, directory, close);
    else if (message.kind === 'cut') {
      void shipper.cutAfter(message.lsn, message.empties).then(
        () => say({ kind: 'cut', failure: undefined }),
        (error: unknown) => say({ kind: 'cut', failure: failureOf(error, directory) }),
      );
    } else if (message.kind === 'resume') {
      source.forget();
      shipper.resume();
    } else {
      isOver = true;
      shipper.stop();
      void ended.then(close);
    }
  });
  const ended = shipper.run().finally(async () => {
    isOver = true;
    await replica.close();
  });
  await ended;
}

/** Replication has ended: a cut is the local log's own affair then. */
function answerEnded(message: ToReplica, port: MessagePort, directory: string, close: () => void): void {
  if (message.kind === 'stop') {
    close();
    port.close();
  } else if (message.kind === 'cut') {
    const error = new ReplicaError('ERR_WAL_REPLICA', 'Replication has ended.');
    port.postMessage({ kind: 'cut', failure: failureOf(error, directory) } satisfies FromReplica);
  }
}

function watchLag(
  { maxLag, onLag }: ReplicaThreadData<MessagePort>,
  source: DirectorySource,
  status: LogStatus,
  say: (message: FromReplica) => void,
  detach: () => void,
): NodeJS.Timeout {
  let told = 0;
  return setInterval(() => {
    const isBehind = status.get('replicatedLsn') < source.lastLsn;
    const bytes = isBehind ? source.untakenBytes : 0;
    if (bytes !== told) say({ kind: 'lag', bytes });
    told = bytes;
    if (onLag === 'reject') status.set('replicaLags', bytes > maxLag ? 1 : 0);
    else if (bytes > maxLag && status.get('replicaEnded') === 0) detach();
  }, LAG_MS);
}

function tooFarBehind({ maxLag }: ReplicaThreadData<MessagePort>): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_PURGED',
    `More than ${maxLag} bytes are not replicated (maxLag, onLag: 'detach'): the replica is given up, and retention no longer waits for it.`,
  );
}

function failureOf(error: unknown, directory: string): Failure {
  const { code, lsn } = error as { code?: unknown; lsn?: unknown };
  const { message } = systemCause(error);
  const known: readonly unknown[] = ['ERR_WAL_REPLICA', ...FINAL_CODES];
  return {
    code: known.includes(code) ? (code as WalErrorCode) : 'ERR_WAL_REPLICA',
    message: `Replication of "${directory}": ${message}`,
    path: directory,
    ...(typeof lsn === 'number' ? { lsn } : {}),
  };
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
