import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../cleanup.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Appends, syncs, reads, judges, closes. */
export const APP = `
async function main(Wal, directory) {
  const wal = await Wal.open(directory);
  await wal.append('a');
  await wal.append('b', { durable: true });
  const watermark = await wal.sync();
  const found = [];
  for await (const { lsn, data } of wal.entries()) found.push(lsn + Buffer.from(data).toString());
  await wal.close();
  const { verdict } = await Wal.verify(directory);
  console.log(watermark, found.join(' '), verdict);
}
`;
const APP_SAYS = '2 1a 2b clean\n';
export const ESM_APP = `import { Wal } from 'ringwal';\n${APP}\nawait main(Wal, process.argv[2]);\n`;
export const CJS_APP = `const { Wal } = require('ringwal');\n${APP}\nmain(Wal, process.argv[2]);\n`;

let tarball: string | undefined;
after(() => {
  if (tarball !== undefined) rmSync(dirname(tarball), { recursive: true });
});

/** The package as npm would publish it; made once. */
function packed(): string {
  if (tarball !== undefined) return tarball;
  const folder = mkdtempSync(join(tmpdir(), 'ringwal-pack-'));
  const [{ filename }] = JSON.parse(npmPack(`--pack-destination=${folder}`)) as [{ filename: string }];
  tarball = join(folder, filename);
  return tarball;
}

/** A project with the package in its node_modules as npm would put it there. */
export function installed(t: TestContext, peers: readonly string[] = []): string {
  const project = temporaryDirectory(t);
  const modulesFolder = join(project, 'node_modules');
  const folder = join(modulesFolder, 'ringwal');
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', packed(), '-C', folder, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const name of [...Object.keys(dependencies), ...peers]) {
    mkdirSync(dirname(join(modulesFolder, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modulesFolder, name));
  }
  return project;
}

export function npmPack(option: string): string {
  return execFileSync('npm', ['pack', '--json', '--ignore-scripts', option], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

export interface Ended {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node to its end. */
export function run(args: readonly string[], cwd?: string): Promise<Ended> {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined };
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { env, cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

export function written(project: string, name: string, code: string): string {
  const path = join(project, name);
  writeFileSync(path, code);
  return path;
}

export async function says(project: string, args: string[]): Promise<void> {
  const ended = await run(['--no-warnings', ...args, join(project, 'log')]);
  assert.deepEqual([ended.code, ended.stdout], [0, APP_SAYS], ended.stderr);
}
