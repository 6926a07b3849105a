import { join } from 'node:path';
import { segmentName } from '../format/segment-name.js';
import type { Board } from '../ring/board.js';
import type { SegmentInfo, ToLane } from '../worker/messages.js';
import { closedError } from './lane.js';
import type { LogEngine } from './log-engine.js';
import type { LogView } from './log-view.js';
import { OpenFiles } from './open-files.js';
import { RecentReads } from './recent-reads.js';
import { SparseIndexes } from './sparse-index.js';
import { Wakeups } from './wakeups.js';
import type { WalError } from './wal-error.js';

/** The log that this process writes: the figures come from the board, the list of segments from the writer's messages. */
export class LiveView implements LogView {
  readonly directory: string;
  readonly indexes = new SparseIndexes();
  readonly files: OpenFiles;
  readonly openForReading: LogEngine['openForReading'];
  readonly recent: RecentReads;
  readonly #board: Board;
  /** Takes in messages that the event loop has not delivered yet. */
  readonly #catchUp: () => void;
  #segments: SegmentInfo[];
  readonly #followers = new Wakeups();
  readonly #hold: (isHeld: boolean) => void;
  /** Why nothing more becomes durable, once that is so. */
  #failure: (() => WalError) | undefined;
  readonly #pins = new Map<object, number>();
  /** LSNs that `truncateAfter` left as the last, in order of the calls. */
  readonly #truncations: number[] = [];
  #isClosed = false;

  /** `hold` keeps the process alive, or lets it go. */
  constructor(
    directory: string,
    board: Board,
    segments: readonly SegmentInfo[],
    catchUp: () => void,
    hold: (isHeld: boolean) => void,
    engine: Pick<LogEngine, 'openForReading' | 'nowMs'>,
  ) {
    this.#hold = hold;
    this.directory = directory;
    this.#board = board;
    this.openForReading = (path) => engine.openForReading(path);
    this.files = new OpenFiles(this.openForReading);
    this.recent = new RecentReads(board.get('lastLsn'), () => engine.nowMs());
    this.#segments = [...segments];
    this.#catchUp = catchUp;
  }

  get firstLsn(): number {
    return this.#board.get('firstLsn');
  }

  get lastLsn(): number {
    return this.#board.get('lastLsn');
  }

  get durableLsn(): number {
    return this.#board.get('durableLsn');
  }

  segments(): readonly SegmentInfo[] {
    this.#catchUp();
    const live = this.#segments.at(-1);
    if (live === undefined) return [];
    const lastLsn = this.lastLsn;
    const hasEntries = live.firstLsn !== 0 && live.firstLsn <= lastLsn;
    const current = {
      ...live,
      firstLsn: hasEntries ? live.firstLsn : 0,
      lastLsn: hasEntries ? lastLsn : 0,
      bytes: this.#board.get('liveBytes'),
    };
    return [...this.#segments.slice(0, -1), current];
  }

  /** The writer tells before it cuts: who has seen a file that was cut finds its cut here. */
  get truncations(): readonly number[] {
    this.#catchUp();
    return this.#truncations;
  }

  pin(reader: object, segment: SegmentInfo | undefined): boolean {
    if (segment === undefined) this.#pins.delete(reader);
    else this.#pins.set(reader, segment.number);
    const firstLsn = this.#board.pin(this.#pins.size === 0 ? -1 : Math.min(...this.#pins.values()));
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
    // Asked for before the look: whoever moves the watermark after it tells.
    this.#board.askForWatermark();
    if (this.durableLsn > lsn) return;
    if (ref) this.#hold(true);
    try {
      await this.#followers.wait(signal);
    } finally {
      if (ref) this.#hold(false);
    }
  }

  /** The log has ended: nothing more becomes durable. */
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
    await this.files.close();
  }

  /** Takes note of what the writer says of its segments. */
  receive(message: ToLane): void {
    if (message.kind === 'segment-opened') this.#open(message);
    else if (message.kind === 'segments-removed') {
      this.files.dropThrough(message.upTo);
      this.#segments = this.#segments.filter((segment) => segment.number > message.upTo);
    } else if (message.kind === 'segment-withdrawn') {
      this.#segments = this.#segments.filter((segment) => segment.number !== message.number);
    } else if (message.kind === 'truncated') {
      this.#truncations.push(message.lsn);
      this.indexes.clear();
      this.files.clear();
      this.#segments = [...message.segments];
      this.#followers.wakeAll();
    } else if (message.kind === 'watermark') {
      this.#followers.wakeAll();
    }
  }

  #open(message: Extract<ToLane, { kind: 'segment-opened' }>): void {
    const { number, createdMs, firstLsn, sealedBytes } = message;
    const sealed = this.#segments.at(-1);
    if (sealed !== undefined) {
      const hasEntries = sealed.firstLsn !== 0 && sealed.firstLsn < firstLsn;
      this.#segments[this.#segments.length - 1] = {
        ...sealed,
        bytes: sealedBytes,
        firstLsn: hasEntries ? sealed.firstLsn : 0,
        lastLsn: hasEntries ? firstLsn - 1 : 0,
      };
    }
    const path = join(this.directory, segmentName(number));
    this.#segments.push({ number, path, firstLsn, lastLsn: 0, bytes: 0, createdMs });
  }
}
