/** Something that keeps the event loop of this thread running while it is referenced: a worker thread, or a port. */
export interface Referenced {
  ref(): void;
  unref(): void;
}

/** Keeps the process, or the thread, alive while at least one promise waits for the log's threads. */
export class HoldCount {
  readonly #referenced: Referenced;
  #holds = 0;

  constructor(referenced: Referenced) {
    this.#referenced = referenced;
  }

  change(isHeld: boolean): void {
    this.#holds += isHeld ? 1 : -1;
    if (this.#holds === 0) this.#referenced.unref();
    else if (isHeld && this.#holds === 1) this.#referenced.ref();
  }
}
