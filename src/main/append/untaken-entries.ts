import { LaneConsumer } from '../../ring/consumer.js';
import type { LaneViews } from '../../ring/layout.js';
import { countEntries } from '../../ring/records.js';
import type { OverflowQueue } from './overflow-queue.js';

/** Entries that the writer, which has died, never took out of the ring or from the queue beside it. */
export function countUntaken(views: LaneViews, overflow: OverflowQueue): number {
  const consumer = new LaneConsumer(views);
  const run = { from: 0, to: 0 };
  let entries = overflow.entries;
  consumer.loadHead();
  while (consumer.nextRun(run)) {
    entries += countEntries(views.i32, run.from, run.to);
    consumer.release(run.to);
  }
  return entries;
}
