const SETTLED = Promise.resolve();

/** Keeps the process alive exactly while promises of a lane are pending. */
export class ProcessHold {
  readonly #pending: () => number;
  readonly #hold: (isHeld: boolean) => void;
  #isHeld = false;
  #isUpdateDue = false;
  readonly #updateNow = () => {
    this.#isUpdateDue = false;
    this.update();
  };

  constructor(pending: () => number, hold: (isHeld: boolean) => void) {
    this.#pending = pending;
    this.#hold = hold;
  }

  update(): void {
    const isHeld = this.#pending() > 0;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#hold(isHeld);
  }

  /**
   * Runs [update] after the code that waited for the settled promises. Bet: that code often makes the next append, so that nothing
   * changes; if not, it need not wait for the change, which is a call into the engine (bench/workloads/paced.ts).
   */
  updateLater(): void {
    if (!this.#isHeld || this.#isUpdateDue) return;
    this.#isUpdateDue = true;
    void SETTLED.then(this.#updateNow);
  }
}
