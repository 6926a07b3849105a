import { entryOf } from '../measure/feed.js';
import { Latencies } from '../measure/latencies.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const CALLERS = [2, 8, 64, 256] as const;
const WARM_UP_MS = { full: 1_000, quick: 100 } as const;
const MEASURED_MS = { full: 2_000, quick: 200 } as const;
/** More than any contender commits in the time. */
const COMMITS_MAX = 2_000_000;

/** A handful of callers in a closed loop, as a service has them: what they get together, how long each waits, and what it costs. */
export const fewInFlight: readonly Workload[] = CALLERS.map((callers) => ({
  name: `in-flight-${callers}`,
  title: `Durable appends, ${callers} in flight, 100 B`,
  note:
    `A closed loop: each of ${callers} callers awaits its append and makes the next one at once. CPU: of the whole process, for each ` +
    'entry, user and system.',
  metrics: ['entriesPerS', 'p50Us', 'p99Us', 'cpuUs'],
  contenders: ['ringwal', 'lmdb', 'fs.promises', 'classic-level', 'better-sqlite3'],
  sizes: oneSize,
  run: (task) => run(task, callers),
}));

async function run(task: Task, callers: number): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'durable');
  const latencies = new Latencies(COMMITS_MAX);
  let completed = 0;
  let isMeasured = false;
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      const calledMs = performance.now();
      await committer.commit(entry);
      if (committer.blocks) await new Promise(setImmediate);
      if (!isMeasured || completed === COMMITS_MAX) continue;
      completed += 1;
      latencies.add(calledMs, performance.now());
    }
  };
  const all = Promise.all(Array.from({ length: callers }, caller));
  await sleep(WARM_UP_MS[task.scale]);
  isMeasured = true;
  const [startedMs, cpuBefore] = [performance.now(), process.cpuUsage()];
  await sleep(MEASURED_MS[task.scale]);
  isMeasured = false;
  const [ms, { user, system }] = [performance.now() - startedMs, process.cpuUsage(cpuBefore)];
  isOver = true;
  await all;
  await committer.close();
  const latenciesUs = latencies.distribution();
  const [, , , p50Us, , , p99Us] = latenciesUs;
  const figures = {
    entriesPerS: (completed * 1e3) / ms,
    p50Us,
    p99Us,
    cpuUs: (user + system) / completed,
  };
  return { figures, latenciesUs };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
