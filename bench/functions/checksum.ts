import { crc32 as zlibCrc32 } from 'node:zlib';
import { crc32 } from '../../src/format/crc32.js';
import { entryOf } from '../measure/feed.js';
import type { Task, Workload } from '../workloads/workload.js';
import { timeFunction } from './time-function.js';

const CALLS = 100;

const WAYS: Readonly<Record<string, (bytes: Uint8Array) => number>> = {
  'crc-32': (bytes) => crc32(bytes),
  'zlib.crc32': (bytes) => zlibCrc32(bytes),
};

/** Measures from which size on a call out of JavaScript pays. */
export const checksum: Workload = {
  name: 'checksum',
  title: 'CRC-32 of an entry',
  note: 'tinybench, the fastest sample. Large entries, which travel beside the ring, take `zlib.crc32`.',
  metrics: ['entryNs'],
  contenders: Object.keys(WAYS),
  sizes: (scale) => (scale === 'quick' ? [100, 4096] : [16, 100, 1024, 4096, 65_536]),
  run: ({ contender, entryBytes, scale }: Task) => {
    const way = WAYS[contender]!;
    const entry = entryOf(entryBytes);
    return timeFunction(
      () => {
        for (let call = 0; call < CALLS; call++) way(entry);
      },
      CALLS,
      scale,
    );
  },
};
