import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { type BuildOptions, build } from 'esbuild';
import { type Ended, installed, run, written } from './installed-package.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** With the path of the worker file, or none where it lies beside the executable. */
const APP = `
const { Wal } = require('ringwal');

async function main(directory, workerUrl) {
  const wal = await Wal.open(directory, { workerUrl });
  await wal.append('a', { durable: true });
  await wal.appendBatch(['b', 'c'], { durable: true });
  const found = [];
  for await (const { lsn, data } of wal.entries()) found.push(lsn + Buffer.from(data).toString());
  const { durableLsn } = wal;
  await wal.close();
  const verdict = workerUrl === undefined ? (await Wal.verify(directory)).verdict : 'not asked for';
  console.log(require('node:sea').isSea(), durableLsn, found.join(' '), verdict);
}
main(process.argv[2], process.argv[3]);
`;

type Inject = (
  file: string,
  resource: string,
  data: Buffer,
  options: { sentinelFuse: string },
) => Promise<void>;

/** `false`, or why no single executable can be made of this Node here. */
function whyNot(): string | false {
  if (process.platform === 'darwin') return 'the executable would have to be signed anew';
  // Where Node is a small program and a shared library, there is nothing to inject into.
  if (!readFileSync(process.execPath).includes(FUSE)) return 'this Node has no place for an application';
  return false;
}

/**
 * As docs/packaging.md has it: the application in one file and that in the executable, the worker file and the folder
 * `node_modules` beside it.
 */
async function makeExecutable(t: TestContext): Promise<{ project: string; executable: string } | string> {
  const why = whyNot();
  if (why !== false) return why;
  const { inject } = (await import('postject' as string)) as { inject: Inject };
  const project = installed(t);
  written(project, 'app.js', APP);
  const { options, banner } = documented();
  const common = { ...options, absWorkingDir: project, outdir: project };
  await build({ ...common, entryPoints: { bundle: 'app.js' }, banner: { js: banner } });
  await build({ ...common, entryPoints: { worker: 'ringwal/worker' } });
  const blob = join(project, 'app.blob');
  const config = { main: join(project, 'bundle.js'), output: blob, disableExperimentalSEAWarning: true };
  const path = written(project, 'sea-config.json', JSON.stringify(config));
  const made = await run(['--experimental-sea-config', path]);
  if (made.code !== 0) return `this Node makes no single executable: ${made.stderr}`;
  const executable = join(project, process.platform === 'win32' ? 'app.exe' : 'app');
  copyFileSync(process.execPath, executable);
  await inject(executable, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE });
  return { project, executable };
}

function documented(): { options: BuildOptions; banner: string } {
  const document = readFileSync(
    fileURLToPath(new URL('../../../docs/packaging.md', import.meta.url)),
    'utf8',
  );
  const [, options] = /^const common = (\{[\s\S]*?^\});$/m.exec(document) ?? [];
  const [, banner] = /js: "(require = .*)"/.exec(document) ?? [];
  assert.ok(options !== undefined && banner !== undefined);
  return { options: runInNewContext(`(${options})`) as BuildOptions, banner };
}

function runExecutable(executable: string, args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '' };
  return new Promise((resolve) => {
    execFile(executable, [...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

test('an application in a single executable appends durably and reads back, its worker file beside it or where workerUrl says', {
  skip,
}, async (t) => {
  const made = await makeExecutable(t);
  if (typeof made === 'string') return t.skip(made);
  const { project, executable } = made;
  const beside = await runExecutable(executable, [join(project, 'log')]);
  assert.deepEqual([beside.code, beside.stdout], [0, 'true 3 1a 2b 3c clean\n'], beside.stderr);

  mkdirSync(join(project, 'lib'));
  const worker = join(project, 'lib', 'log-worker.js');
  renameSync(join(project, 'worker.js'), worker);
  const named = await runExecutable(executable, [join(project, 'log2'), worker]);
  assert.deepEqual([named.code, named.stdout], [0, 'true 3 1a 2b 3c not asked for\n'], named.stderr);

  // Without it the log is refused, and says what it looked for.
  const missing = await runExecutable(executable, [join(project, 'log3')]);
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /ERR_WAL_WORKER_DIED/);
  assert.ok(missing.stderr.includes(join(project, 'worker.js')), missing.stderr);
});
