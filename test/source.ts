/**
 * What `#ringwal` leads to when the suite runs against the sources (`--conditions=ringwal-source`): the package's
 * exports, with threads that start from a worker file bundled from the sources, as the package's is. A loader for
 * TypeScript would not do: it does not reach worker threads on every supported Node, and takes a second in each.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { useWorkerFile } from '../src/main/threads/start-thread.js';

// Within the repository, so that the bundle finds the dependencies; one for each process, so that none is replaced
// while another process starts from it.
const folder = fileURLToPath(new URL('../node_modules/.cache/ringwal/', import.meta.url));
const bundle = `${folder}worker-${process.pid}.cjs`;
mkdirSync(folder, { recursive: true });
buildSync({
  entryPoints: [fileURLToPath(new URL('../src/worker/worker.ts', import.meta.url))],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  packages: 'external',
  sourcemap: 'inline',
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
});
useWorkerFile(pathToFileURL(bundle));

export * from '../src/index.js';
