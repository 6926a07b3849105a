/**
 * Closes once, however often it is called. The first call gets the outcome: a failure is reported once. Later calls only wait for
 * the end.
 */
export class CloseOnce {
  #ended: Promise<void> | undefined;

  get hasStarted(): boolean {
    return this.#ended !== undefined;
  }

  run(close: () => Promise<void>): Promise<void> {
    if (this.#ended !== undefined) return this.#ended;
    const closing = close();
    this.#ended = closing.then(
      () => undefined,
      () => undefined,
    );
    return closing;
  }

  /** There is nothing left to close. */
  skip(): void {
    this.#ended = Promise.resolve();
  }
}
