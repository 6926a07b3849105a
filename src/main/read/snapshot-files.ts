import type { AsyncFile } from '../../files/async-file.js';
import type { ReadAccess } from './log-view.js';

/** The files of snapshots that are being read. The log's `close` closes them. */
export class SnapshotFiles {
  readonly #open: ReadAccess['openForReading'];
  readonly #files = new Set<AsyncFile>();

  constructor(open: ReadAccess['openForReading']) {
    this.#open = open;
  }

  /** @throws as `openForReading` of src/files */
  async open(path: string): Promise<AsyncFile> {
    const file = await this.#open(path);
    this.#files.add(file);
    return file;
  }

  async close(file: AsyncFile): Promise<void> {
    this.#files.delete(file);
    await file.close();
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#files].map((file) => this.close(file)));
  }
}
