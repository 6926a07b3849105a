import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Who may import whom. Dependencies point one way, from the caller of `append` to the bytes. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  format: [],
  files: [],
  ring: ['format'],
  worker: ['ring', 'format', 'files'],
  main: ['ring', 'format', 'files'],
  // The public API (src/index.ts) first; the bytes themselves where a command shows them.
  cli: ['format', 'files'],
  // A log's own threads, on a simulated machine. Of `main` types only: its code is that of src/index.ts.
  testing: ['worker', 'ring', 'format', 'files'],
  // What the exporters give, of the figures of `stats()`.
  metrics: ['ring'],
};

/** Of the writer's code the opening thread takes types only, and the layout of the words between the two threads. */
const MAIN_MAY_RUN_OF_WORKER = ['worker/sync/sync-words.ts'];

/** No `node:`, no Buffer, no timers: these folders compile with `types: []`. */
const PURE = ['format', 'ring'];

interface Import {
  readonly file: string;
  readonly target: string;
  readonly isTypeOnly: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('assembly'))
    .map((name) => `${folder}/${name}`);
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)';/gm);
  return [...statements].map(([, type, specifier = '']) => ({
    file,
    target: specifier.startsWith('.')
      ? relative(join(root, 'src'), join(root, dirname(file), specifier)).replace(/\.js$/, '.ts')
      : specifier,
    isTypeOnly: type !== undefined,
  }));
}

for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
  test(`src/${folder} imports only ${['itself', ...allowed].join(', ')}`, () => {
    const offending = sourceFiles(`src/${folder}`)
      .flatMap(importsOf)
      .filter(({ target }) => /^(format|files|ring|worker|main|cli|metrics|testing)\//.test(target))
      .filter(({ target, isTypeOnly }) => {
        const to = target.split('/')[0] as string;
        if (to === folder || allowed.includes(to)) return false;
        if (folder === 'testing' && to === 'main' && isTypeOnly) return false;
        return !(
          folder === 'main' &&
          to === 'worker' &&
          (isTypeOnly || MAIN_MAY_RUN_OF_WORKER.includes(target))
        );
      });
    assert.deepEqual(offending, []);
  });
}

for (const folder of PURE) {
  test(`src/${folder} imports nothing of Node`, () => {
    const offending = sourceFiles(`src/${folder}`)
      .flatMap(importsOf)
      .filter(({ target }) => target.startsWith('node:'));
    assert.deepEqual(offending, []);
  });
}

test('only src/files opens, writes, renames or removes files', () => {
  const offending = ['src/main', 'src/worker', 'src/ring', 'src/format']
    .flatMap(sourceFiles)
    .flatMap(importsOf)
    .filter(({ target }) => /^node:fs/.test(target));
  // A last word on standard error when no event loop is left to tell it by.
  assert.deepEqual(
    offending.map(({ file }) => file),
    ['src/main/error-reporter.ts'],
  );
});

test('every export of the package is named', () => {
  assert.doesNotMatch(readFileSync(join(root, 'src/index.ts'), 'utf8'), /export \*/);
});

test('sources carry no leftovers', () => {
  const offending = ['src', 'test', 'bench', 'examples'].flatMap(sourceFiles).filter((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return file !== 'test/tidy/imports.test.ts' && /\b(TODO|FIXME|XXX)\b|\.only\(|debugger;/.test(text);
  });
  assert.deepEqual(offending, []);
});
