import { join } from 'node:path';
import type { Wal as Log, WalOptions } from '#ringwal';
import { laneBytes, stagingBytesFor } from '../../src/ring/layout.js';
import type { Archive, CommitLevel, Committer, Contender, Sink } from './contender.js';

/** The log itself, with its default options. */
export const ringwal = contenderWith('ringwal', 'frame, CRC-32, recovery; default options', {});
/** With the other settings of `preallocate`, for the workloads that show their gain and cost. */
export const ringwalGrowing = contenderWith('ringwal, growing', '`preallocate: false`', {
  preallocate: false,
});
export const ringwalZero = contenderWith('ringwal, zero', "`preallocate: 'zero'`", { preallocate: 'zero' });
export const ringwalBusyPoll = contenderWith('ringwal, busyPoll', '`busyPoll: true`', { busyPoll: true });
export const ringwalLz4 = contenderWith('ringwal, lz4', "`compression: 'lz4'`", { compression: 'lz4' });
export const ringwalZstd = contenderWith('ringwal, zstd', "`compression: 'zstd'`", {
  compression: 'zstd',
});
export const ringwalRecycle = contenderWith('ringwal, recycle', "`preallocate: 'recycle'`, `maxFiles: 2`", {
  preallocate: 'recycle',
  maxFiles: 2,
});

const MIB = 2 ** 20;

/** Each tunable option by itself: docs/performance.md. */
export const ringwalTuned: readonly Contender[] = [
  contenderWith('ringwal, ring of 1 MiB', '`ringSize` of 1 MiB instead of 16', { ringSize: MIB }),
  contenderWith('ringwal, ring of 64 MiB', '`ringSize` of 64 MiB', { ringSize: 64 * MIB }),
  contenderWith('ringwal, segments of 8 MiB', '`maxFileSize` of 8 MiB instead of 64', {
    maxFileSize: 8 * MIB,
  }),
  contenderWith('ringwal, segments of 512 MiB', '`maxFileSize` of 512 MiB', { maxFileSize: 512 * MIB }),
  contenderWith('ringwal, commit delay', '`commitDelay: 0.1`, in milliseconds', { commitDelay: 0.1 }),
];

/** The log is closed after writing and opened again for reading. */
export const ringwalReopened: Contender = {
  name: 'ringwal, reopened',
  kind: 'ringwal',
  note: 'the log was closed and opened again before it is read: nothing of it was written by this one',
  async openArchive(directory) {
    const { Wal } = await import('#ringwal');
    const path = join(directory, 'log');
    let archive = archiveOf(await Wal.open(path));
    return {
      async fill(entry, count) {
        await archive.fill(entry, count);
        await archive.close();
        archive = archiveOf(await Wal.open(path));
      },
      readBatches: () => archive.readBatches?.() ?? Promise.resolve(0),
      readEntries: () => archive.readEntries?.() ?? Promise.resolve(0),
      readOne: (index) => archive.readOne?.(index) ?? Promise.resolve(0),
      close: () => archive.close(),
    };
  },
};

function contenderWith(name: string, note: string, options: WalOptions): Contender {
  const open = async (directory: string) => {
    const { Wal } = await import('#ringwal');
    return Wal.open(join(directory, 'log'), options);
  };
  return {
    name,
    kind: 'ringwal',
    note,
    openSink: async (directory) => sinkOf(await open(directory)),
    openCommitter: async (directory, level) => committerOf(await open(directory), level),
    openArchive: async (directory) => archiveOf(await open(directory)),
  };
}

function sinkOf(wal: Log): Sink {
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

function committerOf(wal: Log, level: CommitLevel): Committer {
  const { ringBytes } = wal.stats();
  const options = { durable: level === 'durable' };
  return {
    laneBytes: laneBytes(ringBytes, stagingBytesFor(ringBytes)),
    commit: (entry) => wal.append(entry, options),
    syncs: () => wal.stats().syncs,
    close: () => wal.close(),
  };
}

function archiveOf(wal: Log): Archive {
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
