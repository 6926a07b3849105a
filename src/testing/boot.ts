import { type Random, SimulatedCrash, type SimulatedDisk } from '../files/simulation/simulated-disk.js';
import type { Timeline } from './timeline.js';

/** The state that the code of one boot shares: from the start of a simulated machine, or its last crash, to the next crash. */
export class Boot {
  readonly disk: SimulatedDisk;
  readonly timeline: Timeline;
  /** Decides how long things take, and hence in which order they happen. */
  readonly #random: Random;
  /** The code of this boot is gone: its pending promises stay pending. */
  isOver = false;

  constructor(disk: SimulatedDisk, timeline: Timeline, random: Random) {
    this.disk = disk;
    this.timeline = timeline;
    this.#random = random;
  }

  /** Milliseconds, mostly few: for a system call that finds its data in memory, or to wake a thread. */
  shortMs(): number {
    return this.#random.chance(0.9) ? this.#random.below(100) / 1000 : this.#random.below(3000) / 1000;
  }

  /** Milliseconds that a sync takes: on a quick disk mostly less than one, and now and then far more. */
  syncMs(): number {
    return this.#random.chance(0.8) ? this.#random.below(900) / 1000 : this.#random.below(20_000) / 1000;
  }

  /** Called before a synchronous call. @throws SimulatedCrash */
  assertRunning(): void {
    if (this.isOver)
      throw new SimulatedCrash(
        'the simulated machine has stopped: this call comes from before its last boot',
      );
  }

  /** Plans `run`, which is not called once the boot is over. */
  plan(delayMs: number, run: () => void): ReturnType<Timeline['plan']> {
    return this.timeline.plan(delayMs, () => {
      if (!this.isOver) run();
    });
  }

  /**
   * The outcome of a call that takes time. If the machine stops before the call returns, or has stopped already, the promise
   * stays pending, since the code that waits for it is gone.
   */
  later<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.isOver) return;
      this.plan(this.shortMs(), () => {
        try {
          const value = run();
          if (!this.disk.hasStopped) resolve(value);
        } catch (error) {
          if (!this.disk.hasStopped) reject(error);
        }
      });
    });
  }
}
