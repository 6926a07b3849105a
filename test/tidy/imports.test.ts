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
  // What the threads say to each other.
  protocol: [],
  ring: ['format'],
  // What is inside a block: Node's codecs, over the bytes of `format`.
  blocks: ['format'],
  // The shipper and the adapters: of a log they know its entries.
  replica: ['format', 'files'],
  worker: ['protocol', 'ring', 'blocks', 'format', 'files', 'replica'],
  main: ['protocol', 'ring', 'blocks', 'format', 'files', 'replica'],
  // The public API (src/index.ts) first; the bytes themselves where a command shows them.
  cli: ['blocks', 'format', 'files'],
  // A log's own threads, on a simulated machine. Of `main` types only: its code is that of src/index.ts.
  testing: ['protocol', 'worker', 'ring', 'format', 'files', 'replica'],
  // What the exporters give, of the figures of `stats()`.
  metrics: ['ring'],
};

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
      .filter(({ target }) =>
        /^(format|files|protocol|ring|blocks|replica|worker|main|cli|metrics|testing)\//.test(target),
      )
      .filter(({ target, isTypeOnly }) => {
        const to = target.split('/')[0] as string;
        if (to === folder || allowed.includes(to)) return false;
        // Of a job the opening thread knows what it answers, and runs none of it; so does a simulated machine of the opening thread.
        return !(
          isTypeOnly &&
          ((folder === 'main' && to === 'worker') || (folder === 'testing' && to === 'main'))
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

test('no room imports another one that imports it, in however many steps', () => {
  const targets = new Map<string, Set<string>>();
  for (const { file, target } of sourceFiles('src').flatMap(importsOf)) {
    const [from, to] = [dirname(relative('src', file)), dirname(target)];
    // The entry points of the package stand in src itself: what they export is what the other rooms are for.
    if (!target.endsWith('.ts') || from === to || from === '.' || to === '.') continue;
    targets.set(from, (targets.get(from) ?? new Set()).add(to));
  }
  const circles: string[] = [];
  const visit = (room: string, way: readonly string[]): void => {
    for (const next of targets.get(room) ?? []) {
      if (next === way[0]) circles.push([...way, next].join(' → '));
      // Each circle is found from its first room in the alphabet.
      else if (next > (way[0] as string) && !way.includes(next)) visit(next, [...way, next]);
    }
  };
  for (const room of targets.keys()) visit(room, [room]);
  assert.deepEqual(circles, []);
});

test('only src/files opens, writes, renames or removes files', () => {
  const offending = ['src/main', 'src/worker', 'src/ring', 'src/format']
    .flatMap(sourceFiles)
    .flatMap(importsOf)
    .filter(({ target }) => /^node:fs/.test(target));
  // A last word on standard error when no event loop is left to tell it by.
  assert.deepEqual(
    offending.map(({ file }) => file),
    ['src/main/log/error-reporter.ts'],
  );
});

test('one file opens files: what bears a name may be a FIFO, and whoever opens that by himself waits for ever', () => {
  const opening = ['src/files', 'src/main', 'src/worker', 'src/cli'].flatMap(sourceFiles).filter((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const names = [...text.matchAll(/import ([^;]*?) from 'node:fs(?:\/promises)?'/g)].map(
      ([, list]) => list,
    );
    return names.some((list) =>
      /\b(open|openSync|readFile|readFileSync|createReadStream|createWriteStream)\b/.test(list ?? ''),
    );
  });
  // The input of `append` may be a pipe, `bench` writes into a directory that it has just made, the lock's note asks the system which
  // boot this is, and the loader of modules looks whether it can read its own file.
  assert.deepEqual(opening.sort(), [
    'src/cli/bench/measures.ts',
    'src/cli/commands/append.ts',
    'src/files/lock-note.ts',
    'src/files/package-modules.ts',
    'src/files/regular-file.ts',
  ]);
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
