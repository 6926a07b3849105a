/**
 * The SVG elements of the plots. Colours are classes with a rule for light and one for dark; the browser chooses by
 * the reader's setting. The card has its own background, so both are legible on any page.
 */

export const CARD_WIDTH = 760;
export const MARGIN = 24;
export const HEADER_HEIGHT = 66;

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/** Hues for lines in one plot. Colour-blind readers can distinguish them too. */
const HUES_LIGHT = ['#0969da', '#bf5700', '#1a7f5a', '#8250df', '#b8860b', '#c2388b', '#4f6d7a'];
const HUES_DARK = ['#58a6ff', '#f0883e', '#3fb98a', '#bc8cff', '#e3b341', '#f778ba', '#9fb8c4'];

const STYLE = `
text { font-family: ${FONT}; font-size: 12px; }
.title { font-size: 16px; font-weight: 600; }
.strong { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.floor-line { stroke-dasharray: 5 4; }
.spread { stroke-width: 1.5; opacity: 0.65; }
${theme({ ground: '#ffffff', edge: '#d1d9e0', ink: '#1f2328', faint: '#59636e', grid: '#e6eaef', ringwal: '#0969da', peer: '#8c959f', floor: '#c8ced5', hues: HUES_LIGHT })}
@media (prefers-color-scheme: dark) {
${theme({ ground: '#0d1117', edge: '#3d444d', ink: '#f0f6fc', faint: '#9198a1', grid: '#212830', ringwal: '#58a6ff', peer: '#7d8590', floor: '#3d444d', hues: HUES_DARK })}
}`;

interface Theme {
  readonly ground: string;
  readonly edge: string;
  readonly ink: string;
  readonly faint: string;
  readonly grid: string;
  readonly ringwal: string;
  readonly peer: string;
  readonly floor: string;
  readonly hues: readonly string[];
}

function theme({ ground, edge, ink, faint, grid, ringwal, peer, floor, hues }: Theme): string {
  return [
    `.ground { fill: ${ground}; stroke: ${edge}; }`,
    `text, .ink { fill: ${ink}; }`,
    `.faint { fill: ${faint}; }`,
    `.grid { stroke: ${grid}; }`,
    `.spread { stroke: ${ink}; }`,
    `.ringwal { fill: ${ringwal}; }`,
    `.peer { fill: ${peer}; }`,
    `.floor { fill: ${floor}; }`,
    `.hollow { fill: ${ground}; stroke: ${faint}; stroke-width: 2; }`,
    ...hues.map((hue, at) => `.hue${at} { fill: ${hue}; } .line.hue${at} { fill: none; stroke: ${hue}; }`),
    `.floor-hue { fill: ${faint}; } .line.floor-hue { fill: none; stroke: ${faint}; }`,
  ].join('\n');
}

/** A card of a given height with a title, a subtitle that explains the plot, and the elements of `body`. */
export function card(title: string, subtitle: string, height: number, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${CARD_WIDTH}" height="${height}" viewBox="0 0 ${CARD_WIDTH} ${height}" role="img" aria-label="${escapeText(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${CARD_WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN, 32, title, 'title'),
    text(MARGIN, 52, subtitle, 'faint'),
    ...body,
    '</svg>\n',
  ].join('\n');
}

export function text(x: number, y: number, content: string, classes = ''): string {
  return `<text x="${n(x)}" y="${n(y)}"${cssClass(classes)}>${escapeText(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, classes: string): string {
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}"${cssClass(classes)}/>`;
}

export function bar(x: number, y: number, width: number, height: number, classes: string): string {
  return `<rect x="${n(x)}" y="${n(y)}" width="${n(Math.max(width, 1))}" height="${n(height)}" rx="2"${cssClass(classes)}/>`;
}

export function dot(x: number, y: number, radius: number, classes: string): string {
  return `<circle cx="${n(x)}" cy="${n(y)}" r="${radius}"${cssClass(classes)}/>`;
}

export function polyline(points: readonly (readonly [number, number])[], classes: string): string {
  return `<polyline points="${points.map(([x, y]) => `${n(x)},${n(y)}`).join(' ')}"${cssClass(classes)}/>`;
}

function cssClass(classes: string): string {
  return classes === '' ? '' : ` class="${classes}"`;
}

function n(coordinate: number): string {
  return String(Math.round(coordinate * 10) / 10);
}

function escapeText(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
