import { availableParallelism } from 'node:os';

/** More threads are not worth their memory: the jobs wait for a disk as much as for a processor. */
const JOB_THREADS_MAX = 4;

/** Threads that the pool of segment jobs may use. */
export function jobThreads(): number {
  return Math.max(1, Math.min(JOB_THREADS_MAX, availableParallelism()));
}
