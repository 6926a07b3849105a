import { endOfContent, HOLE_BYTES_MIN } from './content-end.js';
import { DiskError, type DiskFile, readFully } from './disk.js';

/** The file has become shorter since it was opened. */
export class FileShrank extends DiskError {}

/**
 * Random access to a file's bytes through one window of memory, for code that parses a file without holding it (structurally a
 * `ByteSource` of `src/format/bytes.ts`).
 *
 * Sizes come from untrusted bytes: the window grows only to the size that was requested AND is in the file, so that a forged
 * length of 1 GiB in a file of 1 KiB allocates nothing.
 */
export class WindowedSource {
  static readonly #WINDOW_BYTES = 256 * 1024;

  /** Bytes of the file when the source was made. Later growth is not seen. */
  readonly size: number;
  readonly #file: DiskFile;
  readonly #aheadBytes: number;
  #window: Uint8Array;
  #zeroFrom: number | undefined;
  /** Called with the number of bytes that are read in addition to those of [read]. */
  onLook: (bytes: number) => void = () => {};
  /** The window holds the file's bytes [#from, #to). */
  #from = 0;
  #to = 0;

  /**
   * @param aheadBytes the least that each read of the file takes; 0 = only the requested bytes
   * @param window memory for it, of any size, that no other code uses before this source is closed
   */
  constructor(
    file: DiskFile,
    aheadBytes: number = WindowedSource.#WINDOW_BYTES,
    window: Uint8Array | undefined = undefined,
  ) {
    this.#file = file;
    this.size = file.size();
    this.#aheadBytes = aheadBytes;
    this.#window = window ?? new Uint8Array(Math.min(aheadBytes, this.size));
  }

  /**
   * From here on there are only zeros, as far as that can be known without reading all of them; otherwise the file's size.
   * Computed on first use, for a file that may have large holes.
   *
   * @throws the system's error
   */
  get zeroFrom(): number {
    this.#zeroFrom ??= this.#hasHoles ? endOfContent(this.#file, 0, this.onLook) : this.size;
    return Math.min(this.#zeroFrom, this.size);
  }

  get #hasHoles(): boolean {
    if (this.size < HOLE_BYTES_MIN) return false;
    const { bytes } = this.#file.allocation() ?? { bytes: this.size };
    return this.size - bytes >= HOLE_BYTES_MIN;
  }

  /**
   * Exactly `min(length, size - offset)` bytes from `offset` on, none after the end. The next call overwrites the view.
   *
   * @throws the system's error; FileShrank (EIO)
   */
  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return this.#window.subarray(0, 0);
    if (offset < this.#from || end > this.#to) this.#load(offset, end);
    return this.#window.subarray(offset - this.#from, end - this.#from);
  }

  /** Closes the file. Idempotent. */
  close(): void {
    this.#file.close();
  }

  /** Fills the window from `offset` on: most reads move forward. */
  #load(offset: number, end: number): void {
    if (end - offset > this.#window.length) this.#window = new Uint8Array(end - offset);
    // Not the window's whole size: after a large frame, reading a few bytes would cost as much as the frame.
    const ahead = Math.max(this.#aheadBytes, end - offset);
    const wanted = Math.min(ahead, this.#window.length, this.size - offset);
    this.#from = offset;
    this.#to = offset; // Empty in case the read throws.
    this.#to = offset + readFully(this.#file, this.#window.subarray(0, wanted), offset);
    if (this.#to < end) {
      const found = `the file had ${this.size} bytes and ends at ${this.#to} now`;
      throw new FileShrank('EIO', 'read', this.#file.path, found);
    }
  }
}
