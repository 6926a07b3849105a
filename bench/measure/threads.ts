/** Processor time and wake-ups of the threads of this process, as the system counts them. */
import { readdirSync, readFileSync } from 'node:fs';

const MAIN_THREAD = String(process.pid);

/** Since Node 23.9. */
const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } };

/**
 * Nanoseconds of processor time that the main thread has used; `undefined` if the system does not report them.
 * Without `process.threadCpuUsage` they come from Linux, which updates them at the scheduler's tick (up to 4 ms
 * late).
 */
export function mainThreadCpuNs(): number | undefined {
  if (threadCpuUsage !== undefined) {
    const { user, system } = threadCpuUsage.call(process);
    return (user + system) * 1e3;
  }
  return process.platform === 'linux' ? cpuNsOf(MAIN_THREAD) : undefined;
}

export interface OtherThreads {
  /** How often the scheduler put one of the threads on a processor. */
  readonly wakeUps: number;
  readonly cpuNs: number;
}

/**
 * The use of all threads except the main one, since they started. Linux only. A thread that never ran made no system
 * call.
 */
export function otherThreads(): OtherThreads {
  let wakeUps = 0;
  let cpuNs = 0;
  for (const task of readdirSync('/proc/self/task')) {
    if (task === MAIN_THREAD) continue;
    const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
    for (const [, switches] of status.matchAll(/ctxt_switches:\s+(\d+)/g)) wakeUps += Number(switches);
    cpuNs += cpuNsOf(task);
  }
  return { wakeUps, cpuNs };
}

function cpuNsOf(task: string): number {
  const [cpuNs] = readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ');
  return Number(cpuNs);
}
