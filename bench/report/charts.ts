import type { Spread } from '../measure/statistics.js';
import { formatFigure } from '../metrics.js';
import { type Axis, linearAxis, logAxis } from './scale.js';
import { bar, CARD_WIDTH, card, dot, HEADER_HEIGHT, line, MARGIN, polyline, text } from './svg.js';

export interface Row {
  readonly label: string;
  readonly kind: 'ringwal' | 'peer' | 'floor';
}

const ROW_HEIGHT = 30;
const BAR_HEIGHT = 16;
const LABEL_WIDTH = 140;
const VALUE_WIDTH = 66;
const AXIS_HEIGHT = 44;
/** Figures within this ratio get a linear axis, because a logarithmic one would have few ticks. */
const LINEAR_SPAN = 8;
const PLOT_LEFT = MARGIN + LABEL_WIDTH + 10;
const PLOT_RIGHT = CARD_WIDTH - MARGIN - VALUE_WIDTH;

/** A bar for each row: its median, with a whisker from the first to the third quartile. */
export function barChart(
  title: string,
  subtitle: string,
  unit: string,
  rows: readonly (Row & { readonly spread: Spread })[],
): string {
  const axis = linearAxis(Math.max(...rows.map(({ spread }) => spread.q3)), PLOT_LEFT, PLOT_RIGHT);
  return rowChart(title, subtitle, unit, axis, rows, ({ kind, spread }, y) => {
    const end = axis.place(spread.median);
    return [
      bar(PLOT_LEFT, y - BAR_HEIGHT / 2, end - PLOT_LEFT, BAR_HEIGHT, kind),
      line(axis.place(spread.q1), y, axis.place(spread.q3), y, 'spread'),
      text(Math.max(end, axis.place(spread.q3)) + 7, y + 4, formatFigure(spread.median), emphasis(kind)),
    ];
  });
}

/** A distribution for each row, on a logarithmic axis: whiskers, box, and a dot for the median. */
export function rangeChart(
  title: string,
  subtitle: string,
  unit: string,
  rows: readonly (Row & {
    readonly low: number;
    readonly boxLow: number;
    readonly median: number;
    readonly boxHigh: number;
    readonly high: number;
  })[],
): string {
  const axis = logAxis(
    Math.min(...rows.map(({ low }) => low)),
    Math.max(...rows.map(({ high }) => high)),
    PLOT_LEFT,
    PLOT_RIGHT,
  );
  return rowChart(title, subtitle, unit, axis, rows, ({ kind, low, boxLow, median, boxHigh, high }, y) => [
    line(axis.place(low), y, axis.place(high), y, 'spread'),
    line(axis.place(low), y - 4, axis.place(low), y + 4, 'spread'),
    line(axis.place(high), y - 4, axis.place(high), y + 4, 'spread'),
    bar(axis.place(boxLow), y - BAR_HEIGHT / 2, axis.place(boxHigh) - axis.place(boxLow), BAR_HEIGHT, kind),
    dot(axis.place(median), y, 3.5, 'ink'),
    text(CARD_WIDTH - MARGIN, y + 4, formatFigure(median), `end ${emphasis(kind)}`),
  ]);
}

/** Two figures for each row: a hollow dot before and a full dot after. */
export function pairChart(
  title: string,
  subtitle: string,
  unit: string,
  rows: readonly (Row & { readonly from: number; readonly to: number })[],
): string {
  const all = rows.flatMap(({ from, to }) => [from, to]);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const axis =
    most < LINEAR_SPAN * least
      ? linearAxis(most, PLOT_LEFT, PLOT_RIGHT)
      : logAxis(least, most, PLOT_LEFT, PLOT_RIGHT);
  return rowChart(title, subtitle, unit, axis, rows, ({ kind, from, to }, y) => [
    line(axis.place(from), y, axis.place(to), y, 'spread'),
    dot(axis.place(from), y, 5, 'hollow'),
    dot(axis.place(to), y, 6, kind),
    text(CARD_WIDTH - MARGIN, y + 4, formatFigure(to), `end ${emphasis(kind)}`),
  ]);
}

function rowChart<R extends Row>(
  title: string,
  subtitle: string,
  unit: string,
  axis: Axis,
  rows: readonly R[],
  draw: (row: R, y: number) => string[],
): string {
  const bottom = HEADER_HEIGHT + rows.length * ROW_HEIGHT;
  const ticks = axis.ticks.flatMap((tick) => [
    line(axis.place(tick), HEADER_HEIGHT, axis.place(tick), bottom, 'grid'),
    text(axis.place(tick), bottom + 16, formatFigure(tick), 'faint middle'),
  ]);
  const drawn = rows.flatMap((row, at) => {
    const y = HEADER_HEIGHT + (at + 0.5) * ROW_HEIGHT;
    const label = text(MARGIN + LABEL_WIDTH, y + 4, row.label, `end ${emphasis(row.kind)}`);
    return [label, ...draw(row, y)];
  });
  const caption = text((PLOT_LEFT + PLOT_RIGHT) / 2, bottom + 34, unit, 'faint middle');
  return card(title, subtitle, bottom + AXIS_HEIGHT, [...ticks, ...drawn, caption]);
}

function emphasis(kind: Row['kind']): string {
  return kind === 'ringwal' ? 'strong' : kind === 'floor' ? 'faint' : '';
}

const LINES_HEIGHT = 300;
const LINES_LEFT = MARGIN + 48;
const LINES_RIGHT = CARD_WIDTH - MARGIN - 150;
const LABEL_HEIGHT = 17;

/** Lines over a few named points, on a logarithmic axis, each with its name at its right end. */
export function lineChart(
  title: string,
  subtitle: string,
  caption: string,
  places: readonly string[],
  rows: readonly (Row & { readonly values: readonly (number | undefined)[] })[],
): string {
  const all = rows.flatMap(({ values }) => values.filter((value) => value !== undefined));
  const top = HEADER_HEIGHT + 6;
  const bottom = top + LINES_HEIGHT;
  const axis = logAxis(Math.min(...all), Math.max(...all), bottom, top);
  const xOf = (at: number) => LINES_LEFT + (at / Math.max(1, places.length - 1)) * (LINES_RIGHT - LINES_LEFT);
  const drawn = rows.map((row, at) => {
    const points = row.values.flatMap((value, place) =>
      value === undefined ? [] : [[xOf(place), axis.place(value)] as const],
    );
    const hue = row.kind === 'floor' ? 'floor-hue' : `hue${hueOf(rows, at)}`;
    return { row, points, hue, endY: points.at(-1)?.[1] ?? bottom };
  });
  const labelYs = spreadOut(
    drawn.map(({ endY }) => endY),
    top,
    bottom,
  );
  const body = [
    ...axis.ticks.flatMap((tick) => [
      line(LINES_LEFT, axis.place(tick), LINES_RIGHT, axis.place(tick), 'grid'),
      text(LINES_LEFT - 10, axis.place(tick) + 4, formatFigure(tick), 'faint end'),
    ]),
    ...places.map((place, at) => text(xOf(at), bottom + 20, place, 'faint middle')),
    text((LINES_LEFT + LINES_RIGHT) / 2, bottom + 38, caption, 'faint middle'),
    // ringwal is drawn last, on top of the others.
    ...[...drawn]
      .reverse()
      .flatMap(({ row, points, hue }) => [
        polyline(points, `line ${hue}${row.kind === 'floor' ? ' floor-line' : ''}`),
        ...points.map(([x, y]) => dot(x, y, row.kind === 'ringwal' ? 4.5 : 3, hue)),
      ]),
    ...drawn.map(({ row, hue }, at) =>
      text(LINES_RIGHT + 14, (labelYs[at] as number) + 4, row.label, `${hue} ${emphasis(row.kind)}`),
    ),
  ];
  return card(title, subtitle, bottom + AXIS_HEIGHT + 4, body);
}

/** The floor has its own colour and uses none of the hues. */
function hueOf(rows: readonly Row[], at: number): number {
  return rows.slice(0, at).filter(({ kind }) => kind !== 'floor').length;
}

/** Moves overlapping labels apart, each as little as its neighbours allow. */
function spreadOut(wanted: readonly number[], top: number, bottom: number): number[] {
  const order = wanted.map((_, at) => at).sort((a, b) => (wanted[a] as number) - (wanted[b] as number));
  const placed = [...wanted];
  let free = top;
  for (const at of order) {
    placed[at] = Math.max(placed[at] as number, free);
    free = (placed[at] as number) + LABEL_HEIGHT;
  }
  let limit = bottom;
  for (const at of order.reverse()) {
    placed[at] = Math.min(placed[at] as number, limit);
    limit = (placed[at] as number) - LABEL_HEIGHT;
  }
  return placed;
}
