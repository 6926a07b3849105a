import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** An entry of type `gc`, with the kind of the collection. */
interface GcEntry extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

/**
 * The number of scavenges (collections of young objects) of this thread's heap while `work` runs. A collection runs
 * before, because older garbage would fill the young generation sooner.
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
