import { join } from 'node:path';
import type { Archive, CommitLevel, Committer, Contender, Sink } from './contender.js';

/** Entries to a batch: one call into the database for each entry would be several times slower. */
const BATCH_ENTRIES = 1_000;

export const classicLevel: Contender = {
  name: 'classic-level',
  package: 'classic-level',
  kind: 'peer',
  note: `LevelDB: log, memtable, compaction; fire-and-forget in batches of ${BATCH_ENTRIES.toLocaleString('en')}; durable = \`sync: true\``,
  openSink,
  openCommitter,
  openArchive,
};

async function open(directory: string) {
  const { ClassicLevel } = await import('classic-level');
  const database = new ClassicLevel<Buffer, Buffer>(join(directory, 'level'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  });
  await database.open();
  return database;
}

/** Keys that sort in the order of the entries. */
function keyOf(index: number): Buffer {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(index);
  return key;
}

async function openSink(directory: string): Promise<Sink> {
  const database = await open(directory);
  let index = 0;
  let written: Promise<void> | undefined;
  return {
    push(entry, count) {
      if (written !== undefined) return 0;
      const taken = Math.min(count, BATCH_ENTRIES);
      const batch = [];
      for (let at = 0; at < taken; at++)
        batch.push({ type: 'put' as const, key: keyOf(index++), value: entry });
      written = database.batch(batch);
      return taken;
    },
    async room() {
      await written;
      written = undefined;
    },
    async sync() {
      await written;
      written = undefined;
      // LevelDB has one log: a synced write makes all before it durable.
      await database.put(keyOf(index++), Buffer.alloc(1), { sync: true });
    },
    close: () => database.close(),
  };
}

async function openCommitter(directory: string, level: CommitLevel): Promise<Committer> {
  const database = await open(directory);
  const options = { sync: level === 'durable' };
  let index = 0;
  return { commit: (entry) => database.put(keyOf(index++), entry, options), close: () => database.close() };
}

async function openArchive(directory: string): Promise<Archive> {
  const database = await open(directory);
  return {
    async fill(entry, count) {
      for (let index = 0; index < count; ) {
        const batch = [];
        while (batch.length < BATCH_ENTRIES && index < count) {
          batch.push({ type: 'put' as const, key: keyOf(index++), value: entry });
        }
        await database.batch(batch);
      }
    },
    async readBatches() {
      let bytes = 0;
      const iterator = database.iterator();
      for (;;) {
        const entries = await iterator.nextv(BATCH_ENTRIES);
        if (entries.length === 0) break;
        for (const [, value] of entries) bytes += value.length;
      }
      await iterator.close();
      return bytes;
    },
    async readEntries() {
      let bytes = 0;
      for await (const [, value] of database.iterator()) bytes += value.length;
      return bytes;
    },
    async readOne(index) {
      return (await database.get(keyOf(index)))?.length ?? 0;
    },
    close: () => database.close(),
  };
}
