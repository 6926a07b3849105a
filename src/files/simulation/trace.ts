import type { Operation } from './faults.js';

/** The operations of a disk, for people who look for the reason of a failed run. The oldest lines are dropped. */
export class Trace {
  readonly #linesMax: number;
  readonly #lines: string[] = [];
  #dropped = 0;

  constructor(linesMax: number) {
    this.#linesMax = linesMax;
  }

  /** @param outcome the result of the operation, or the code of its error */
  add({ index, kind, path, position, bytes }: Operation, outcome: string | number | undefined): void {
    const place = position === undefined ? '' : ` at ${position}`;
    const length = bytes === undefined ? '' : ` ${bytes} bytes`;
    this.note(`${index} ${kind} ${path}${place}${length}${outcome === undefined ? '' : ` → ${outcome}`}`);
  }

  note(line: string): void {
    this.#lines.push(line);
    // Drops many at once: a shift for each line would move all of them each time.
    if (this.#lines.length > 2 * this.#linesMax) {
      this.#dropped += this.#lines.splice(0, this.#lines.length - this.#linesMax).length;
    }
  }

  toString(): string {
    const surplus = Math.max(0, this.#lines.length - this.#linesMax);
    const hidden = this.#dropped + surplus;
    const lines = this.#lines.slice(surplus);
    return (hidden === 0 ? lines : [`… ${hidden} earlier lines`, ...lines]).join('\n');
  }
}
