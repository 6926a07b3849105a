import { clearLine, cursorTo } from 'node:readline';
import { styleText } from 'node:util';

const out = process.stdout;
const hasColours = out.isTTY && !process.env.NO_COLOR;
const REDRAW_MS = 50;
const BAR_WIDTH = 30;
const LABEL_WIDTH = 14;

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
  say(`   ${label.padEnd(LABEL_WIDTH)}${text}`);
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

/** Progress: drawn in place on a terminal, otherwise a line for each quarter. */
export class Progress {
  #label;
  #total;
  #shown = '';
  #shownAt = 0;
  #quarters;

  constructor(label, total, from = 0) {
    this.#label = label;
    this.#total = total;
    this.#quarters = this.#quartersOf(from);
  }

  show(count) {
    if (out.isTTY) {
      const now = performance.now();
      if (now - this.#shownAt < REDRAW_MS) return;
      this.#shownAt = now;
      this.#redraw(count);
    } else if (this.#quartersOf(count) > this.#quarters) {
      this.#quarters = this.#quartersOf(count);
      this.#print(count);
    }
  }

  /** Leaves the last state on the screen. */
  end(count) {
    if (out.isTTY) {
      this.#redraw(count);
      say();
    } else {
      this.#print(count);
    }
  }

  #redraw(count) {
    const filled = this.#total === 0 ? 0 : Math.round((BAR_WIDTH * count) / this.#total);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
    clearLine(out, 0);
    cursorTo(out, 0);
    out.write(`   ${this.#label.padEnd(LABEL_WIDTH)}${bar} ${this.#counted(count)}`);
  }

  #print(count) {
    const text = this.#counted(count);
    if (text !== this.#shown) field(this.#label, text);
    this.#shown = text;
  }

  #quartersOf(count) {
    return this.#total === 0 ? 0 : Math.floor((4 * count) / this.#total);
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
