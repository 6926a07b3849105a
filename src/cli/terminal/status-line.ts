import type { Writable } from 'node:stream';

/** Shorter work shows no status. */
const QUIET_MS = 1000;
const REDRAW_MS = 100;

/** A progress line at the bottom of a terminal. Without a terminal it prints nothing. */
export class StatusLine {
  readonly isTerminal: boolean;
  readonly #stream: Writable & { columns?: number };
  readonly #now: () => number;
  readonly #startedAt: number;
  #shownAt = Number.NEGATIVE_INFINITY;
  #isShown = false;

  /** `now`: milliseconds of any clock. */
  constructor(
    stream: Writable & { isTTY?: boolean; columns?: number },
    now: () => number = () => performance.now(),
  ) {
    this.#now = now;
    this.#startedAt = now();
    this.#stream = stream;
    this.isTerminal = stream.isTTY === true;
  }

  /** Shows the result of `text` if an update is due. Cheap enough to call in every turn. */
  update(text: () => string): void {
    if (!this.isTerminal) return;
    const now = this.#now();
    if (now - this.#startedAt < QUIET_MS || now - this.#shownAt < REDRAW_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    // A terminal that does not know its width reports 0.
    this.#stream.write(`\r\x1b[K${text().slice(0, (this.#stream.columns || 80) - 1)}`);
  }

  clear(): void {
    if (this.#isShown) this.#stream.write('\r\x1b[K');
    this.#isShown = false;
  }
}

/** `████░░░░  42 %` */
export function progressBar(done: number, total: number, width = 30): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const full = Math.floor(share * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)} ${String(Math.floor(share * 100)).padStart(3)} %`;
}
