import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Wal, type WalOptions } from '../../index.js';
import type { CompressionRate } from './compression.js';
import { Latencies, type LatencySummary } from './latencies.js';

/** The duration of one measurement, and the signal that stops it. */
export interface Budget {
  readonly ms: number;
  readonly signal: AbortSignal;
}

const PAGE = Buffer.alloc(4096, 'ringwal ');
const BLOCK = Buffer.alloc(2 ** 20, 'ringwal ');
/** Bytes that are overwritten, and bytes that the fastest measurement may use on the disk. */
const ALLOCATED_BYTES = 16 * 2 ** 20;
const SEQUENTIAL_BYTES_MAX = 256 * 2 ** 20;
/** System calls block this thread, so it checks at this interval whether it must stop. */
const TURN_MS = 20;
const ENTRY = Buffer.alloc(100, 'x');
const LARGE_ENTRY = Buffer.alloc(4096, 'x');
/** Number of concurrent appends in the measurement of groups. */
export const GROUP_APPENDERS = 64;

/** Writes a page after the end of a file and calls fdatasync, as a log without preallocation does. */
export function measureGrowing(directory: string, budget: Budget): Promise<LatencySummary> {
  return withFile(join(directory, 'growing'), (fd) => {
    let position = 0;
    return timeEach(budget, () => {
      writeSync(fd, PAGE, 0, PAGE.length, position);
      fdatasyncSync(fd);
      position += PAGE.length;
    });
  });
}

/** The same over blocks that are allocated and synced: the file system records no new size and no new block. */
export function measureAllocated(directory: string, budget: Budget): Promise<LatencySummary> {
  return withFile(join(directory, 'allocated'), (fd) => {
    for (let at = 0; at < ALLOCATED_BYTES; at += BLOCK.length) writeSync(fd, BLOCK, 0, BLOCK.length, at);
    fsyncSync(fd);
    let position = 0;
    return timeEach(budget, () => {
      writeSync(fd, PAGE, 0, PAGE.length, position);
      fdatasyncSync(fd);
      position = (position + PAGE.length) % ALLOCATED_BYTES;
    });
  });
}

/** fdatasync of a file without changes: the cost of the call alone. */
export function measureIdleSync(directory: string, budget: Budget): Promise<LatencySummary> {
  return withFile(join(directory, 'idle'), (fd) => {
    writeSync(fd, PAGE);
    fsyncSync(fd);
    return timeEach(budget, () => fdatasyncSync(fd));
  });
}

export interface Rate {
  readonly entries: number;
  readonly bytes: number;
  readonly ms: number;
}

/** Writes consecutive blocks of 1 MiB, and syncs at the end. */
export function measureSequential(directory: string, { ms, signal }: Budget): Promise<Rate> {
  return withFile(join(directory, 'sequential'), async (fd) => {
    const start = performance.now();
    let bytes = 0;
    for (let turned = start; performance.now() - start < ms; ) {
      writeSync(fd, BLOCK, 0, BLOCK.length, bytes % SEQUENTIAL_BYTES_MAX);
      bytes += BLOCK.length;
      // Otherwise the result would be the speed of the page cache.
      if (bytes % (32 * BLOCK.length) === 0) fdatasyncSync(fd);
      if (performance.now() - turned < TURN_MS) continue;
      await turn();
      signal.throwIfAborted();
      turned = performance.now();
    }
    fdatasyncSync(fd);
    return { entries: bytes / BLOCK.length, bytes, ms: performance.now() - start };
  });
}

/** Durable appends, one after the other. */
export function measureDurable(
  directory: string,
  preallocate: 'ahead' | false,
  { ms, signal }: Budget,
): Promise<LatencySummary> {
  return withLog(join(directory, `durable-${preallocate}`), { preallocate }, async (wal) => {
    // The preallocated range grows with the number of bytes written.
    for (let i = 0; i < 100; i++) await wal.append(ENTRY, { durable: true });
    const latencies = new Latencies();
    const start = performance.now();
    for (let now = start; now - start < ms; ) {
      await wal.append(ENTRY, { durable: true });
      const after = performance.now();
      latencies.add(after - now);
      now = after;
      signal.throwIfAborted();
    }
    return latencies.summary();
  });
}

/** Many concurrent producers. Each waits for its durable append before the next one. */
export function measureGroups(
  directory: string,
  { ms, signal }: Budget,
): Promise<Rate & { readonly entriesPerSync: number; readonly latency: LatencySummary }> {
  return withLog(join(directory, 'groups'), {}, async (wal) => {
    const latencies = new Latencies();
    const start = performance.now();
    const appender = async () => {
      for (let now = performance.now(); now - start < ms && !signal.aborted; ) {
        await wal.append(ENTRY, { durable: true });
        const after = performance.now();
        latencies.add(after - now);
        now = after;
      }
    };
    await Promise.all(Array.from({ length: GROUP_APPENDERS }, appender));
    signal.throwIfAborted();
    const entries = latencies.count;
    const { syncs } = wal.stats();
    return {
      entries,
      bytes: entries * ENTRY.length,
      ms: performance.now() - start,
      entriesPerSync: syncs === 0 ? 0 : entries / syncs,
      latency: latencies.summary(),
    };
  });
}

/** Fire and forget, as fast as the log takes entries, until all are durable. */
export function measureThroughput(
  directory: string,
  size: 'small' | 'large',
  { ms, signal }: Budget,
): Promise<Rate> {
  const entry = size === 'small' ? ENTRY : LARGE_ENTRY;
  return withLog(join(directory, `throughput-${size}`), {}, async (wal) => {
    const start = performance.now();
    let entries = 0;
    while (performance.now() - start < ms) {
      while (wal.tryAppend(entry)) entries += 1;
      await wal.ready(entry.length);
      signal.throwIfAborted();
    }
    await wal.sync();
    return { entries, bytes: entries * entry.length, ms: performance.now() - start };
  });
}

/** The same with entries to compress, as often as the time allows. */
export async function measureCompression(
  directory: string,
  compression: 'lz4' | 'zstd' | undefined,
  entries: readonly Uint8Array[],
  { ms, signal }: Budget,
): Promise<CompressionRate> {
  const name = `compression-${compression ?? 'none'}`;
  return withLog(join(directory, name), { compression }, async (wal) => {
    const longest = entries.reduce((most, { length }) => Math.max(most, length), 1);
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < ms) {
      while (wal.tryAppend(entries[count % entries.length] as Uint8Array)) count += 1;
      await wal.ready(longest);
      signal.throwIfAborted();
    }
    await wal.sync();
    const took = performance.now() - start;
    const { entries: written, payloadBytes, frameBytes } = wal.stats();
    return { entries: written, bytes: payloadBytes, frameBytes, ms: took };
  });
}

async function timeEach({ ms, signal }: Budget, act: () => void): Promise<LatencySummary> {
  const latencies = new Latencies();
  const start = performance.now();
  for (let turned = start, now = start; now - start < ms; ) {
    act();
    const after = performance.now();
    latencies.add(after - now);
    now = after;
    if (now - turned < TURN_MS) continue;
    await turn();
    signal.throwIfAborted();
    turned = now = performance.now();
  }
  return latencies.summary();
}

async function withFile<T>(path: string, use: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, 'w');
  try {
    return await use(fd);
  } finally {
    closeSync(fd);
  }
}

async function withLog<T>(
  directory: string,
  options: Pick<WalOptions, 'preallocate' | 'compression'>,
  use: (wal: Wal) => Promise<T>,
): Promise<T> {
  const wal = await Wal.open(directory, {
    ...options,
    maxFiles: 4,
    maxFileSize: 32 * 2 ** 20,
    readOnly: false,
  });
  try {
    return await use(wal);
  } finally {
    await wal.close();
  }
}
