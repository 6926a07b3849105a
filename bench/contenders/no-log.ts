/**
 * The load alone: the cost of the producers without any log. It is the baseline for figures of the whole process,
 * which include the cost of the load.
 */
import type { Committer, Contender, Sink } from './contender.js';

/** As the default of the option `ringSize`. */
const RING_BYTES = 16 * 2 ** 20;
/** The number of entries that wait for a sync while the other half of 1,000 is being synced. */
const GROUP_ENTRIES = 500;
const GROUP_EVERY_MS = 1;

export const noLog: Contender = {
  name: 'no log',
  kind: 'floor',
  note: `nothing is written: an entry is copied into memory of the size of ringwal's ring, or awaits a promise, of which a timer resolves ${GROUP_ENTRIES} each millisecond`,
  openSink,
  openCommitter,
};

async function openSink(): Promise<Sink> {
  const ring = Buffer.alloc(RING_BYTES);
  let position = 0;
  return {
    laneBytes: RING_BYTES,
    push(entry, count) {
      for (let taken = 0; taken < count; taken++) {
        if (position + entry.length > RING_BYTES) return taken;
        ring.set(entry, position);
        position += entry.length;
      }
      return count;
    },
    async room() {
      await new Promise(setImmediate);
      position = 0;
    },
    async sync() {},
    async close() {},
  };
}

async function openCommitter(): Promise<Committer> {
  let waiting: (() => void)[] = [];
  const timer = setInterval(() => {
    const group = waiting.slice(0, GROUP_ENTRIES);
    waiting = waiting.slice(GROUP_ENTRIES);
    for (const resolve of group) resolve();
  }, GROUP_EVERY_MS);
  return {
    commit: () => new Promise<void>((resolve) => waiting.push(resolve)),
    async close() {
      clearInterval(timer);
    },
  };
}
