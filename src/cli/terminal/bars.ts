import type { HistogramReading } from '../../format/histogram-buckets.js';
import { integer, table } from '../text/text.js';

const EIGHTHS = ' ▏▎▍▌▋▊▉█';

/** A bar of `share` of `width` columns, exact to an eighth of a column. A share above 0 is always visible. */
export function bar(share: number, width: number): string {
  const eighths = share <= 0 ? 0 : Math.max(1, Math.round(Math.min(1, share) * width * 8));
  const full = '█'.repeat(Math.floor(eighths / 8));
  return eighths % 8 === 0 ? full : full + EIGHTHS[eighths % 8];
}

interface Bin {
  /** The lowest value in this class. */
  readonly from: number;
  count: number;
}

/**
 * A histogram as horizontal bars, at most `rows` of them. Each bar counts the values from its label up to the next
 * label. The labels are powers of two, or of four, eight and so on if there would be too many bars. `width`: columns,
 * including labels.
 */
export function histogramBars(
  reading: Pick<HistogramReading, 'buckets'>,
  label: (from: number) => string,
  rows: number,
  width: number,
): string[] {
  const bins = binsOf(reading, rows);
  const largest = Math.max(1, ...bins.map(({ count }) => count));
  const labels = bins.map(({ from }) => label(from));
  const counts = bins.map(({ count }) => integer(count));
  const longest = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => text.length));
  const room = Math.max(1, width - longest(labels) - longest(counts) - 4);
  const lines = bins.map(({ count }, at) => [
    labels[at] as string,
    bar(count / largest, room).padEnd(room),
    counts[at] as string,
  ]);
  return table(lines, [0, 2]);
}

function binsOf({ buckets }: Pick<HistogramReading, 'buckets'>, rows: number): Bin[] {
  const first = buckets[0];
  const last = buckets.at(-1);
  if (first === undefined || last === undefined) return [];
  const lowest = powerOf(first.below - 1);
  const powers = powerOf(last.below - 1) - lowest + 1;
  const perBin = Math.ceil(powers / Math.max(1, rows));
  const bins: Bin[] = [];
  for (let power = lowest; power < lowest + powers; power += perBin) {
    bins.push({ from: power === 0 ? 0 : 2 ** (power - 1), count: 0 });
  }
  for (const { below, count } of buckets) {
    const bin = bins[Math.floor((powerOf(below - 1) - lowest) / perBin)] as Bin;
    bin.count += count;
  }
  return bins;
}

/** 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7, … */
function powerOf(value: number): number {
  return value < 1 ? 0 : Math.floor(Math.log2(value)) + 1;
}
