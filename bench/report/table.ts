import { contenderNamed } from '../contenders/all.js';
import { type GoalResult, judgeGoals } from '../goals.js';
import { formatMachine, formatSource } from '../machine.js';
import type { Spread } from '../measure/statistics.js';
import { formatFigure, METRICS, type MetricName } from '../metrics.js';
import { findCase, kindOf, type Results, spreadOfCase } from '../results.js';
import type { Workload } from '../workloads/workload.js';

/** The whole report in Markdown. */
export function formatReport(results: Results, workloads: readonly Workload[]): string {
  const measured = workloads.filter(({ name }) => results.cases.some(({ workload }) => workload === name));
  const parts = [
    '# Benchmark results',
    'Written by `npm run bench`; [README.md](README.md) says how each figure is taken. Median (first to third ' +
      `quartile) of ${countOf(results.rounds, 'round')}${results.scale === 'quick' ? ', quick: small amounts, loud figures' : ''}${results.source === undefined ? '' : `, of ${formatSource(results.source)}`}.`,
    formatMachine(results.machine).replace('\n', '\n\n'),
    formatGoals(judgeGoals(results)),
    ...measured.map((workload) => formatWorkload(results, workload)),
    formatNotes(results, measured),
    formatSkipped(results),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** For the terminal as well as for the report. */
export function formatGoals(goals: readonly GoalResult[]): string {
  const rows = goals
    .filter(({ measured }) => measured !== undefined)
    .map(({ what, goal, measured, isMet, unit }) => {
      const value = `${formatSpread(measured as Spread)}${unit === '×' ? ' ×' : ''}`;
      return [what, goal, value, isMet ? 'yes' : '**no**'];
    });
  return rows.length === 0 ? '' : `## Goals\n\n${formatTable(['what', 'goal', 'measured', 'met'], rows)}`;
}

function formatWorkload(results: Results, workload: Workload): string {
  const sizes = workload
    .sizes(results.scale)
    .filter((entryBytes) => workload.contenders.some((contender) => hasCase(contender, entryBytes)));
  function hasCase(contender: string, entryBytes: number): boolean {
    return findCase(results, { workload: workload.name, contender, entryBytes }) !== undefined;
  }
  const tables =
    sizes.length === 1
      ? [formatByMetric(results, workload)]
      : workload.metrics.map((metric) => formatBySize(results, workload, metric, sizes));
  return [`## ${workload.title}`, workload.note, ...tables.filter((table) => table !== '')].join('\n\n');
}

/** A row for each contender, a column for each figure. */
function formatByMetric(results: Results, workload: Workload): string {
  const metrics = workload.metrics.filter((metric) =>
    workload.contenders.some((contender) => cell(results, workload, contender, metric) !== ''),
  );
  const rows = workload.contenders.map((contender) => [
    nameOf(contender),
    ...metrics.map((metric) => cell(results, workload, contender, metric)),
  ]);
  return formatTable(['', ...metrics.map((metric) => METRICS[metric].label)], withFigures(rows));
}

/** A row for each contender, a column for each size of entry. */
function formatBySize(
  results: Results,
  workload: Workload,
  metric: MetricName,
  sizes: readonly number[],
): string {
  const rows = workload.contenders.map((contender) => [
    nameOf(contender),
    ...sizes.map((entryBytes) => cell(results, workload, contender, metric, entryBytes)),
  ]);
  return formatTable([METRICS[metric].label, ...sizes.map(formatSize)], withFigures(rows));
}

function cell(
  results: Results,
  workload: Workload,
  contender: string,
  metric: MetricName,
  entryBytes?: number,
): string {
  const key = { workload: workload.name, contender, ...(entryBytes === undefined ? {} : { entryBytes }) };
  const spread = spreadOfCase(findCase(results, key), metric);
  return spread === undefined ? '' : formatSpread(spread);
}

function withFigures(rows: readonly string[][]): string[][] {
  return rows.filter(([, ...cells]) => cells.some((text) => text !== ''));
}

function formatNotes(results: Results, workloads: readonly Workload[]): string {
  const names = new Set(workloads.flatMap(({ contenders }) => contenders));
  const notes = [...names].flatMap((name) => {
    const contender = contenderNamed(name);
    const isMeasured = results.cases.some(({ contender: measured }) => measured === name);
    return contender === undefined || !isMeasured ? [] : [`- ${name}: ${contender.note}.`];
  });
  return notes.length === 0 ? '' : `## Who is compared\n\n${notes.join('\n')}`;
}

function formatSkipped({ skipped }: Results): string {
  if (skipped.length === 0) return '';
  return `## Not measured\n\n${skipped.map(({ what, why }) => `- ${what}: ${why.replaceAll('\n', ' ')}`).join('\n')}`;
}

function nameOf(contender: string): string {
  return kindOf(contender) === 'ringwal' ? `**${contender}**` : contender;
}

function formatSpread({ median, q1, q3, rounds }: Spread): string {
  const [text, low, high] = [median, q1, q3].map(formatFigure);
  return rounds === 1 || low === high ? (text as string) : `${text} (${low}–${high})`;
}

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

export function formatSize(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
