import { bytes, duration, integer } from '../text/text.js';
import type { LatencySummary } from './latencies.js';
import { GROUP_APPENDERS } from './measures.js';
import type { BenchResult } from './result.js';

const WIDTH = 720;
const HEIGHT = 300;
const MARGIN = { left: 70, right: 20, top: 16, bottom: 40 } as const;
const COLORS = ['#2a78d6', '#d9622b', '#3a9a55', '#8a5cc2'] as const;

/** The report as one self-contained HTML file, which loads nothing from elsewhere. */
export function reportHtml(result: BenchResult): string {
  const { machine, floor, durable, durableGrowing, groups, small, large, sequential } = result;
  const { sync, preallocation, compressed } = result;
  const curves: [string, LatencySummary][] = [
    ['write and fdatasync, the file grows', floor.growing],
    ['write and fdatasync, blocks allocated', floor.allocated],
    ['durable append', durable],
    ['durable append, --preallocate false', durableGrowing],
  ];
  const rates: [string, number, string][] = [
    [
      'fire and forget, 100 B',
      perSecond(small.bytes, small.ms),
      `${integer(perSecond(small.entries, small.ms))} entries/s`,
    ],
    [
      'fire and forget, 4 KiB',
      perSecond(large.bytes, large.ms),
      `${integer(perSecond(large.entries, large.ms))} entries/s`,
    ],
    ['the disk, 1 MiB writes', perSecond(sequential.bytes, sequential.ms), ''],
  ];
  const rows = curves.map(
    ([name, { count, p50Ms, p90Ms, p99Ms, maxMs }]) =>
      `<tr><td>${escaped(name)}</td>${[p50Ms, p90Ms, p99Ms, maxMs].map((ms) => `<td>${duration(ms)}</td>`).join('')}<td>${integer(count)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ringwal bench</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  table { border-collapse: collapse; width: 100%; } td, th { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid #8884; }
  td:first-child, th:first-child { text-align: left; }
  svg { width: 100%; height: auto; } svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
  .dim { opacity: .7; }
</style></head><body>
<h1>What this disk and this machine can do</h1>
<p class="dim">${escaped(`${machine.time}, ringwal ${machine.version}, Node.js ${machine.node}, ${machine.platform}, ${machine.cpus}`)}</p>
<p><b>Is fsync honest here? ${escaped(sync.answer)}.</b> ${escaped(sync.why)}</p>
<p><b>Is preallocate worth it? ${escaped(preallocation.answer)}.</b> ${escaped(preallocation.why)}</p>
<p><b>Does compression pay? ${escaped(compressed.answer)}.</b> ${escaped(compressed.why)}</p>
<h2>Latency</h2>
${latencyPlot(curves)}
<table><tr><th></th><th>p50</th><th>p90</th><th>p99</th><th>max</th><th>samples</th></tr>
${rows.join('\n')}</table>
<h2>Group commit</h2>
<p>${GROUP_APPENDERS} that each wait for their durable append: ${integer(perSecond(groups.entries, groups.ms))} entries/s, ${groups.entriesPerSync.toFixed(1)} to a sync, p50 ${duration(groups.latency.p50Ms)}, p99 ${duration(groups.latency.p99Ms)}.</p>
<h2>Throughput, until all of it is durable</h2>
${ratePlot(rates)}
</body></html>
`;
}

/** Plots the percentage of the calls (x) that take at most a time (y, logarithmic). */
function latencyPlot(curves: readonly (readonly [string, LatencySummary])[]): string {
  const times = curves.flatMap(([, { curve }]) => curve.map(([, ms]) => ms)).filter((ms) => ms > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...times)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...times)));
  const x = (percent: number) => MARGIN.left + (percent / 100) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (ms: number) => {
    const share = Math.log10(Math.max(ms, low) / low) / Math.max(1, Math.log10(high / low));
    return HEIGHT - MARGIN.bottom - share * (HEIGHT - MARGIN.top - MARGIN.bottom);
  };
  const parts: string[] = [];
  for (let ms = low; ms <= high * 1.001; ms *= 10) {
    parts.push(line(MARGIN.left, y(ms), WIDTH - MARGIN.right, y(ms)));
    parts.push(
      `<text x="${MARGIN.left - 8}" y="${fixed(y(ms) + 4)}" text-anchor="end">${duration(ms)}</text>`,
    );
  }
  for (const percent of [0, 25, 50, 75, 90, 99]) {
    parts.push(
      `<text x="${fixed(x(percent))}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${percent}</text>`,
    );
  }
  parts.push(`<text x="${WIDTH / 2}" y="${HEIGHT - 6}" text-anchor="middle">percent of the calls</text>`);
  for (const [at, [, { curve }]] of curves.entries()) {
    const points = curve.map(([percent, ms]) => `${fixed(x(percent))},${fixed(y(ms))}`).join(' ');
    parts.push(`<polyline points="${points}" fill="none" stroke="${COLORS[at]}" stroke-width="2"/>`);
  }
  const legend = curves.map(([name], at) => `<span style="color:${COLORS[at]}">■</span> ${escaped(name)}`);
  return `${svg(HEIGHT, parts)}<p>${legend.join('<br>')}</p>`;
}

function ratePlot(rates: readonly (readonly [string, number, string])[]): string {
  const largest = Math.max(1, ...rates.map(([, rate]) => rate));
  const parts = rates.flatMap(([name, rate, note], at) => {
    const top = at * 46 + 18;
    const width = Math.max(1, (rate / largest) * (WIDTH - 20));
    return [
      `<text x="0" y="${top - 4}">${escaped(`${name}: ${bytes(rate)}/s${note === '' ? '' : `, ${note}`}`)}</text>`,
      `<rect x="0" y="${top}" width="${fixed(width)}" height="18" fill="${COLORS[at]}"/>`,
    ];
  });
  return svg(rates.length * 46, parts);
}

function svg(height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img">${parts.join('')}</svg>`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}" stroke="#8886"/>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

export function perSecond(count: number, ms: number): number {
  return Math.round((count * 1000) / ms);
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
