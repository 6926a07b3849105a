import type { AsyncFile } from '../../files/async-file.js';
import type { SegmentInfo } from '../../protocol/reports.js';

/** Segments that stay open. Bet: opening and closing costs three ways through the thread pool, the read itself one. */
const FILES_MAX = 4;

/** Segments of a live log that stay open from one `get` to the next, the least recently used going first. */
export class OpenFiles {
  readonly #open: (segment: SegmentInfo) => Promise<AsyncFile>;
  readonly #files = new Map<number, Promise<AsyncFile>>();
  #isClosed = false;
  /** Files on their way to being closed. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(open: (segment: SegmentInfo) => Promise<AsyncFile>) {
    this.#open = open;
  }

  /** The file of `segment`, until something is dropped. @throws as what opens it */
  open(segment: SegmentInfo): Promise<AsyncFile> {
    const { number } = segment;
    const file = this.#files.get(number) ?? this.#open(segment);
    this.#files.delete(number);
    if (this.#isClosed) {
      this.#letGo(file);
      return file;
    }
    // Put in anew: a Map lists the least recently used first.
    this.#files.set(number, file);
    // One that could not be opened may be there next time.
    file.catch(() => {
      if (this.#files.get(number) === file) this.#files.delete(number);
    });
    if (this.#files.size > FILES_MAX) {
      const [oldest] = this.#files.keys();
      this.#drop(oldest as number);
    }
    return file;
  }

  /** These segments are gone: their bytes are not to be kept on the disk. */
  dropThrough(number: number): void {
    for (const each of [...this.#files.keys()]) if (each <= number) this.#drop(each);
  }

  clear(): void {
    this.dropThrough(Number.POSITIVE_INFINITY);
  }

  /** Nothing stays open from now on. Resolves once nothing is. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.clear();
    await Promise.all(this.#leaving);
  }

  #drop(number: number): void {
    const file = this.#files.get(number);
    this.#files.delete(number);
    if (file !== undefined) this.#letGo(file);
  }

  /** Closes it once the reads in flight have returned; who read from it hears of what went wrong. */
  #letGo(file: Promise<AsyncFile>): void {
    const leaving = file
      .then((opened) => opened.close())
      .catch(() => {})
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }
}
