import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../src/', import.meta.url));

/** What runs in the threads of the application, where test tools and DOMs replace globals. */
const FILES = [
  ...readdirSync(root).filter((name) => name.endsWith('.ts')),
  ...['main', 'files', 'metrics'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  ),
];

/** They are replaced, or missing, in some programs. `Date` is not here: a faked date is meant for entries that name a time. */
const REPLACED = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'performance',
  'TextEncoder',
  'TextDecoder',
  'AbortController',
  'MessageChannel',
  'Buffer',
  'URL',
  'structuredClone',
];

/** Where they are taken, once. */
const KEEPER = 'files/node-globals.ts';

/** Names that `text` uses as values and does not import. */
function globalsIn(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '').replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
  const imports = [...code.matchAll(/^import\s+(?!type\b)([^;]*?)\s+from/gm)].map(([, names = '']) => names);
  const isImported = (name: string) => imports.some((names) => new RegExp(`\\b${name}\\b`).test(names));
  const isUsed = (name: string) =>
    new RegExp(`(?<![.#\\w]|[:|]\\s)${name}(?=[.(]|\\s*[,;)\\]}]\\s*$)`, 'm').test(code);
  const found = REPLACED.filter((name) => isUsed(name) && !isImported(name));
  if (/\bprocess\.nextTick\b/.test(code)) found.push('process.nextTick');
  if (/\bglobalThis\b/.test(code)) found.push('globalThis');
  return found;
}

test('what runs in the threads of the application takes no global that other code replaces', () => {
  const offending = FILES.filter((file) => file !== KEEPER).flatMap((file) =>
    globalsIn(readFileSync(join(root, file), 'utf8')).map((name) => `${file}: ${name}`),
  );
  assert.deepEqual(offending, []);
});

test('a global is found in code, and not in comments, texts, types and imports', () => {
  assert.deepEqual(globalsIn('const timer = setInterval(tell, 100).unref();'), ['setInterval']);
  assert.deepEqual(globalsIn('later(\n  setImmediate,\n);'), ['setImmediate']);
  assert.deepEqual(globalsIn('process.nextTick(done); new TextEncoder().encode(x)'), [
    'TextEncoder',
    'process.nextTick',
  ]);
  assert.deepEqual(globalsIn("import { setImmediate } from './x.js';\nsetImmediate(f);"), []);
  assert.deepEqual(globalsIn("import type { URL } from 'node:url';\nnew URL(x);"), ['URL']);
  assert.deepEqual(
    globalsIn("// setTimeout(f)\n/* Buffer.from */ const a: Buffer | URL = timers.setTimeout('URL.');"),
    [],
  );
});
