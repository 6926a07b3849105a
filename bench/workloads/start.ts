import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { entryOf } from '../measure/feed.js';
import { spreadOf } from '../measure/statistics.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const STARTS = { full: 15, quick: 3 } as const;

/** How long a program takes that opens a small log, makes one durable append and ends. */
export const start: Workload = {
  name: 'start',
  title: 'A process that opens an empty log and makes one durable append, 100 B',
  note:
    'From the start of a process of its own until its append is acknowledged, by its own clock; and beyond what a process takes that does ' +
    'nothing, with the same program. Medians.',
  metrics: ['startMs', 'startMoreMs'],
  contenders: ['ringwal', 'fs.promises', 'better-sqlite3', 'classic-level', 'lmdb'],
  sizes: oneSize,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const bareMs: number[] = [];
  const ms: number[] = [];
  for (let left = STARTS[task.scale]; left > 0; left--) {
    bareMs.push(await timeStart('', task.directory));
    ms.push(await timeStart(task.contender, await mkdtemp(join(task.directory, 'start-'))));
  }
  const startMs = spreadOf(ms).median;
  return { figures: { startMs, startMoreMs: startMs - spreadOf(bareMs).median } };
}

async function timeStart(contender: string, directory: string): Promise<number> {
  const program = process.argv[1] as string;
  const child = spawn(process.execPath, [program, 'start', contender, directory], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [ms] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the process ended with exit code ${code}`);
    }),
  ])) as [number];
  if (child.exitCode === null) await once(child, 'exit');
  return ms;
}

/** Runs in the child process; answers the milliseconds since it was started. */
export async function startOnce(contender: string, directory: string): Promise<number> {
  if (contender !== '') {
    const committer = await contenderOf({ contender }).openCommitter!(directory, 'durable');
    await committer.commit(entryOf(100));
  }
  // Counted from the process's start.
  return performance.now();
}
