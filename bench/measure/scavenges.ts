import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** An entry of type `gc`: it carries what kind of collection it was. */
interface GcEntry extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

/**
 * How many scavenges (collections of what was just allocated) this thread's heap sees while `work` runs, which begins
 * with nothing allocated: what others left would fill the young generation sooner.
 */
export async function countScavenges(work: () => Promise<void>): Promise<number> {
  let scavenges = 0;
  const count = (entries: readonly PerformanceEntry[]) => {
    for (const { detail } of entries as readonly GcEntry[]) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) scavenges++;
    }
  };
  const observer = new PerformanceObserver((list) => count(list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  collectGarbage();
  await turn();
  scavenges = 0;
  try {
    await work();
    // Entries are queued for a later turn of the event loop.
    await turn();
    count(observer.takeRecords());
  } finally {
    observer.disconnect();
  }
  return scavenges;
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
