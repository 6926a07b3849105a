import { entryOf } from '../measure/feed.js';
import { contenderOf, type Outcome, oneSize, type Task, type Workload } from './workload.js';

const BURST_ENTRIES = 50_000;
const BURSTS = { full: 40, quick: 2 } as const;
const WARM_UP_BURSTS = { full: 10, quick: 1 } as const;

/**
 * Bursts that are larger than the ring. Entries that bypass the ring should cost little more, and the next burst
 * should find the ring free again.
 */
export const overrun: Workload = {
  name: 'overrun',
  title: 'Bursts of 50,000 appends, 100 B, larger than the ring and not',
  note:
    'A burst is appended at one go, each append with its promise (written), and awaited as a whole. A ring of 1 MiB holds a fifth ' +
    'of it, the default one all of it.',
  metrics: ['entriesPerS'],
  contenders: ['ringwal', 'ringwal, ring of 1 MiB'],
  sizes: oneSize,
  run,
};

async function run(task: Task): Promise<Outcome> {
  const entry = entryOf(task.entryBytes);
  const committer = await contenderOf(task).openCommitter!(task.directory, 'written');
  const burst = () => Promise.all(Array.from({ length: BURST_ENTRIES }, () => committer.commit(entry)));
  for (let left = WARM_UP_BURSTS[task.scale]; left > 0; left--) await burst();
  const startedMs = performance.now();
  for (let left = BURSTS[task.scale]; left > 0; left--) await burst();
  const seconds = (performance.now() - startedMs) / 1e3;
  await committer.close();
  return { figures: { entriesPerS: (BURSTS[task.scale] * BURST_ENTRIES) / seconds } };
}
