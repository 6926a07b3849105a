import { join } from 'node:path';
import type { Archive, CommitLevel, Committer, Contender, Sink } from './contender.js';

/** Backpressure: the producer waits when this many appends are pending, because their promises take memory. */
const UNCOMMITTED_MAX = 10_000;

export const lmdb: Contender = {
  name: 'lmdb',
  package: 'lmdb',
  kind: 'peer',
  note: 'B+ tree, commits grouped on a thread of its own; no checksum; durable = `flushed`',
  openSink,
  openCommitter,
  openArchive,
};

async function open(directory: string) {
  const { open: openDatabase } = await import('lmdb');
  return openDatabase<Buffer, number>({
    path: join(directory, 'lmdb'),
    encoding: 'binary',
    keyEncoding: 'uint32',
  });
}

async function openSink(directory: string): Promise<Sink> {
  const database = await open(directory);
  let key = 0;
  let uncommitted = 0;
  let last: Promise<boolean> = Promise.resolve(true);
  return {
    push(entry, count) {
      const taken = Math.min(count, UNCOMMITTED_MAX - uncommitted);
      for (let at = 0; at < taken; at++) last = database.put(key++, entry);
      uncommitted += taken;
      return taken;
    },
    async room() {
      await last;
      uncommitted = 0;
    },
    async sync() {
      await last;
      await database.flushed;
    },
    close: () => database.close(),
  };
}

async function openCommitter(directory: string, level: CommitLevel): Promise<Committer> {
  const database = await open(directory);
  let key = 0;
  const put = (entry: Buffer) => database.put(key++, entry);
  const putAndFlush = async (entry: Buffer) => {
    await database.put(key++, entry);
    await database.flushed;
  };
  return { commit: level === 'durable' ? putAndFlush : put, close: () => database.close() };
}

async function openArchive(directory: string): Promise<Archive> {
  const database = await open(directory);
  return {
    async fill(entry, count) {
      for (let key = 0; key < count; key++) {
        const stored = database.put(key, entry);
        if (key % UNCOMMITTED_MAX === 0) await stored;
      }
      await database.flushed;
    },
    async readEntries() {
      let bytes = 0;
      for (const { value } of database.getRange()) bytes += value.length;
      return bytes;
    },
    async readOne(index) {
      return database.get(index)?.length ?? 0;
    },
    close: () => database.close(),
  };
}
