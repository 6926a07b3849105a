import { clearLine, cursorTo } from 'node:readline';
import { styleText } from 'node:util';

const out = process.stdout;
const hasColours = out.isTTY && !process.env.NO_COLOR;
const REDRAW_MS = 50;
const BAR_WIDTH = 30;

export const good = (text) => styled('green', text);
export const bad = (text) => styled('red', text);

export function say(text = '') {
  out.write(`${text}\n`);
}

export function title(text) {
  say(`\n${styled('bold', text)}`);
}

/** A line of two columns. */
export function field(label, text) {
  say(`   ${label.padEnd(14)}${text}`);
}

/** Rows of cells: the first one to the left, the others to the right, as wide as the widest of their column. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [label, ...cells] of rows) {
    say(
      `   ${label.padEnd(widths[0])}${cells.map((cell, n) => `   ${cell.padStart(widths[n + 1])}`).join('')}`,
    );
  }
}

/** How far something has come: drawn in place on a terminal, four lines at most elsewhere. */
export class Progress {
  #label;
  #total;
  #shownAt = 0;
  #quarters = 0;

  constructor(label, total) {
    this.#label = label;
    this.#total = total;
  }

  show(count) {
    if (!out.isTTY) {
      const quarters = Math.floor((4 * count) / this.#total);
      if (!(quarters > this.#quarters) || quarters === 4) return;
      this.#quarters = quarters;
      field(this.#label, this.#counted(count));
      return;
    }
    const now = performance.now();
    if (now - this.#shownAt < REDRAW_MS) return;
    this.#shownAt = now;
    this.#draw(count);
  }

  /** Leaves the last state on the screen. */
  end(count) {
    if (!out.isTTY) {
      field(this.#label, this.#counted(count));
      return;
    }
    this.#draw(count);
    say();
  }

  #draw(count) {
    const filled = this.#total === 0 ? 0 : Math.round((BAR_WIDTH * count) / this.#total);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
    clearLine(out, 0);
    cursorTo(out, 0);
    out.write(`   ${this.#label.padEnd(14)}${bar} ${this.#counted(count)}`);
  }

  #counted(count) {
    return `${integer(count)} of ${integer(this.#total)}`;
  }
}

export function integer(value) {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

export function ms(value) {
  return `${value.toLocaleString('en-US', { maximumSignificantDigits: 3 })} ms`;
}

export function plural(count, one, many = `${one}s`) {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

function styled(style, text) {
  return hasColours ? styleText(style, text) : text;
}
