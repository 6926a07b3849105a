import { join } from 'node:path';
import { codecTools } from '../../files/codec-tools.js';
import {
  type Disk,
  DiskError,
  type DiskFile,
  type FileIdentity,
  isSameFile,
  writeFully,
} from '../../files/disk.js';
import { snapshotAsideName } from '../../format/segment-name.js';
import {
  encodeSnapshotEnd,
  encodeSnapshotStart,
  SnapshotSeal,
  sealChunk,
} from '../../format/snapshot-file.js';
import type { SnapshotHeader } from '../../format/snapshot-messages.js';
import { removeIfThere } from '../directory/side-files.js';
import { LogFailure, systemCause } from '../errors/failure.js';

/**
 * At most this many bytes stay unsynced. Bet: the last sync is then short, appends that sync meanwhile do not wait for the dirty
 * pages of a whole snapshot, and the disk is busy all the same (bench/workloads/snapshot.ts).
 */
const SYNC_BYTES = 8 * 1024 * 1024;

/**
 * Writes the file of a snapshot under its aside name: step 2 of src/worker/commands/snapshot-commands.ts. A file of that name is
 * never read, and the next open removes it.
 */
export class SnapshotWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #identity: FileIdentity;
  readonly #seal: SnapshotSeal;
  #position: number;
  #unsyncedBytes: number;
  #bytes = 0;
  #chunks = 0;

  /** Creates the file and writes the header. @throws LogFailure ERR_WAL_IO; then there is no file */
  constructor(disk: Disk, directory: string, header: SnapshotHeader, fileMode: number) {
    const tools = codecTools();
    this.#disk = disk;
    this.#path = join(directory, snapshotAsideName(header.lsn));
    this.#seal = new SnapshotSeal(header, tools.crc32);
    const start = encodeSnapshotStart(tools, header);
    this.#file = this.#attempt(() => disk.open(this.#path, 'w', fileMode));
    this.#identity = this.#attempt(() => this.#file.identity());
    this.#position = start.length;
    this.#unsyncedBytes = start.length;
    try {
      this.#attempt(() => writeFully(this.#file, start, 0, start.length, 0));
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /**
   * Writes the next chunk. `bytes`: its data from CHUNK_HEAD_BYTES on, with room for a CRC after it; the head and the CRC are
   * filled in.
   *
   * @throws LogFailure ERR_WAL_IO; the snapshot must be aborted then
   */
  write(bytes: Uint8Array, dataBytes: number): void {
    const length = sealChunk(this.#seal, this.#chunks, bytes, dataBytes);
    this.#attempt(() => writeFully(this.#file, bytes, 0, length, this.#position));
    this.#position += length;
    this.#unsyncedBytes += length;
    this.#bytes += dataBytes;
    this.#chunks += 1;
  }

  /** Too much is unsynced: [sync] must be called, or the descriptor synced elsewhere, before more is written. */
  get isSyncDue(): boolean {
    return this.#unsyncedBytes >= SYNC_BYTES;
  }

  /** For a sync by another thread while this one continues to write: see [noteSyncStarted]. */
  get fd(): number {
    return this.#file.fd;
  }

  /** A sync of [fd] has started. The caller waits for it before the next one, and before [finish] and [abort]. */
  noteSyncStarted(): void {
    this.#unsyncedBytes = 0;
  }

  /** The failure of a sync that was started elsewhere. */
  failureOf(error: unknown): LogFailure {
    return new LogFailure(
      'ERR_WAL_IO',
      `Cannot write the snapshot "${this.#path}": ${systemCause(error).message}. The log and its other snapshots are as they were.`,
      { path: this.#path, cause: error },
    );
  }

  /** Writes the footer and makes the file durable, under its aside name. Returns the bytes of data. @throws as [write] */
  finish(): number {
    const footer = { bytes: this.#bytes, chunks: this.#chunks };
    const end = encodeSnapshotEnd(codecTools(), this.#seal, footer);
    this.#attempt(() => writeFully(this.#file, end, 0, end.length, this.#position));
    this.sync();
    // The path may lead to another directory since the file was opened: nothing there may be renamed.
    this.#attempt(() => {
      const found = this.#disk.stat(this.#path);
      if (found === undefined || !isSameFile(found, this.#identity))
        throw new DiskError(
          'ENOENT',
          'stat',
          this.#path,
          'the name does not lead to the file that was written',
        );
    });
    this.#file.close();
    return this.#bytes;
  }

  /** Removes the file. @throws LogFailure ERR_WAL_IO: it is left, and the next open removes it */
  abort(): void {
    this.#attempt(() => this.#removeOwn());
  }

  #removeOwn(): void {
    try {
      // Another process may have the log open by now, and write a snapshot by the same name.
      const found = this.#disk.stat(this.#path);
      const isOwn = found !== undefined && isSameFile(found, this.#identity);
      if (isOwn) removeIfThere(this.#disk, this.#path);
    } finally {
      this.#file.close();
    }
  }

  /** @throws as [write] */
  sync(): void {
    // A failed sync is not tried again: the call fails, and its file goes.
    this.#attempt(() => this.#file.datasync());
    this.#unsyncedBytes = 0;
  }

  #attempt<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw this.failureOf(error);
    }
  }
}
