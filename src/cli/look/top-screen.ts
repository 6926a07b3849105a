import { basename } from 'node:path';
import type { HistogramReading } from '../../format/histogram-buckets.js';
import type { LaneFigures } from '../../format/stats-file.js';
import type { SegmentInfo } from '../../index.js';
import { bar, histogramBars } from '../terminal/bars.js';
import type { Colors } from '../terminal/output.js';
import {
  bytes,
  clip,
  duration,
  harmless,
  integer,
  lsnRange,
  plural,
  sparkline,
  table,
  time,
  visibleLength,
  wrap,
} from '../text/text.js';
import { byteRate, entryRate, type Reading } from './figures.js';
import { describeHolder } from './file-listing.js';
import { FRESH_MS, type Interval, liveInterval, type PublishedFigures } from './published-figures.js';

export interface TopView {
  readonly directory: string;
  /** Oldest first; the last one is the current reading. */
  readonly readings: readonly Reading[];
  readonly segments: readonly SegmentInfo[];
  readonly beganMs: number;
}

export interface ScreenSize {
  readonly rows: number;
  readonly columns: number;
}

/** Lines of the screen other than bars, lanes and segments. */
const OTHER_LINES = 17;
const SEGMENTS_MIN = 2;
const BARS_MIN = 2;
const BARS_MAX = 8;
/** Minimum width of a histogram. */
const PANEL_COLUMNS = 36;
const BAR_COLUMNS = 40;

/** A screen of at most `rows` lines, none wider than the window. */
export function drawTop(view: TopView, colors: Colors, { rows, columns }: ScreenSize): string[] {
  const now = view.readings.at(-1) as Reading;
  const { published } = now;
  const figures = 'counters' in published ? published : undefined;
  const room = Math.max(0, rows - OTHER_LINES);
  const barRows = Math.min(BARS_MAX, Math.max(BARS_MIN, Math.floor(room / 2)));
  const laneRows = Math.max(1, room - barRows - SEGMENTS_MIN);
  const lines = [
    `${colors.bold(harmless(view.directory))}  open for writing: ${describeHolder(now.lock)}  ${time(now.timeMs)}`,
    ...describeAge(now, colors, columns),
    '',
    ...facts(view.readings, colors),
    '',
  ];
  if (figures !== undefined) {
    lines.push(...histograms(figures, colors, barRows, columns), '');
    lines.push(...lanes(figures, colors, laneRows, columns), '');
  }
  const left = rows - lines.length - 1;
  if (left >= 1) lines.push(...segmentList(view, colors, left, columns));
  return lines.slice(0, rows).map((line) => clip(line, columns));
}

function describeAge(reading: Reading, { yellow, dim }: Colors, columns: number): string[] {
  const { text, isAsUsual } = ageOf(reading);
  return wrap(text, columns).map(isAsUsual ? dim : yellow);
}

function ageOf({ published, lock, lastLsn }: Reading): { text: string; isAsUsual: boolean } {
  switch (published.state) {
    case 'none':
      return lock.isHeld === false
        ? asUsual('No process has the log open, so there are no figures of a running log.')
        : unusual(
            'The log publishes no figures: it was opened less than a second ago, it has not synced since its first second, or its version publishes none.',
          );
    case 'unreadable':
      return unusual(`The figures of the log cannot be read: ${harmless(published.why)}.`);
    case 'ended':
      return unusual(
        `The figures are the last ones of process ${published.pid}, ${duration(published.ageMs)} old: it ended without closing the log.`,
      );
    case 'running': {
      const age = duration(Math.round(published.ageMs));
      if (published.ageMs <= FRESH_MS) {
        const { interval } = published;
        const of = interval === undefined ? 'since it was opened' : `of ${duration(interval.ms)}`;
        return asUsual(`figures of the running log ${of}, published ${age} ago`);
      }
      return lastLsn > published.counters.lastLsn
        ? unusual(`The figures are ${age} old: entries were written since, and no sync has returned.`)
        : unusual(`The figures are ${age} old: nothing was synced since.`);
    }
  }
}

function asUsual(text: string): { text: string; isAsUsual: boolean } {
  return { text, isAsUsual: true };
}

function unusual(text: string): { text: string; isAsUsual: boolean } {
  return { text, isAsUsual: false };
}

function facts(readings: readonly Reading[], colors: Colors): string[] {
  const now = readings.at(-1) as Reading;
  const rates = readings.slice(1);
  const curve = (of: (reading: Reading) => number) => colors.cyan(sparkline(rates.map(of)));
  const rows = [
    ['entries', lsnRange(now.firstLsn, now.lastLsn), `${integer(entryRate(now))}/s`, curve(entryRate)],
    ['frames', bytes(now.logBytes), `${bytes(byteRate(now))}/s`, curve(byteRate)],
  ];
  const { published } = now;
  if ('counters' in published) {
    const { counters } = published;
    for (const [name, total, of] of [
      ['groups', counters.groups, ({ groupsPerSecond }: Interval) => groupsPerSecond],
      ['syncs', counters.syncs, ({ syncsPerSecond }: Interval) => syncsPerSecond],
    ] as const) {
      const rate = (reading: Reading) => {
        const interval = liveInterval(reading.published);
        return interval === undefined ? 0 : of(interval);
      };
      rows.push([name, integer(total), `${integer(rate(now))}/s`, curve(rate)]);
    }
  }
  rows.push(['not known durable', integer(now.undurable), '', describeCheckpoints(now)]);
  rows.push(['on disk', bytes(now.diskBytes), '', `${bytes(now.sideFileBytes)} in side files`]);
  const lines = table(rows, [2]);
  if ('counters' in published) lines.push(sinceOpening(published, colors));
  return lines;
}

/** If there are several, describes the one that holds back the most. */
function describeCheckpoints({ checkpointLsn, checkpoints, lastLsn }: Reading): string {
  const [lowest] = checkpoints;
  if (lowest === undefined || (checkpointLsn > 0 && checkpointLsn <= lowest.lsn))
    return checkpointLsn === 0 ? 'no checkpoint' : `checkpoint ${integer(checkpointLsn)}`;
  return `checkpoint ${integer(lowest.lsn)} (${harmless(lowest.name)}, ${integer(Math.max(0, lastLsn - lowest.lsn))} behind)`;
}

function sinceOpening({ counters, uptimeMs }: PublishedFigures, { dim, red }: Colors): string {
  const { rotations, removed, rejected, retries, lanesGone } = counters;
  const alarming = (count: number, text: string) => (count > 0 ? red(text) : text);
  const parts = [
    plural(rotations, 'rotation'),
    `${plural(removed, 'segment')} removed`,
    alarming(rejected, `${plural(rejected, 'entry', 'entries')} rejected`),
    alarming(retries, plural(retries, 'retry', 'retries')),
    `${plural(lanesGone, 'lane')} gone`,
  ];
  return `${dim(`open for ${duration(uptimeMs)}:`)} ${parts.join(', ')}`;
}

/** Histograms side by side, as many as fit: fsync first. */
function histograms(figures: PublishedFigures, colors: Colors, barRows: number, columns: number): string[] {
  const source = figures.interval ?? figures;
  const micros = (value: number) => duration(value / 1000);
  const all: readonly [string, HistogramReading, (value: number) => string][] = [
    ['fsync latency', source.syncMicros, micros],
    ['group size, entries', source.groupEntries, integer],
    ['write latency', source.writeMicros, micros],
  ];
  const count = Math.max(1, Math.min(all.length, Math.floor((columns + 3) / (PANEL_COLUMNS + 3))));
  const width = Math.floor((columns - 3 * (count - 1)) / count);
  const panels = all.slice(0, count).map(([title, reading, label]) => {
    const { p50, p99, max } = reading;
    const summary = reading.count === 0 ? 'none' : `p50 ${label(p50)} p99 ${label(p99)} max ${label(max)}`;
    const bars = histogramBars(reading, label, barRows, width);
    return [colors.bold(title), summary, ...bars.map((line) => colors.green(line))];
  });
  const height = Math.max(...panels.map((panel) => panel.length));
  return Array.from({ length: height }, (_, row) =>
    panels
      .map((panel) => {
        const cell = clip(panel[row] ?? '', width);
        return cell + ' '.repeat(width - visibleLength(cell));
      })
      .join('   ')
      .trimEnd(),
  );
}

/** The rings of the lanes. If not all fit, the fullest come first. */
function lanes(figures: PublishedFigures, colors: Colors, rowsMax: number, columns: number): string[] {
  const { lanes: all, interval, counters } = figures;
  const share = ({ ringUsed, ringBytes }: { ringUsed: number; ringBytes: number }) =>
    ringBytes === 0 ? 0 : ringUsed / ringBytes;
  const shown = [...all]
    .sort((a, b) => share(b) - share(a) || a.index - b.index)
    .slice(0, rowsMax)
    .sort((a, b) => a.index - b.index);
  const rates = new Map(interval?.lanes.map(({ index, entriesPerSecond }) => [index, entriesPerSecond]));
  const width = Math.max(4, Math.min(BAR_COLUMNS, columns - 70));
  const rows = shown.map((lane) => {
    const full = share(lane);
    const color = full >= 0.9 ? colors.red : full >= 0.5 ? colors.yellow : colors.green;
    const drawn = bar(full, width);
    const rate = rates.get(lane.index);
    return [
      `lane ${lane.index}`,
      color(drawn) + colors.dim('·'.repeat(Math.max(0, width - drawn.length))),
      `${Math.round(full * 100)} %`,
      `${bytes(lane.ringUsed)} of ${bytes(lane.ringBytes)}`,
      rate === undefined ? '' : `${integer(rate)} entries/s`,
      colors.yellow(lackOfRoom(lane)),
    ];
  });
  const hidden = counters.lanes - shown.length;
  const more = hidden > 0 ? `, the fullest ${shown.length} of them` : '';
  return [`${colors.bold('rings')}  ${plural(counters.lanes, 'lane')}${more}`, ...table(rows, [2, 4])];
}

/** The bytes that wait now, and the counts of missing room since the lane was attached. */
function lackOfRoom({ waiting, refused, queued, waits, dropped }: LaneFigures): string {
  return [
    waiting > 0 ? `${integer(waiting)} beside it` : '',
    refused > 0 ? `${integer(refused)} refused` : '',
    queued > 0 ? `${integer(queued)} queued` : '',
    waits > 0 ? plural(waits, 'wait') : '',
    dropped > 0 ? `${plural(dropped, 'line')} dropped` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function segmentList(
  { segments, beganMs, readings }: TopView,
  colors: Colors,
  rowsMax: number,
  columns: number,
): string[] {
  const now = readings.at(-1) as Reading;
  const largest = Math.max(1, ...segments.map((segment) => segment.bytes));
  const width = Math.max(4, Math.min(BAR_COLUMNS, columns - 60));
  const listed = segments.slice(-rowsMax).reverse();
  const rows = listed.map((segment) => [
    basename(segment.path),
    lsnRange(segment.firstLsn, segment.lastLsn),
    bytes(segment.bytes),
    colors.green(bar(segment.bytes / largest, width)),
  ]);
  const watchedSeconds = Math.round((now.timeMs - beganMs) / 1000);
  return [
    `${colors.bold(plural(now.segments, 'segment'))}  watched for ${watchedSeconds} s`,
    ...table(rows, [2]),
  ];
}
