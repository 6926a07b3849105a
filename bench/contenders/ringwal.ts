import { join } from 'node:path';
import { laneBytes, stagingBytesFor } from '../../src/ring/layout.js';
import type { Archive, CommitLevel, Committer, Contender, Sink } from './contender.js';

/** The log itself, with its default options. */
export const ringwal: Contender = {
  name: 'ringwal',
  kind: 'ringwal',
  note: 'frame, CRC-32, recovery; default options',
  openSink,
  openCommitter,
  openArchive,
};

async function open(directory: string) {
  const { Wal } = await import('#ringwal');
  return Wal.open(join(directory, 'log'));
}

async function openSink(directory: string): Promise<Sink> {
  const wal = await open(directory);
  const { ringBytes } = wal.stats();
  return {
    firstLapBytes: ringBytes,
    laneBytes: laneBytes(ringBytes, stagingBytesFor(ringBytes)),
    push(entry, count) {
      for (let taken = 0; taken < count; taken++) if (!wal.tryAppend(entry)) return taken;
      return count;
    },
    room: (bytes) => wal.ready(bytes),
    async sync() {
      await wal.sync();
    },
    close: () => wal.close(),
  };
}

async function openCommitter(directory: string, level: CommitLevel): Promise<Committer> {
  const wal = await open(directory);
  const { ringBytes } = wal.stats();
  const options = { durable: level === 'durable' };
  return {
    laneBytes: laneBytes(ringBytes, stagingBytesFor(ringBytes)),
    commit: (entry) => wal.append(entry, options),
    syncs: () => wal.stats().syncs,
    close: () => wal.close(),
  };
}

async function openArchive(directory: string): Promise<Archive> {
  const wal = await open(directory);
  return {
    async fill(entry, count) {
      for (let stored = 0; stored < count; ) {
        if (wal.tryAppend(entry)) stored++;
        else await wal.ready(entry.length);
      }
      await wal.sync();
    },
    async readBatches() {
      let bytes = 0;
      for await (const batch of wal.batches()) for (const { data } of batch) bytes += data.length;
      return bytes;
    },
    async readEntries() {
      let bytes = 0;
      for await (const { data } of wal.entries()) bytes += data.length;
      return bytes;
    },
    async readOne(index) {
      const entry = await wal.get(wal.firstLsn + index);
      return entry?.data.length ?? 0;
    },
    close: () => wal.close(),
  };
}
