import { type FSWatcher, watch } from 'node:fs';
import { clearInterval, setInterval } from './node-globals.js';

/**
 * How long a change may go unnoticed if the system does not report it: some file systems never do, and a full event queue drops
 * events.
 */
const POLL_MS = 500;

/**
 * Notices that another process may have changed something in a directory: `fs.watch`, plus a slow poll in case it misses a
 * change. Does not keep the process alive unless it is held.
 */
export class DirectoryWatch {
  readonly #watcher: FSWatcher | undefined;
  readonly #timer: NodeJS.Timeout;
  #holds = 0;

  constructor(directory: string, onChange: () => void) {
    this.#watcher = tryToWatch(directory, onChange);
    this.#timer = setInterval(onChange, POLL_MS).unref();
  }

  hold(isHeld: boolean): void {
    this.#holds += isHeld ? 1 : -1;
    if (this.#holds > 0) this.#timer.ref();
    else this.#timer.unref();
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#timer);
  }
}

/** `undefined` if the system has no watch left (`EMFILE`, `ENOSPC`): the poll alone must do. */
function tryToWatch(directory: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    // The poll continues.
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
