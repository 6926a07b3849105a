import { createLaneMemory, RING_START, viewLane } from '../../src/ring/layout.js';
import { entryOf } from '../measure/feed.js';
import type { Task, Workload } from '../workloads/workload.js';
import { timeFunction } from './time-function.js';

const CALLS = 100;
const RING_BYTES = 2 ** 20;

/** Text to UTF-8 in shared memory, as `append` does for strings. */
export const encode: Workload = {
  name: 'encode',
  title: 'Text of an entry to UTF-8 in the ring',
  note: 'tinybench, the fastest sample. ringwal uses `Buffer.write`.',
  metrics: ['entryNs'],
  contenders: ['Buffer.write', 'TextEncoder.encodeInto', 'Buffer.from + set'],
  sizes: (scale) => (scale === 'quick' ? [100] : [16, 100, 1024, 4096]),
  run: ({ contender, entryBytes, scale }: Task) => {
    const text = entryOf(entryBytes).toString('latin1');
    const write = writerNamed(contender, text);
    return timeFunction(
      () => {
        for (let call = 0; call < CALLS; call++) write();
      },
      CALLS,
      scale,
    );
  },
};

function writerNamed(name: string, text: string): () => void {
  const { u8 } = viewLane(createLaneMemory(RING_BYTES, RING_BYTES));
  const ring = Buffer.from(u8.buffer);
  const encoder = new TextEncoder();
  const record = u8.subarray(RING_START, RING_START + text.length);
  const ways: Readonly<Record<string, () => void>> = {
    'Buffer.write': () => ring.write(text, RING_START, text.length, 'utf8'),
    'TextEncoder.encodeInto': () => encoder.encodeInto(text, record),
    'Buffer.from + set': () => u8.set(Buffer.from(text), RING_START),
  };
  return ways[name]!;
}
