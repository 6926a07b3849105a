/**
 * Runs one measurement in a separate process, so that none inherits another's heap, compiled code or threads. The
 * command line from the parent names the task; the parent gets the answer as a message.
 *
 *   child.mjs run TASK         runs a workload; answers its Outcome
 *   child.mjs probe NAME DIR   can this contender be loaded here? answers true
 *   child.mjs start NAME DIR   opens this contender and commits one entry; answers the milliseconds since its start
 *   child.mjs load LOAD        sends HTTP requests to its parent; answers a LoadReport
 */
import { contenderNamed } from './contenders/all.js';
import { WORKLOADS } from './workloads/all.js';
import { generateLoad, type Load } from './workloads/load-generator.js';
import { startOnce } from './workloads/start.js';
import type { Task } from './workloads/workload.js';

// Threads of some packages do not keep the process alive, and a measurement that waits for them would end early.
process.channel?.ref();

const [role, argument = '', directory = ''] = process.argv.slice(2);
const answer = await answerTo(role);
process.send?.(answer, () => process.exit());

function answerTo(asked: string | undefined): Promise<unknown> {
  switch (asked) {
    case 'run':
      return runTask(JSON.parse(argument) as Task);
    case 'probe':
      return probe(argument);
    case 'start':
      return startOnce(argument, directory);
    case 'load':
      return generateLoad(JSON.parse(argument) as Load);
    default:
      throw new Error(`unknown role: ${asked}`);
  }
}

function runTask(task: Task): Promise<unknown> {
  const workload = WORKLOADS.find(({ name }) => name === task.workload);
  if (workload === undefined) throw new Error(`no workload is called ${task.workload}`);
  return workload.run(task);
}

/** Opens the contender once, because a native package may load and then crash when it is used. */
async function probe(name: string): Promise<boolean> {
  const contender = contenderNamed(name);
  const opened = await (contender?.openSink?.(directory) ?? contender?.openCommitter?.(directory, 'durable'));
  await opened?.close();
  return true;
}
