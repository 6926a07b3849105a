const INTEGERS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function integer(value: number): string {
  return INTEGERS.format(value);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** `512 B`, `1.5 KiB`, `64 MiB`. */
export function bytes(count: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (count >= size) return `${trimmed(count / size)} ${unit}`;
  }
  return `${integer(count)} B`;
}

/** Three significant digits. */
function trimmed(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toFixed(digits).replace(/\.?0+$/, (zeros) => (zeros.includes('.') ? '' : zeros));
}

/** `12 µs`, `3.4 ms`, `2.1 s`. */
export function duration(ms: number): string {
  if (ms < 1) return `${trimmed(ms * 1000)} µs`;
  return ms < 1000 ? `${trimmed(ms)} ms` : `${trimmed(ms / 1000)} s`;
}

/** `1,234/s` */
export function perSecond(count: number, ms: number, unit: (value: number) => string = integer): string {
  return `${unit(ms > 0 ? (count * 1000) / ms : 0)}/s`;
}

/** The largest time that a Date can hold. */
const MAX_DATE_MS = 8.64e15;

/** Date and time in UTC, to the second. */
export function time(ms: number): string {
  // A number from a file may be beyond the range of a Date.
  if (ms > MAX_DATE_MS) return `${ms} ms`;
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** The same, to the millisecond. */
export function preciseTime(ms: number): string {
  return ms > MAX_DATE_MS ? time(ms) : new Date(ms).toISOString().replace('T', ' ');
}

/** `1 to 12`, `7`, `none`. A log that was emptied begins after its last entry. */
export function lsnRange(first: number, last: number): string {
  if (first === 0 || first > last) return 'none';
  return first === last ? integer(first) : `${integer(first)} to ${integer(last)}`;
}

const SPARKS = '▁▂▃▄▅▆▇█';

/** A curve on one line, from 0 to its largest value. */
export function sparkline(values: readonly number[]): string {
  const largest = Math.max(1, ...values);
  return values
    .map((value) => SPARKS[Math.round((Math.max(0, value) / largest) * (SPARKS.length - 1))])
    .join('');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the code looks for these characters
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Replaces control characters with visible ones: bytes from a log must not control the terminal. */
export function harmless(text: string): string {
  return text.replace(CONTROLS, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours are removed to count the visible characters
const COLORS = /\u001b\[\d+m/g;

export function visibleLength(text: string): number {
  return text.replace(COLORS, '').length;
}

/**
 * The part of `text` that fits into `width` columns. It keeps all colour codes, so that every colour that begins also
 * ends.
 */
export function clip(text: string, width: number): string {
  let room = width;
  let clipped = '';
  let at = 0;
  for (const { 0: color, index } of text.matchAll(COLORS)) {
    const piece = text.slice(at, index).slice(0, room);
    room -= piece.length;
    clipped += piece + color;
    at = index + color.length;
  }
  return clipped + text.slice(at).slice(0, room);
}

/** A word, or text in backquotes, which the user copies and so must not be wrapped. */
const WORDS = /`[^`]*`\S*|\S+/g;

/** Wraps `text` to lines of at most `width` columns; a longer word gets its own line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let end = 0;
  for (const { 0: word, index } of text.matchAll(WORDS)) {
    const line = lines.at(-1);
    const gap = text.slice(end, index);
    end = index + word.length;
    if (line === undefined || visibleLength(line + gap + word) > width) lines.push(word);
    else lines[lines.length - 1] = line + gap + word;
  }
  return lines;
}

/** A table with minimal column widths; the columns in `right` are aligned to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, visibleLength(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, at) => {
        const pad = ' '.repeat((widths[at] ?? 0) - visibleLength(cell));
        return right.includes(at) ? pad + cell : cell + pad;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** 16 bytes a line, as `hexdump -C`, or 8. */
export function hexDump(data: Uint8Array, firstOffset = 0, perLine: 8 | 16 = 16): string[] {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += perLine) {
    const row = data.subarray(at, at + perLine);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const text = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'));
    const offset = (firstOffset + at).toString(16).padStart(8, '0');
    const right = perLine === 8 ? '' : `  ${hex.slice(8).join(' ').padEnd(23)}`;
    lines.push(`${offset}  ${left}${right}  |${text.join('')}|`);
  }
  return lines;
}
