import type { Disk } from '../../files/disk.js';
import type { LogState } from '../../format/state-file.js';
import type { Failure } from '../../protocol/errors.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import type { WriterOptions } from '../../protocol/thread-data.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { writeState } from '../directory/state-store.js';
import type { Preallocation } from '../write/preallocation.js';
import type { SegmentCatalog, SegmentRecord } from '../write/segment-catalog.js';
import { ClockLead } from './clock-lead.js';
import { type Housekeeping, type Housework, keepHouse } from './keep-house.js';
import { expiredSegments, RetentionHolds, segmentsBelow } from './retention.js';

export interface HousekeeperParts {
  readonly disk: Disk;
  readonly nowMs: () => number;
  readonly options: WriterOptions;
  readonly status: LogStatus;
  readonly logId: bigint;
  readonly place: LogDirectory;
  readonly catalog: SegmentCatalog;
  readonly preallocation: Preallocation;
  readonly checkpoint: number;
  /** W as the state file has it. */
  readonly stateWatermark: number;
  readonly tell: (message: ToLane) => void;
}

/**
 * What follows from durability and is nobody's wait: the state file says how far the log is durable, and the segments that
 * retention gives up go. It is done by a job of the sync thread, in the order of sync-job.ts, or at once by a command.
 */
export class Housekeeper {
  readonly #parts: HousekeeperParts;
  readonly #holds = new RetentionHolds();
  readonly #clockLead: ClockLead;
  #checkpoint: number;
  #stateWatermark: number;
  /** When the state file is to be written because nothing new came for an interval. */
  #stateDueMs = Number.POSITIVE_INFINITY;
  /** A segment was sealed, or retention has something to give up: the next job writes the state file and applies retention. */
  #isWorkDue: boolean;
  /** Segments that retention gave up and that could not be removed: they go before any other does. */
  #unremoved: readonly number[] = [];

  constructor(parts: HousekeeperParts, watermark: number) {
    this.#parts = parts;
    this.#clockLead = new ClockLead(() => parts.disk.now(), parts.nowMs);
    this.#checkpoint = parts.checkpoint;
    this.#stateWatermark = parts.stateWatermark;
    this.noteCheckpoint(parts.checkpoint);
    this.#isWorkDue = this.#isExpired(watermark);
  }

  get checkpoint(): number {
    return this.#checkpoint;
  }

  /** Is the next job to do it, whatever else it does? */
  get isWorkDue(): boolean {
    return this.#isWorkDue;
  }

  /** When a job is to be made for it alone, once everything is durable; 0 = now, Infinity = not yet. */
  get dueMs(): number {
    return this.#isWorkDue ? 0 : this.#stateDueMs;
  }

  /** Does the state file say something else than `watermark`? */
  isStateStale(watermark: number): boolean {
    return this.#stateWatermark !== watermark;
  }

  noteBegun(segment: SegmentRecord): void {
    this.#clockLead.noteBegun(segment);
  }

  noteSealed(): void {
    this.#isWorkDue = true;
  }

  /** Something new came. */
  noteNews(): void {
    this.#stateDueMs = Number.POSITIVE_INFINITY;
  }

  /** Everything is durable: if nothing new comes for an interval, the state file shall say so. */
  expectIdle(watermark: number): void {
    if (this.isStateStale(watermark)) {
      this.#stateDueMs = this.#parts.nowMs() + this.#parts.options.syncInterval;
    }
  }

  /** It cannot be done now: the next time that there is a reason for it. */
  putOff(): void {
    this.#isWorkDue = false;
    this.noteNews();
  }

  /** A job that makes everything up to `watermark` durable is about to start: what it does besides. */
  takeWork(watermark: number): Pick<Housework, 'state' | 'removals' | 'recycling'> {
    this.#isWorkDue = false;
    this.noteNews();
    const expired = this.#giveUp((pinned) => this.#expired(watermark, pinned));
    return {
      state: this.state(watermark),
      removals: [...this.#unremoved, ...expired],
      recycling: this.#recyclingOf(expired),
    };
  }

  noteDone(job: Housework & { readonly watermark: number }, { stateWritten, unremoved }: Housekeeping): void {
    if (stateWritten) this.#stateWatermark = job.watermark;
    if (job.removals.length > 0) this.#unremoved = unremoved;
  }

  /** Recovery has come to its end late, and has written it. */
  noteStateWritten(watermark: number): void {
    this.#stateWatermark = watermark;
  }

  state(watermark: number): LogState {
    return { logId: this.#parts.logId, watermark, checkpoint: this.#checkpoint };
  }

  /** @throws the system's error; LogFailure ERR_WAL_SYNC_FAILED */
  writeState(state: LogState): void {
    const { disk, options } = this.#parts;
    writeState(disk, options.directory, state, options.fileMode);
    this.#stateWatermark = state.watermark;
  }

  /** Durable when it returns. @throws as [writeState]; nothing has changed then */
  setCheckpoint(lsn: number, watermark: number): void {
    this.writeState({ ...this.state(watermark), checkpoint: lsn });
    this.noteCheckpoint(lsn);
    this.#isWorkDue ||= this.#isExpired(watermark);
  }

  /** The state file says so already. */
  noteCheckpoint(lsn: number): void {
    this.#checkpoint = lsn;
    if (this.#parts.options.retainFromCheckpoint) this.#holds.set('checkpoint', lsn);
    this.#parts.status.set('checkpointLsn', lsn);
  }

  /** Removes the segments that hold only entries below `lsn`, as far as no reader holds them; answers what went wrong. */
  removeBelow(lsn: number): Failure | undefined {
    const { disk, options, place, catalog } = this.#parts;
    const removals = this.#giveUp((pinned) => segmentsBelow(catalog, lsn, pinned));
    const work = { state: undefined, removals: [...this.#unremoved, ...removals] };
    const { unremoved, troubles } = keepHouse(disk, place, work, options.fileMode);
    this.#unremoved = unremoved;
    return troubles[0];
  }

  /** One of those that retention gives up may become the next segment. Never one that a cut took out: its LSNs come again. */
  #recyclingOf(expired: readonly number[]): Housework['recycling'] {
    const { preallocation, options } = this.#parts;
    const number = expired.at(-1);
    if (number === undefined || !preallocation.wantsSpare) return undefined;
    return { number, maxFileSize: options.maxFileSize };
  }

  /** The segments that `choose` answers, the lowest ones, are no longer the log's: their files may go. */
  #giveUp(choose: (pinned: number) => number[]): number[] {
    const { status, catalog, tell } = this.#parts;
    let numbers: number[] = [];
    // Before the files go: a reader that begins now is told that they are gone, not that they are missing.
    status.giveUp((pinned) => {
      numbers = choose(pinned);
      const last = numbers.at(-1);
      return last === undefined ? undefined : catalog.firstLsnAfter(last);
    });
    const last = numbers.at(-1);
    if (last === undefined) return numbers;
    catalog.dropThrough(last);
    status.add('removed', numbers.length);
    tell({ kind: 'segments-removed', upTo: last });
    return numbers;
  }

  /** Has retention something to give up, if no reader holds it? */
  #isExpired(watermark: number): boolean {
    return this.#expired(watermark, -1, 1).length > 0;
  }

  #expired(watermark: number, pinned: number, countMax?: number): number[] {
    const { disk, options, catalog: segments } = this.#parts;
    const { releasedLsn } = this.#holds;
    const leadMs = (segment: SegmentRecord) => this.#clockLead.sinceMs(segment);
    const view = { segments, watermark, releasedLsn, pinned, nowMs: disk.now(), leadMs };
    return expiredSegments(options, view, countMax);
  }
}
