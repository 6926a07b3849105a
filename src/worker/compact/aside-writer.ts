import { type Disk, DiskError, type DiskFile, isSameFile, writeFully } from '../../files/disk.js';
import { encodeFrame, type FrameFields } from '../../format/encode.js';
import { frameChecksumSeed } from '../../format/frame.js';
import type { JobControl } from '../../protocol/job-control.js';
import { checkStop } from '../backup/copy-file.js';
import { syncFile } from '../directory/side-files.js';
import type { Throttle } from './throttle.js';

/** Bytes of one write. Bet: at this size the cost of a write call is small beside that of its bytes. */
const BUFFER_BYTES = 1024 * 1024;

/** A frame that is still to get its place. */
export type PlacelessFrame = Omit<FrameFields, 'checksumSeed' | 'fileOffset'> & {
  readonly data: Uint8Array;
  /** Field 3, if it is known. */
  readonly crc?: number | undefined;
};

/** The file of a segment that is being written anew, beside the log. It grows by whole frames. */
export class AsideWriter {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: DiskFile;
  readonly #control: JobControl;
  readonly #throttle: Throttle;
  readonly #checksumSeed: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #buffered = 0;
  /** Where the buffer's bytes go. */
  #flushedTo = 0;
  /** Where the frame begins that was added last. */
  #lastFrameAt = 0;

  /** @throws the system's error */
  constructor(
    disk: Disk,
    path: string,
    segment: { readonly logId: bigint; readonly number: number; readonly fileMode: number },
    control: JobControl,
    throttle: Throttle,
  ) {
    this.path = path;
    this.#disk = disk;
    this.#file = disk.open(path, 'w+', segment.fileMode);
    this.#checksumSeed = frameChecksumSeed(segment.logId, segment.number);
    this.#control = control;
    this.#throttle = throttle;
  }

  /** Where the next frame goes. */
  get offset(): number {
    return this.#flushedTo + this.#buffered;
  }

  get lastFrameAt(): number {
    return this.#lastFrameAt;
  }

  addFrame(frame: PlacelessFrame): void {
    this.#lastFrameAt = this.offset;
    const checksumSeed = this.#checksumSeed;
    this.#add(encodeFrame({ ...frame, checksumSeed, fileOffset: this.offset }));
  }

  /** A plain frame, which is valid wherever its predecessor stands before it. */
  addPlain(bytes: Uint8Array): void {
    this.#lastFrameAt = this.offset;
    this.#add(bytes);
  }

  /** Takes back the last frame. */
  dropLast(): void {
    this.flush();
    this.#file.truncate(this.#lastFrameAt);
    this.#flushedTo = this.#lastFrameAt;
  }

  /** Makes everything durable, but not the name. @throws the system's error; LogFailure ERR_WAL_SYNC_FAILED */
  finish(): void {
    this.flush();
    syncFile(this.#file);
  }

  get identity(): { readonly dev: bigint; readonly ino: bigint } {
    const { dev, ino } = this.#file.identity();
    return { dev, ino };
  }

  close(): void {
    this.#file.close();
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length > BUFFER_BYTES - this.#buffered) this.flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#write(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  /** Hands everything to the system. */
  flush(): void {
    this.#write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  /** Does the name still lead to this file? */
  get isNamed(): boolean {
    const found = this.#disk.stat(this.path);
    return found !== undefined && isSameFile(found, this.#file.identity());
  }

  /** The writer of the log removes the file if an append finds no room. */
  #checkName(): void {
    if (this.isNamed) return;
    throw new DiskError('ENOSPC', 'write', this.path, 'the log needed the room of the file');
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    checkStop(this.#control);
    this.#checkName();
    writeFully(this.#file, bytes, 0, bytes.length, this.#flushedTo);
    this.#flushedTo += bytes.length;
    this.#control.addDone(bytes.length);
    this.#throttle.take(bytes.length, () => checkStop(this.#control));
  }
}
