/**
 * What `#ringwal/postgres` leads to when the suite runs against the sources: the adapter bundled from them, as the package's is, since
 * the thread that ships a log imports it.
 */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const folder = fileURLToPath(new URL('../node_modules/.cache/ringwal/', import.meta.url));
const bundle = `${folder}postgres-${process.pid}.cjs`;
mkdirSync(folder, { recursive: true });
buildSync({
  entryPoints: [fileURLToPath(new URL('../src/postgres.ts', import.meta.url))],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  packages: 'external',
  sourcemap: 'inline',
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
});

const bundled = createRequire(import.meta.url)(bundle) as typeof import('../src/postgres.js');
export const { postgres, connect, createTables, schema } = bundled;
