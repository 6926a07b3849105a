/** The README has no figure of speed that the last whole run of the benchmarks did not print. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The cells of the table between two places of a document, without its head and its first column. */
function cellsOf(document: string, from: string, to: string): string[] {
  const section = document.slice(document.indexOf(from), document.indexOf(to));
  return section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .flatMap((line) =>
      line
        .split('|')
        .slice(2)
        .map((cell) => cell.trim()),
    )
    .filter((cell) => cell !== '');
}

test('each figure in the table of the README is a median in bench/results.md', () => {
  const figures = cellsOf(readFileSync(join(ROOT, 'README.md'), 'utf8'), '\n## Speed', '\n![');
  assert.ok(figures.length > 10, `${figures.length} figures`);
  const results = readFileSync(join(ROOT, 'bench/results.md'), 'utf8');
  const medians = new Set([...results.matchAll(/\| ([\d.,]+)(?= \(| \|)/g)].map(([, median]) => median));
  assert.deepEqual(
    figures.filter((figure) => !medians.has(figure)),
    [],
  );
});
