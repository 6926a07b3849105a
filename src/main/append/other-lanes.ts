import type { MessagePort } from 'node:worker_threads';
import { tooManyLanes } from './lane-errors.js';
import type { LaneLife } from './lane-life.js';
import type { LaneParts } from './lane-parts.js';
import type { OverflowQueue } from './overflow-queue.js';

/** Lanes for other threads, which the writer makes when a lane asks for one. */
export class OtherLanes {
  readonly #parts: LaneParts;
  readonly #life: LaneLife;
  readonly #overflow: OverflowQueue;

  constructor(parts: LaneParts, life: LaneLife, overflow: OverflowQueue) {
    this.#parts = parts;
    this.#life = life;
    this.#overflow = overflow;
  }

  /** @throws ERR_WAL_FULL if `maxLanes` lanes are in use or have been requested */
  checkRoom(): void {
    this.#life.assertTaking();
    const { directory, options, status } = this.#parts;
    // The writer counts a request as taken before it counts the lane: read in this order, no lane counts twice. A lane may be
    // missed, and requests of other threads are not counted here: the writer decides.
    const lanes = status.get('lanes') + this.#overflow.lanes;
    if (lanes >= options.maxLanes) throw tooManyLanes(directory, options.maxLanes);
  }

  /** Asks the writer for a lane. It sends the answer to the thread that has the other ends of the ports. */
  request(writerPort: MessagePort, syncPort: MessagePort, lifePort: MessagePort): void {
    this.#overflow.post(
      { kind: 'attach', writerPort, syncPort, lifePort },
      { transfer: [writerPort, syncPort, lifePort] },
    );
    this.#parts.doorbell.ring(true);
  }

  /** Tells the writer that the thread of a lane has ended: the writer itself receives no event of that. */
  reportGone(lane: number): void {
    if (this.#life.isOver) return;
    this.#overflow.post({ kind: 'gone', lane });
    this.#parts.doorbell.ring(true);
  }
}
