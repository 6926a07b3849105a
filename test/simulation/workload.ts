import { Level } from '../worker/support/lane-client.js';
import type { Simulation } from './simulation.js';

/** So small that a handful of entries fills a segment. */
export const SMALL_SEGMENTS = { maxFileSize: 400, maxFiles: 3 };

/** One session with every kind of append, rotation, retention, an idle time, close and reopen. */
export function liveALittle(simulation: Simulation): void {
  simulation.open();
  simulation.append(payload(1, 40), Level.durable);
  simulation.run();
  simulation.append(payload(2, 30), Level.written);
  simulation.step();
  simulation.append(payload(3, 60), Level.durable);
  simulation.append(payload(4, 90), Level.interval);
  simulation.run();
  simulation.append(payload(5, 10), Level.durable);
  simulation.run();
  simulation.finishSync();
  simulation.finishSync();
  simulation.appendBatch([payload(6, 120), payload(7, 150), payload(8, 200)], Level.durable);
  simulation.run();
  simulation.append(payload(9, 20));
  simulation.sync();
  simulation.run();
  simulation.finishSync();
  simulation.finishSync();
  simulation.sleep(500);
  simulation.finishSync();
  simulation.append(payload(10, 1500), Level.durable);
  simulation.append(payload(11, 5), Level.written);
  simulation.run();
  simulation.close();
  simulation.open();
  simulation.append(payload(12, 300), Level.written);
  simulation.run();
  simulation.sleep(300);
  simulation.finishSync();
  simulation.append(payload(13, 45), Level.written);
  simulation.run();
}

/** So long that a recycled file keeps more old content than is zeroed. */
export const LONG_SEGMENTS = { maxFileSize: 6000, maxFiles: 1 };

/** Recycles one file after the other, with frames of the same lengths, so that old frames line up with new ones. */
export function useSegmentsAgain(simulation: Simulation): void {
  simulation.open();
  for (let id = 1; id <= 18; id++) {
    simulation.append(payload(id, 1450), id % 2 === 0 ? Level.durable : Level.written);
    simulation.run();
    simulation.finishSync();
    simulation.finishSync();
  }
  simulation.append(payload(19, 1450), Level.written);
  simulation.run();
}

/** What the next user does: opens the log, appends, and makes one entry durable among others that are not. */
export function goOn(simulation: Simulation): void {
  simulation.open();
  simulation.append(payload(20, 35), Level.written);
  simulation.run();
  simulation.append(payload(21, 50), Level.durable);
  simulation.run();
  simulation.append(payload(22, 350), Level.written);
  simulation.append(payload(23, 60), Level.written);
  simulation.run();
}

/** `length` bytes that differ for each id. */
export function payload(id: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at < 4 ? id >>> (8 * at) : id * 31 + at * 7) & 0xff);
}
