import { join } from 'node:path';
import { type FileIdentity, isSameFile } from '../../files/disk.js';
import { segmentName } from '../../format/segment-name.js';
import type { SegmentTime } from '../../format/time-walk.js';
import type { NamedCheckpoint } from '../../protocol/checkpoint-changes.js';
import type { LogOrigin, ToLane } from '../../protocol/lane-messages.js';
import type { SegmentInfo } from '../../protocol/reports.js';
import type { SnapshotRecord } from '../../protocol/snapshots.js';
import type { LogStatus } from '../../ring/log-status.js';
import { closedError } from '../append/lane-errors.js';
import type { CheckpointList } from '../checkpoints/checkpoint-list.js';
import type { WalError } from '../errors/wal-error.js';
import type { SnapshotJobs } from '../jobs/snapshot-jobs.js';
import { DecodedBlocks } from './decoded-blocks.js';
import { openOwnFile, openSegmentFile, replaced } from './log-segments.js';
import type { LogView, ReadAccess } from './log-view.js';
import { OpenFiles } from './open-files.js';
import { Readers } from './readers.js';
import { RecentReads } from './recent-reads.js';
import { SegmentList } from './segment-list.js';
import { SnapshotFiles } from './snapshot-files.js';
import { SparseIndexes } from './sparse-index.js';
import { LogTimes } from './time-index.js';
import { Wakeups } from './wakeups.js';

/**
 * The log that this process writes. The figures come from the status, the list of segments from the writer's
 * messages.
 */
export class LiveView implements LogView {
  readonly directory: string;
  readonly indexes = new SparseIndexes();
  readonly times: LogTimes;
  readonly wallMs: ReadAccess['wallMs'];
  readonly files: OpenFiles = new OpenFiles((segment) => openOwnFile(this, segment));
  readonly openForReading: ReadAccess['openForReading'];
  readonly decoded = new DecodedBlocks();
  readonly recent: RecentReads;
  readonly readers: Readers = new Readers({
    open: (segment, lsn) => openSegmentFile(this, segment, lsn),
    pin: (reader, segment) => this.#pin(reader, segment),
    assertOpen: () => this.assertOpen(),
  });
  readonly logId: bigint;
  readonly snapshotJobs: SnapshotJobs;
  readonly snapshotFiles: SnapshotFiles;
  /** Identity of the directory in which the log was opened. */
  readonly place: FileIdentity;
  /** Identities of the segments whose first frames do not name the log. */
  readonly #unnamed: Map<number, FileIdentity>;
  readonly #identifyPath: ReadAccess['identifyPath'];
  readonly #status: LogStatus;
  readonly #checkpoints: CheckpointList;
  /** Processes messages that the event loop has not delivered yet. */
  readonly #catchUp: () => void;
  #segments: SegmentList;
  /** LSN of the first entry in the last segment; 0 = there is none, or it is not known. */
  #liveFirstLsn: number;
  readonly #followers = new Wakeups();
  readonly #hold: (isHeld: boolean) => void;
  /** Makes the error that ended the log; set once no more entries become durable. */
  #failure: (() => WalError) | undefined;
  readonly #pins = new Map<object, number>();
  /** The last LSN after each `truncateAfter`, in the order of the calls. */
  readonly #truncations: number[] = [];
  /** Newest first. */
  #snapshots: readonly SnapshotRecord[];
  #isClosed = false;

  /** `hold` keeps the process alive or stops doing so. */
  constructor(
    directory: string,
    status: LogStatus,
    segments: readonly SegmentInfo[],
    times: ReadonlyMap<number, SegmentTime>,
    origin: LogOrigin,
    checkpoints: CheckpointList,
    snapshots: readonly SnapshotRecord[],
    catchUp: () => void,
    hold: (isHeld: boolean) => void,
    access: ReadAccess,
  ) {
    this.#hold = hold;
    this.directory = directory;
    this.#status = status;
    this.times = new LogTimes(times);
    this.wallMs = () => access.wallMs();
    this.#checkpoints = checkpoints;
    this.openForReading = (path) => access.openForReading(path);
    this.#identifyPath = (path) => access.identifyPath(path);
    this.recent = new RecentReads(status.get('lastLsn'), () => access.nowMs());
    this.#segments = new SegmentList(segments);
    this.#liveFirstLsn = this.#segments.last?.firstLsn ?? 0;
    this.logId = origin.logId;
    this.place = origin.place;
    this.#snapshots = snapshots;
    this.snapshotJobs = access.snapshotJobs;
    this.snapshotFiles = new SnapshotFiles((path) => access.openForReading(path));
    this.#unnamed = new Map(origin.unnamed);
    this.#catchUp = catchUp;
  }

  get firstLsn(): number {
    return this.#status.get('firstLsn');
  }

  get lastLsn(): number {
    return this.#status.get('lastLsn');
  }

  get durableLsn(): number {
    return this.#status.get('durableLsn');
  }

  segments(): readonly SegmentInfo[] {
    return this.#current().toArray();
  }

  checkpoints(): Map<string, NamedCheckpoint> {
    this.#catchUp();
    return this.#checkpoints.copy();
  }

  segmentOf(lsn: number): SegmentInfo | undefined {
    return this.#current().holderOf(lsn);
  }

  segmentAfter(number: number): SegmentInfo | undefined {
    return this.#current().after(number);
  }

  segmentBefore(number: number): SegmentInfo | undefined {
    return this.#current().before(number);
  }

  snapshots(): readonly SnapshotRecord[] {
    this.#catchUp();
    return this.#snapshots;
  }

  /** The number of segments, and the bytes of their frames. */
  extent(): { readonly segments: number; readonly bytes: number } {
    const segments = this.#current();
    return { segments: segments.length, bytes: segments.bytesFrom(-1) };
  }

  /** Bytes from the start of `segment` to the end of the log; `undefined` if the segment is gone. */
  bytesFrom({ number }: SegmentInfo): number | undefined {
    const segments = this.#current();
    return segments.has(number) ? segments.bytesFrom(number) : undefined;
  }

  /** The segments, with the current extent of the live one. */
  #current(): SegmentList {
    this.#catchUp();
    const live = this.#segments.last;
    if (live === undefined) return this.#segments;
    const lastLsn = this.lastLsn;
    const firstLsn = this.#liveFirstLsn;
    const hasEntries = firstLsn !== 0 && firstLsn <= lastLsn;
    this.#segments.replaceLast({
      ...live,
      firstLsn: hasEntries ? firstLsn : 0,
      lastLsn: hasEntries ? lastLsn : 0,
      bytes: this.#status.get('liveBytes'),
    });
    return this.#segments;
  }

  /**
   * Proves that the directory is the one in which the log was opened. The writer thread holds it open, so no other
   * directory can get its identity while that thread lives. This log has made the files in it, and they name the log.
   * wal-go's segments do not name a log; they are recognised by the identity that they had when the log was opened.
   */
  async proveOwn({ number, path }: SegmentInfo, file: FileIdentity | undefined): Promise<void> {
    const found = await this.#identifyPath(this.directory);
    if (found === undefined || !isSameFile(found, this.place))
      throw replaced(this.directory, path, `"${this.directory}"`);
    const known = this.#unnamed.get(number);
    if (file !== undefined && known !== undefined && !isSameFile(file, known))
      throw replaced(this.directory, path, 'it');
  }

  /** The writer reports a cut before it makes it, so a reader of a cut file finds the cut here. */
  get truncations(): readonly number[] {
    this.#catchUp();
    return this.#truncations;
  }

  #pin(reader: object, segment: SegmentInfo | undefined): boolean {
    if (segment === undefined) this.#pins.delete(reader);
    else this.#pins.set(reader, segment.number);
    let lowest = -1;
    for (const number of this.#pins.values()) if (lowest < 0 || number < lowest) lowest = number;
    const firstLsn = this.#status.pin(lowest);
    return segment === undefined || segment.firstLsn >= firstLsn;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @throws the failure that ended the log */
  async waitForWatermark(
    lsn: number,
    { signal, ref }: { signal: AbortSignal | undefined; ref: boolean },
  ): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure();
    // Requested before the check, so that a later move of the watermark wakes this wait.
    this.#status.askForWatermark();
    if (this.durableLsn > lsn) return;
    if (ref) this.#hold(true);
    try {
      await this.#followers.wait(signal);
    } finally {
      if (ref) this.#hold(false);
    }
  }

  /** Records that the log has ended: no more entries become durable. */
  fail(failure: () => WalError): void {
    this.#failure ??= failure;
    this.#followers.wakeAll();
  }

  assertOpen(): void {
    if (this.#isClosed) throw closedError(this.directory);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#followers.wakeAll();
    await Promise.all([this.readers.endAll(), this.files.close(), this.snapshotFiles.closeAll()]);
  }

  /** Processes a message of the writer about its segments. */
  receive(message: ToLane): void {
    if (message.kind === 'segment-opened') this.#open(message);
    else if (message.kind === 'segments-removed') {
      this.files.dropThrough(message.upTo);
      this.times.dropThrough(message.upTo);
      this.#segments.dropThrough(message.upTo);
    } else if (message.kind === 'segment-withdrawn') {
      this.#withdraw(message.number);
    } else if (message.kind === 'truncated') {
      this.#truncations.push(message.lsn);
      this.#checkpoints.lower(message.endLsn);
      this.indexes.clear();
      this.decoded.clear();
      this.files.clear();
      // The writer has replaced the segment's file.
      if (message.replaced !== undefined) this.#unnamed.delete(message.replaced);
      this.times.forgetFrom((message.segments.at(-1)?.number ?? -1) + 1);
      this.#segments = new SegmentList(message.segments);
      this.#liveFirstLsn = this.#segments.last?.firstLsn ?? 0;
      this.#followers.wakeAll();
    } else if (message.kind === 'snapshots') {
      this.#snapshots = message.snapshots;
    } else if (message.kind === 'watermark') {
      this.#followers.wakeAll();
    }
  }

  #open(message: Extract<ToLane, { kind: 'segment-opened' }>): void {
    const { number, createdMs, firstLsn, sealedBytes, previousLatestMs } = message;
    const sealed = this.#segments.last;
    if (sealed !== undefined) {
      const sealedFirstLsn = this.#liveFirstLsn;
      const hasEntries = sealedFirstLsn !== 0 && sealedFirstLsn < firstLsn;
      this.#segments.replaceLast({
        ...sealed,
        bytes: sealedBytes,
        firstLsn: hasEntries ? sealedFirstLsn : 0,
        lastLsn: hasEntries ? firstLsn - 1 : 0,
      });
    }
    const path = join(this.directory, segmentName(number));
    this.#segments.push({ number, path, firstLsn, lastLsn: 0, bytes: 0, createdMs });
    this.#liveFirstLsn = firstLsn;
    // Its first frame is still to be written: until a search reads it, the segment's age is the time of its first entry.
    this.times.note(number, { timeMs: 0, createdMs, previousLatestMs });
    // After a cut the writer assigns a number again.
    this.#unnamed.delete(number);
  }

  /** Removes the newest segment; the one before it is live again. */
  #withdraw(number: number): void {
    if (this.#segments.last?.number !== number) return;
    this.#segments.pop();
    this.times.forgetFrom(number);
    this.#liveFirstLsn = this.#segments.last?.firstLsn ?? 0;
  }
}
