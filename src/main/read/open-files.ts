import type { AsyncFile } from '../../files/async-file.js';
import type { SegmentInfo } from '../../protocol/reports.js';

/**
 * Number of segments that stay open. Bet: opening and closing a file costs three round trips through the thread pool,
 * the read itself one.
 */
const FILES_MAX = 4;

/** Segments of a live log that stay open between two calls of `get`. The least recently used one is closed first. */
export class OpenFiles {
  readonly #open: (segment: SegmentInfo) => Promise<AsyncFile>;
  readonly #files = new Map<number, Promise<AsyncFile>>();
  #isClosed = false;
  /** Files that are being closed. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(open: (segment: SegmentInfo) => Promise<AsyncFile>) {
    this.#open = open;
  }

  /** The file of `segment`. It stays open until it is dropped. @throws the errors of opening the file */
  open(segment: SegmentInfo): Promise<AsyncFile> {
    const { number } = segment;
    const file = this.#files.get(number) ?? this.#open(segment);
    this.#files.delete(number);
    if (this.#isClosed) {
      this.#letGo(file);
      return file;
    }
    // Inserted again, because a Map then lists the least recently used one first.
    this.#files.set(number, file);
    // A file that could not be opened is tried again at the next call.
    file.catch(() => {
      if (this.#files.get(number) === file) this.#files.delete(number);
    });
    if (this.#files.size > FILES_MAX) {
      const [oldest] = this.#files.keys();
      this.#drop(oldest as number);
    }
    return file;
  }

  /** Closes files of removed segments, so that the system frees their disk space. */
  dropThrough(number: number): void {
    for (const each of [...this.#files.keys()]) if (each <= number) this.#drop(each);
  }

  clear(): void {
    this.dropThrough(Number.POSITIVE_INFINITY);
  }

  /** Closes all files; later reads keep none open. Resolves once no file is open. */
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

  /** Closes a file after its reads in flight have returned. Their callers get any error. */
  #letGo(file: Promise<AsyncFile>): void {
    const leaving = file
      .then((opened) => opened.close())
      .catch(() => {})
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }
}
