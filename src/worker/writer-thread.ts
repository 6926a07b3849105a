import { availableParallelism } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import type { DiskLock } from '../files/disk.js';
import { createNodeDisk } from '../files/node-disk.js';
import type { ToLane } from '../protocol/lane-messages.js';
import type { WriterThreadData } from '../protocol/thread-data.js';
import { BellState, DoorbellSleeper } from '../ring/doorbell.js';
import { failureOf } from './errors/failure.js';
import { finishClosing } from './intake/closed-ports.js';
import type { LanePool } from './intake/lane-pool.js';
import { createWriter, lockLog, openedMessage } from './open-writer.js';
import { recoverLog } from './recover/recovery.js';
import { ThreadSyncer } from './sync/thread-syncer.js';
import type { Writer } from './writer.js';

/**
 * The writer thread: opens the log, then works and sleeps until it is closed. It has no event loop to speak of (only to
 * let go of closed ports it is given a turn); what others want of it they say through shared memory and ports that it looks
 * at, and ring.
 */
export async function runWriterThread(data: WriterThreadData<MessagePort>): Promise<void> {
  const { options, lanePort } = data;
  const say = (message: ToLane) => lanePort.postMessage(message);
  const disk = createNodeDisk();
  const syncer = new ThreadSyncer(data.syncPort, data.syncWords);
  let lock: DiskLock | undefined;
  try {
    lock = lockLog(disk, options);
    disk.holdDirectory(options.directory);
    const recovered = recoverLog(disk, options);
    syncer.begin(recovered.start.place.identity);
    const { writer, pool } = createWriter({
      disk,
      lock,
      nowMs: () => performance.now(),
      data,
      syncer,
      recovered,
    });
    say(openedMessage(recovered, options.directory));
    await workUntilClosed(writer, new DoorbellSleeper(data.bell), pool);
    lock.release();
    writer.wakeFlushes();
  } catch (error) {
    // Said first: whoever learns that the other thread has ended finds the reason.
    say({ kind: 'refused', failure: failureOf(error, `open "${options.directory}"`, options.directory) });
    lock?.release();
    syncer.stop();
  }
}

/**
 * How long the writer looks for the next append before it lingers, once it has told somebody that a lone one is durable.
 * Bet: who makes one durable append after the other makes the next one within this time, and neither side then pays for
 * a thread to be woken, which takes about as long (bench/workloads/durable-latency.ts). Bounded by one such time for
 * each sync, and not where there is but one processor, which the caller needs.
 */
const SPIN_MS = availableParallelism() > 1 ? 0.05 : 0;

async function workUntilClosed(writer: Writer, sleeper: DoorbellSleeper, pool: LanePool): Promise<void> {
  for (;;) {
    const next = writer.step();
    if (next.kind === 'closed') return;
    if (pool.takeClosedPorts()) await finishClosing();
    if (next.kind === 'again') continue;
    if (next.afterLoneCommit && comesSoon(writer)) continue;
    const announced = sleeper.announce(next.lingering ? BellState.lingering : BellState.parked);
    // The last look comes after the announcement: whoever published before it is seen, whoever does after it rings.
    if (!writer.hasWork()) sleeper.wait(announced, next.forMs);
    sleeper.awake();
  }
}

function comesSoon(writer: Writer): boolean {
  const untilMs = performance.now() + SPIN_MS;
  while (performance.now() < untilMs) if (writer.hasWork()) return true;
  return false;
}
