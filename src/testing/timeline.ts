import type { SimulatedDisk } from '../files/simulation/simulated-disk.js';

/** A planned event. */
export interface TimelineEvent {
  readonly atMs: number;
  isCancelled: boolean;
}

interface Planned extends TimelineEvent {
  readonly run: () => void;
}

/**
 * The events of a simulated machine, in the order of its clock, which is the disk's. The clock stands still while code runs and
 * jumps to the next event when there is nothing else to do: no event takes real time.
 *
 * One event happens in each turn of Node's event loop, so that all code that waits for it (promises, `nextTick`) has run before
 * the next one. The order is the same each time as long as the code waits for nothing but this machine.
 */
export class Timeline {
  readonly #disk: SimulatedDisk;
  /** Called after each event, and in the turn that [interrupt] asked for. */
  readonly #afterTurn: () => void;
  /** The next event is last. Of two at the same time the one planned first comes first. */
  #events: Planned[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(disk: SimulatedDisk, afterTurn: () => void) {
    this.#disk = disk;
    this.#afterTurn = afterTurn;
  }

  /** Milliseconds since the machine was made. */
  get nowMs(): number {
    return this.#disk.elapsedMs;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  /** Plans a call of `run` after `delayMs`. */
  plan(delayMs: number, run: () => void): TimelineEvent {
    const event = { atMs: this.nowMs + delayMs, isCancelled: false, run };
    let at = this.#events.length;
    while (at > 0 && (this.#events[at - 1] as Planned).atMs <= event.atMs) at -= 1;
    this.#events.splice(at, 0, event);
    this.#schedule();
    return event;
  }

  /** Asks for a turn even if no event is left. */
  interrupt(): void {
    this.#schedule();
  }

  /** Drops all planned events. */
  clear(): void {
    this.#events = [];
  }

  /** Runs the next event now; false = there is none. */
  advance(): boolean {
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      if (event.isCancelled) continue;
      if (event.atMs > this.nowMs) this.#disk.advance(event.atMs - this.nowMs);
      event.run();
      return true;
    }
    return false;
  }

  #schedule(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      if (!this.#disk.hasStopped) this.advance();
      this.#afterTurn();
      if (!this.isEmpty) this.#schedule();
    });
  }
}
