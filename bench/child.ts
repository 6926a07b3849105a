/**
 * One measurement in a process of its own, so that none inherits another's heap, compiled code or threads. The parent
 * says on the command line what to do and gets the answer as a message.
 *
 *   child.mjs run TASK         runs a workload; answers its Outcome
 *   child.mjs probe NAME DIR   can this contender be loaded here? answers true
 *   child.mjs load LOAD        sends HTTP requests to its parent; answers a LoadReport
 */
import { contenderNamed } from './contenders/all.js';
import { WORKLOADS } from './workloads/all.js';
import { generateLoad, type Load } from './workloads/load-generator.js';
import type { Task } from './workloads/workload.js';

// Some threads of others do not keep their process alive, and what waits for them would end in the middle.
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

/** Opens it once: a native package may load, and crash only when it is used. */
async function probe(name: string): Promise<boolean> {
  const contender = contenderNamed(name);
  const opened = await (contender?.openSink?.(directory) ?? contender?.openCommitter?.(directory, 'durable'));
  await opened?.close();
  return true;
}
