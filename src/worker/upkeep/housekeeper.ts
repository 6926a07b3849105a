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
import { type KeptPlaces, lowestCheckpoint } from './kept-places.js';
import { expiredSegments, RetentionHolds, segmentsBelow } from './retention.js';

export interface HousekeeperParts {
  readonly disk: Disk;
  readonly nowMs: () => number;
  readonly options: WriterOptions;
  readonly status: LogStatus;
  readonly place: LogDirectory;
  readonly catalog: SegmentCatalog;
  readonly preallocation: Preallocation;
  /** The content of the state file, except for the watermark. */
  readonly state: LogState;
  /** The watermark that the state file holds. */
  readonly stateWatermark: number;
  readonly tell: (message: ToLane) => void;
}

/**
 * Segments that one job removes at most. Each costs a sync of the directory, and a durable append that comes meanwhile waits for
 * the job: with thousands expired, a job without a limit would stop such appends for seconds.
 */
export const REMOVALS_MAX = 8;

/**
 * Does the work that follows from durability and that no thread waits for: the state file records how far the log is durable, and
 * retention removes segments. A job of the sync thread does it, in the order of sync-job.ts; a command does it at once.
 */
export class Housekeeper {
  readonly #parts: HousekeeperParts;
  readonly #holds = new RetentionHolds();
  readonly #clockLead: ClockLead;
  /** The content of every state file from now on, except for the watermark. */
  #state: LogState;
  #stateWatermark: number;
  /** When to write the state file because no entry came for an interval. */
  #stateDueMs = Number.POSITIVE_INFINITY;
  /** A segment was sealed, or retention can remove one: the next job writes the state file and applies retention. */
  #isWorkDue: boolean;
  #isDetached = false;
  /** Segments that retention gave up but that could not be removed. They are removed before any other. */
  #unremoved: readonly number[] = [];

  constructor(parts: HousekeeperParts, watermark: number) {
    this.#parts = parts;
    this.#clockLead = new ClockLead(() => parts.disk.now(), parts.nowMs);
    this.#state = parts.state;
    this.#stateWatermark = parts.stateWatermark;
    this.noteKept({});
    parts.status.set('floor', parts.state.floor);
    // No snapshot was read yet, so none is known to be intact.
    if (parts.options.retainFromSnapshot) this.#holds.set('snapshot', 0);
    this.#isWorkDue = this.#isExpired(watermark);
  }

  /** Must the next job do the housework, whatever else it does? */
  get isWorkDue(): boolean {
    return this.#isWorkDue;
  }

  /** When to start a job for housework alone, once everything is durable; 0 = now, Infinity = not yet. */
  get dueMs(): number {
    return this.#isWorkDue ? 0 : this.#stateDueMs;
  }

  /** Does the state file hold another watermark than `watermark`? */
  isStateStale(watermark: number): boolean {
    return this.#stateWatermark !== watermark;
  }

  noteBegun(segment: SegmentRecord): void {
    this.#clockLead.noteBegun(segment);
  }

  noteSealed(): void {
    this.#isWorkDue = true;
  }

  /** An entry, a checkpoint or a removal came. */
  noteNews(): void {
    this.#stateDueMs = Number.POSITIVE_INFINITY;
  }

  /** Everything is durable: the state file will record that if no entry comes for an interval. */
  expectIdle(watermark: number): void {
    if (this.isStateStale(watermark)) {
      this.#stateDueMs = this.#parts.nowMs() + this.#parts.options.syncInterval;
    }
  }

  /** The housework is impossible now. It waits for its next reason. */
  putOff(): void {
    this.#isWorkDue = false;
    this.noteNews();
  }

  /** A job that makes everything up to `watermark` durable is about to start: takes the housework that it does with it. */
  takeWork(watermark: number): Pick<Housework, 'state' | 'removals' | 'recycling'> {
    this.#isWorkDue = false;
    this.noteNews();
    const overdue = this.#unremoved.slice(0, REMOVALS_MAX);
    this.#unremoved = this.#unremoved.slice(REMOVALS_MAX);
    const room = REMOVALS_MAX - overdue.length;
    const expired = room === 0 ? [] : this.#giveUp((pinned) => this.#expired(watermark, pinned, room));
    return {
      state: this.state(watermark),
      removals: [...overdue, ...expired],
      recycling: this.#recyclingOf(expired),
    };
  }

  noteDone(job: Housework & { readonly watermark: number }, { stateWritten, unremoved }: Housekeeping): void {
    if (stateWritten) this.#stateWatermark = job.watermark;
    this.#unremoved = [...unremoved, ...this.#unremoved];
    // A job that reached its limit has left the rest to the next one. After a failure the next reason for housework retries.
    if (job.removals.length === REMOVALS_MAX && unremoved.length === 0)
      this.#isWorkDue ||= this.#unremoved.length > 0 || this.#isExpired(job.watermark);
  }

  /** Postponed recovery has finished and written the state file. */
  noteStateWritten(watermark: number): void {
    this.#stateWatermark = watermark;
  }

  state(watermark: number): LogState {
    const { isEmptied, floor } = this.#state;
    return { ...this.#state, watermark, isEmptied: isEmptied && watermark === floor - 1 };
  }

  /** @throws the system's error; LogFailure ERR_WAL_SYNC_FAILED */
  writeState(state: LogState): void {
    const { disk, options } = this.#parts;
    writeState(disk, options.directory, state, options.fileMode);
    this.#stateWatermark = state.watermark;
  }

  get places(): KeptPlaces {
    return this.#state;
  }

  /** Durable when it returns. @throws as [writeState]; nothing has changed then */
  keep(places: Partial<KeptPlaces>, watermark: number): void {
    this.writeState({ ...this.state(watermark), ...places });
    this.noteKept(places);
    this.#isWorkDue ||= this.#isExpired(watermark);
  }

  /** The state file holds these places already. */
  noteKept(places: Partial<KeptPlaces>): void {
    this.#state = { ...this.#state, ...places };
    if (this.#parts.options.retainFromCheckpoint)
      this.#holds.set('checkpoint', lowestCheckpoint(this.#state));
    this.#parts.status.set('checkpointLsn', this.#state.checkpoint);
  }

  /** The replica is given up for as long as the log is open: retention no longer waits for it. */
  detachReplica(watermark: number): void {
    this.#isDetached = true;
    this.#isWorkDue ||= this.#isExpired(watermark);
  }

  /** Some snapshot is intact, and none that is kept needs entries up to `lsn`. */
  releaseForSnapshots(lsn: number, watermark: number): void {
    if (!this.#parts.options.retainFromSnapshot) return;
    this.#holds.set('snapshot', lsn);
    this.#isWorkDue ||= this.#isExpired(watermark);
  }

  /** The log begins with entry `lsn`. Durable when it returns. @throws as [writeState]; nothing has changed then */
  raiseFloor(lsn: number, watermark: number): void {
    const state = { ...this.#state, floor: lsn, isEmptied: false };
    this.writeState({ ...state, watermark });
    this.#state = state;
    this.#parts.status.set('floor', lsn);
  }

  /** The log is being cut, and the state file holds `state`, but for the intent. */
  noteCut(state: LogState): void {
    this.#state = state;
    this.noteKept({});
    this.#parts.status.set('floor', state.floor);
  }

  /** Removes the segments that hold only entries below `lsn`, except those that a reader or the archive holds. Returns what went wrong. */
  removeBelow(lsn: number): Failure | undefined {
    const { disk, options, place, catalog } = this.#parts;
    const removals = this.#giveUp((pinned) => segmentsBelow(catalog, lsn, this.#lowestHeld(pinned)));
    const work = { state: undefined, removals: [...this.#unremoved, ...removals] };
    const { unremoved, troubles } = keepHouse(disk, place, work, options.fileMode);
    this.#unremoved = unremoved;
    return troubles[0];
  }

  /** The file of one removed segment may become the next segment. Never one that a cut removed: its LSNs are used again. */
  #recyclingOf(expired: readonly number[]): Housework['recycling'] {
    const { preallocation, options } = this.#parts;
    const number = expired.at(-1);
    if (number === undefined || !preallocation.wantsSpare) return undefined;
    return { number, maxFileSize: options.maxFileSize };
  }

  /** Takes the segments that `choose` returns, the lowest ones, out of the log: their files may be removed. */
  #giveUp(choose: (pinned: number) => number[]): number[] {
    const { status, catalog, tell } = this.#parts;
    let numbers: number[] = [];
    // Before the files are removed: a reader that begins now learns that they were removed, not that files are missing.
    status.giveUp((pinned) => {
      numbers = choose(pinned);
      const last = numbers.at(-1);
      return last === undefined ? undefined : catalog.oldestLsnAfter(last);
    });
    const last = numbers.at(-1);
    if (last === undefined) return numbers;
    catalog.dropThrough(last);
    status.add('removed', numbers.length);
    tell({ kind: 'segments-removed', upTo: last });
    return numbers;
  }

  /** Could retention remove a segment if no reader held it? */
  #isExpired(watermark: number): boolean {
    return this.#expired(watermark, -1, 1).length > 0;
  }

  #expired(watermark: number, pinned: number, countMax?: number): number[] {
    const { disk, options, catalog: segments } = this.#parts;
    const { floor } = this.#state;
    const { releasedLsn } = this.#holds;
    const leadMs = (segment: SegmentRecord) => this.#clockLead.sinceMs(segment);
    const held = this.#lowestHeld(pinned);
    const view = { segments, watermark, floor, releasedLsn, pinned: held, nowMs: disk.now(), leadMs };
    return expiredSegments(options, view, countMax);
  }

  /** The lowest segment that a reader has open (`pinned`, -1 = none), or that is not archived or not replicated; -1 = there is none. */
  #lowestHeld(pinned: number): number {
    const archived = this.#parts.options.hasArchive ? this.#state.archived : -1;
    const numbers = [pinned, archived, this.#firstUnreplicated].filter((number) => number >= 0);
    return numbers.length === 0 ? -1 : Math.min(...numbers);
  }

  /** The segment with the first entry that is not replicated; -1 = there is no replica to wait for. */
  get #firstUnreplicated(): number {
    const { options, catalog } = this.#parts;
    if (!options.hasReplica || this.#isDetached) return -1;
    const next = (this.#state.replicated?.lsn ?? 0) + 1;
    return catalog.holderOf(next)?.number ?? catalog.at(0)?.number ?? -1;
  }
}
