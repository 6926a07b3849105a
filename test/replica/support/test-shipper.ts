import type { TestContext } from 'node:test';
import type { LogSource } from '../../../src/replica/log-source.js';
import type { Replica } from '../../../src/replica/replica.js';
import {
  NO_PROGRESS,
  type ReplicaProgress,
  Shipper,
  type ShipperState,
} from '../../../src/replica/shipper.js';
import { cleanUp } from '../../cleanup.js';

export const LOG_ID = '00000000000000a1';

/** A shipper with what it announced. Its delays take turns of the event loop, and no time. */
export class TestShipper {
  readonly shipper: Shipper;
  readonly announced: ReplicaProgress[] = [];
  readonly troubles: { error: Error & { code?: string }; isFinal: boolean }[] = [];
  state: ShipperState = 'connecting';
  progress: ReplicaProgress;
  readonly ended: Promise<void>;

  constructor(
    t: Pick<TestContext, 'after'>,
    replica: Replica,
    source: LogSource,
    {
      known = NO_PROGRESS,
      writer = 'writer',
      expectEpoch,
      onProgress = () => {},
    }: {
      known?: ReplicaProgress;
      writer?: string;
      expectEpoch?: number;
      onProgress?: (progress: ReplicaProgress) => void;
    } = {},
  ) {
    this.progress = known;
    this.shipper = new Shipper({
      replica,
      source,
      logId: LOG_ID,
      writer,
      known,
      expectEpoch,
      delay: turns,
      onProgress: (progress) => {
        this.progress = progress;
        this.announced.push(progress);
        onProgress(progress);
      },
      onState: (state) => {
        this.state = state;
      },
      onTrouble: (error, isFinal) => this.troubles.push({ error: error as Error, isFinal }),
    });
    this.ended = this.shipper.run();
    cleanUp(t, () => this.end());
  }

  async end(): Promise<void> {
    this.shipper.stop();
    await this.ended;
  }

  /** Waits until entry `lsn` is replicated, or replication has stopped. */
  async reaches(lsn: number): Promise<void> {
    await until(() => this.progress.lsn >= lsn || this.state === 'stopped');
  }
}

/** Some turns of the event loop, more for a longer delay. */
export async function turns(ms: number, signal?: AbortSignal): Promise<void> {
  const count = Math.ceil(Math.log2(2 + ms));
  for (let each = 0; each < count && signal?.aborted !== true; each++) await turn();
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const TURNS_MAX = 200_000;

/** Turns the event loop until `isTrue`; fails if that never comes. */
export async function until(isTrue: () => boolean): Promise<void> {
  for (let each = 0; !isTrue(); each++) {
    if (each === TURNS_MAX) throw new Error('it did not come true');
    await turn();
  }
}
