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
 * The writer thread: opens the log, then works and sleeps until the log is closed. It runs no event loop, except for one turn to
 * free closed ports. Other threads reach it through shared memory and ports, which it polls, and wake it through the doorbell.
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
    // Posted before the sync thread ends: a thread that learns of that end finds the reason in its port.
    say({ kind: 'refused', failure: failureOf(error, `open "${options.directory}"`, options.directory) });
    lock?.release();
    syncer.stop();
  }
}

/**
 * How long the writer spins for the next append before it lingers, after it has acknowledged a lone durable append. Bet: a caller
 * that makes one durable append after the other makes the next one within this time, and neither thread then has to be woken,
 * which takes about as long (bench/workloads/durable-latency.ts). It spins at most once for each sync, and not at all on a single
 * processor, which the caller needs.
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
    // Looks once more after the announcement: it sees entries published before; a later producer rings.
    if (!writer.hasWork()) sleeper.wait(announced, next.forMs);
    sleeper.awake();
  }
}

function comesSoon(writer: Writer): boolean {
  const untilMs = performance.now() + SPIN_MS;
  while (performance.now() < untilMs) if (writer.hasWork()) return true;
  return false;
}
