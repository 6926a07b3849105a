/**
 * The stores of a Raft server on simulated machines: power cuts, kills and failed fsyncs at every moment.
 *
 *   node examples/raft-log-store/crash-test.mjs [LIVES]
 *
 * The exit code is 0 only if the stores have kept everything that they acknowledged or showed. A failure prints the seed and the
 * shortest history that was found; RINGWAL_SEED=<seed> repeats it.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crashTest } from 'ringwal/testing';
import { RaftLogStore } from './log-store.mjs';
import { RaftStableStore } from './stable-store.mjs';

/** Both stores of a server, each a log in a directory of its own. */
export async function openServer(directory, options = {}) {
  const log = await RaftLogStore.open(join(directory, 'log'), options);
  try {
    return { log, stable: await RaftStableStore.open(join(directory, 'stable'), options) };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** What `crashTest` needs to know. An operation says what a server does; the ends of its log decide where. */
export const SERVER = {
  // Small segments, so that a life has many.
  boot: (machine) => openServer('./server', { openLog: machine.open, maxFileSize: 4096 }),
  close: async ({ log, stable }) => {
    try {
      await log.close();
    } finally {
      await stable.close();
    }
  },
  // Not 'full-disk': there `truncateBefore` removes segments first, to make the room for recording that. So a deletion of the first entries
  // may be done in part when it is rejected or interrupted, which a Raft server repeats.
  faults: ['power-cut', 'kill', 'failed-sync'],
  // A server does one thing after the other.
  concurrency: 1,
  empty: { entries: [], hardState: {} },
  draw: (random, number) => {
    const kind = random.pick(['store', 'store', 'store', 'vote', 'compact', 'conflict', 'delete all']);
    const words = Array.from({ length: 1 + random.below(5) }, () => 'x'.repeat(random.pick([0, 10, 900])));
    return { kind, number, words, share: random.below(100) / 100, start: 1 + random.below(2000) };
  },
  act: ({ log, stable }, operation) => {
    const { kind, number, share } = operation;
    const { firstIndex: first, lastIndex: last } = log;
    const middle = first + Math.floor(share * (last - first));
    if (kind === 'vote') return stable.setMany({ term: number, votedFor: `server ${number % 3}` });
    if (kind === 'compact') return log.deleteRange(first, middle);
    if (kind === 'conflict') return log.deleteRange(middle, last);
    if (kind === 'delete all') return log.deleteRange(first, last);
    return log.storeLogs(entriesOf(operation, last));
  },
  apply: (content, operation) => {
    const { kind, number, share } = operation;
    const { entries } = content;
    const first = entries[0]?.index ?? 0;
    const last = entries.at(-1)?.index ?? 0;
    const middle = first + Math.floor(share * (last - first));
    if (kind === 'vote') content.hardState = { term: number, votedFor: `server ${number % 3}` };
    else if (kind === 'compact') content.entries = entries.filter(({ index }) => index > middle);
    else if (kind === 'conflict') content.entries = entries.filter(({ index }) => index < middle);
    else if (kind === 'delete all') content.entries = [];
    else entries.push(...entriesOf(operation, last));
    return content;
  },
  observe: async ({ log, stable }) => {
    const entries = [];
    for await (const batch of log.readFrom()) {
      entries.push(...batch.map((entry) => ({ ...entry, data: entry.data.toString() })));
    }
    return { entries, hardState: stable.values };
  },
};

/** An empty log begins anywhere: a snapshot that was installed decides. */
function entriesOf({ number, words, start }, last) {
  const first = last === 0 ? start : last + 1;
  return words.map((word, at) => ({ index: first + at, term: number, type: 0, data: word }));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { lives, operations, acknowledged, crashes } = await crashTest({
    ...SERVER,
    lives: Number(process.argv[2] ?? 100),
  });
  console.log(
    `${lives} lives, ${crashes} crashes: of ${operations} operations ${acknowledged} were acknowledged,`,
  );
  console.log('and none of these was lost.');
}
