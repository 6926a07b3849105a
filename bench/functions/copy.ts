import { copyIn } from '../../src/ring/copy-in.js';
import { createLaneMemory, RECORD_HEADER_BYTES, RING_START, viewLane } from '../../src/ring/layout.js';
import { entryOf } from '../measure/feed.js';
import type { Task, Workload } from '../workloads/workload.js';
import { timeFunction } from './time-function.js';

const CALLS = 100;
const RING_BYTES = 2 ** 20;
/** Position of the record; its payload begins at a multiple of 8. */
const AT = RING_START + RECORD_HEADER_BYTES;

/** Measures copying an entry's bytes into the ring, depending on their alignment. */
export const copy: Workload = {
  name: 'copy',
  title: "An entry's bytes into the ring",
  note:
    'tinybench, the fastest sample. Aligned: from a multiple of 8, as most of what is allocated by itself; unaligned: from one byte behind, as ' +
    'pieces of something larger. Set alone: `set` into shared memory, which goes by bytes where the two do not lie alike.',
  metrics: ['entryNs'],
  contenders: ['copy in, aligned', 'copy in, unaligned', 'set alone, unaligned'],
  sizes: (scale) => (scale === 'quick' ? [1024] : [16, 100, 256, 1024, 4096, 65_536]),
  run: ({ contender, entryBytes, scale }: Task) => {
    const { u8 } = viewLane(createLaneMemory(RING_BYTES, RING_BYTES));
    const offset = contender === 'copy in, aligned' ? 0 : 1;
    const entry = Buffer.alloc(entryBytes + offset).subarray(offset);
    entry.set(entryOf(entryBytes));
    const once = contender.startsWith('copy in')
      ? () => copyIn(entry, entryBytes, u8, AT)
      : () => u8.set(entry, AT);
    return timeFunction(
      () => {
        for (let call = 0; call < CALLS; call++) once();
      },
      CALLS,
      scale,
    );
  },
};
