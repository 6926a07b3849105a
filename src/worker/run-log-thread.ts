import { isMainThread, type MessagePort, workerData } from 'node:worker_threads';
import type { SyncThreadData, WriterThreadData } from '../protocol/thread-data.js';
import { runSyncThread } from './sync-thread.js';
import { runWriterThread } from './writer-thread.js';

type ThreadData = WriterThreadData<MessagePort> | SyncThreadData<MessagePort>;

/** Runs the writer thread or the sync thread of a log, if this thread's data says that it is one. */
export function runLogThread(): void {
  const data = workerData as Partial<ThreadData> | null;
  if (!isMainThread && data?.role === 'writer') void runWriterThread(data as WriterThreadData<MessagePort>);
  else if (!isMainThread && data?.role === 'sync') void runSyncThread(data as SyncThreadData<MessagePort>);
}
