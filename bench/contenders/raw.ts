/** The floors: the speed of the disk without any log. All but one run on the calling thread. */
import { once } from 'node:events';
import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { RewriterData } from '../rewriter.js';
import type { Archive, Committer, Contender, Sink } from './contender.js';

const MIB = 2 ** 20;

/** Size of the file that the rewriting loop overwrites again and again. */
const ALLOCATED_BYTES = 8 * MIB;

export const rawBlocks: Contender = {
  name: 'raw 1 MiB blocks',
  kind: 'floor',
  note: "the bytes of ringwal's frames by a loop of 1 MiB writes, one fsync",
  openSink: openBlocks,
};

export const rawRewrite: Contender = {
  name: 'raw loop, rewriting',
  kind: 'floor',
  note: '`write` + `fdatasync` over blocks that are allocated and written already, blocking',
  openCommitter: (directory) => openLoop(directory, true),
};

export const rawOtherThread: Contender = {
  name: 'raw loop, other thread',
  kind: 'floor',
  note: 'the rewriting loop on a worker thread that looks for the next call, each answered by a message: what it costs not to block',
  openCommitter: openOtherThread,
};

export const rawAppend: Contender = {
  name: 'raw loop, appending',
  kind: 'floor',
  note: '`write` + `fdatasync` at the end of a growing file, blocking',
  openCommitter: (directory) => openLoop(directory, false),
};

export const rawRead: Contender = {
  name: 'raw read',
  kind: 'floor',
  note: "the bytes of ringwal's frames read in 1 MiB blocks, not looked at",
  openArchive: openFile,
};

/** Bytes of a plain frame around `entryBytes` of data, for an LSN of three bytes (16,384 to 2,097,151). */
function frameBytes(entryBytes: number): number {
  const lengthBytes = entryBytes < 2 ** 7 ? 1 : entryBytes < 2 ** 14 ? 2 : 3;
  const sizeWord = 4;
  const lsn = 1 + 3;
  const checksum = 1 + 5;
  return sizeWord + lsn + 1 + lengthBytes + entryBytes + checksum;
}

async function openBlocks(directory: string): Promise<Sink> {
  const fd = openSync(join(directory, 'raw'), 'w');
  const block = Buffer.alloc(MIB, 65);
  let unwrittenBytes = 0;
  return {
    push(entry, count) {
      unwrittenBytes += count * frameBytes(entry.length);
      for (; unwrittenBytes >= MIB; unwrittenBytes -= MIB) writeFully(fd, block, MIB);
      return count;
    },
    async room() {},
    async sync() {
      writeFully(fd, block, unwrittenBytes);
      unwrittenBytes = 0;
      fsyncSync(fd);
    },
    async close() {
      closeSync(fd);
    },
  };
}

async function openLoop(directory: string, rewrites: boolean): Promise<Committer> {
  const fd = openSync(join(directory, 'raw'), 'w');
  let position = 0;
  if (rewrites) {
    writeFully(fd, Buffer.alloc(ALLOCATED_BYTES), ALLOCATED_BYTES);
    fsyncSync(fd);
  }
  return {
    blocks: true,
    async commit(entry) {
      if (rewrites && position + entry.length > ALLOCATED_BYTES) position = 0;
      position += writeSync(fd, entry, 0, entry.length, position);
      fdatasyncSync(fd);
    },
    async close() {
      closeSync(fd);
    },
  };
}

async function openOtherThread(directory: string): Promise<Committer> {
  const calls = new Int32Array(new SharedArrayBuffer(8));
  const workerData: RewriterData = { directory, calls };
  const worker = new Worker(new URL('./rewriter.mjs', import.meta.url), { workerData });
  let resolve = () => {};
  worker.on('message', () => resolve());
  return {
    commit: (entry) =>
      new Promise<void>((resolved) => {
        resolve = resolved;
        calls[1] = entry.length;
        // After the size is stored: the thread reads the size once it sees this count.
        Atomics.add(calls, 0, 1);
        Atomics.notify(calls, 0);
      }),
    async close() {
      const exited = once(worker, 'exit');
      Atomics.store(calls, 0, -1);
      Atomics.notify(calls, 0);
      await exited;
    },
  };
}

async function openFile(directory: string): Promise<Archive> {
  const fd = openSync(join(directory, 'raw'), 'w+');
  const block = Buffer.alloc(MIB, 65);
  return {
    async fill(entry, count) {
      for (let left = count * frameBytes(entry.length); left > 0; left -= MIB) {
        writeFully(fd, block, Math.min(left, MIB));
      }
    },
    async readBatches() {
      let bytes = 0;
      for (let read = -1; read !== 0; bytes += read) read = readSync(fd, block, 0, MIB, bytes);
      return bytes;
    },
    async close() {
      closeSync(fd);
    },
  };
}

function writeFully(fd: number, bytes: Buffer, length: number): void {
  for (let written = 0; written < length; ) written += writeSync(fd, bytes, written, length - written);
}
