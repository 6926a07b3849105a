/**
 * `npm run bench`: makes plain JavaScript of this folder and starts it. What is measured runs without a loader, which
 * would cost every child its start-up and wrap every function it makes.
 *
 *   bench/dist/main.mjs    the command line, the rounds, the report      ← main.ts
 *   bench/dist/child.mjs   one measurement in a process of its own       ← child.ts
 *   bench/dist/producer.mjs   a thread of it that appends to a log       ← producer.ts
 *   bench/dist/rewriter.mjs   a thread of it that writes without a log   ← rewriter.ts
 *
 * ringwal is the built package (`npm run build`), as its users get it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('.', import.meta.url));
if (!existsSync(`${folder}../dist/index.mjs`)) {
  console.error('The package is not built, and the built package is what is measured: npm run build');
  process.exit(2);
}
await build({
  entryPoints: ['main', 'child', 'producer', 'rewriter'].map((name) => `${folder}${name}.ts`),
  outdir: `${folder}dist`,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node20.15',
  format: 'esm',
  packages: 'external',
  external: ['#ringwal'],
  logLevel: 'warning',
});
await import('./dist/main.mjs');
