/**
 * The entry file of every thread of the package, `ringwal/worker`: the thread's data says which role it has. It is one file, so
 * that one option (`workerUrl`) says where a bundler has put it.
 */
import { isMainThread, type MessagePort, workerData } from 'node:worker_threads';
import type { ReplicaThreadData } from '../protocol/replica-messages.js';
import { runReplicaThread } from './replica-thread.js';
import { runLogThread } from './run-log-thread.js';

runLogThread();

const data = workerData as Partial<ReplicaThreadData<MessagePort>> | null;
if (!isMainThread && data?.role === 'replica') void runReplicaThread(data as ReplicaThreadData<MessagePort>);

/** Jobs of the thread pool, called by name. */
export { backup } from './backup/backup.js';
export { restore } from './backup/restore.js';
export { verifyBackup } from './backup/verify-backup.js';
export { walkRun } from './inspect/divided-walk.js';
export { inspect, inspectFile, inspectOrDivide } from './inspect/inspect.js';
export { repair } from './recover/repair.js';
export { restoreReplica } from './replica/restore-replica.js';
export { findSnapshots, removeSnapshots, verifySnapshot, writeSnapshot } from './snapshot/snapshot-jobs.js';
