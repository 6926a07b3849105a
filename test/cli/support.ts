import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
// Makes the worker file that the command's threads start from when the suite runs against the sources.
import '#ringwal';
import { cleanUp } from '../cleanup.js';
import { DAMAGES, damagedLog, type Image } from '../worker/recover/damaged-logs.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IS_SOURCE = process.execArgv.some((arg) => arg.includes('ringwal-source'));
const BUNDLES = join(ROOT, 'node_modules/.cache/ringwal');

let builtCommand: string | undefined;

/** The file that a user's `ringwal` runs; built from the sources where these are what is tested. */
export function commandFile(): string {
  if (!IS_SOURCE) return join(ROOT, 'dist/cli.js');
  builtCommand ??= buildCommand();
  return builtCommand;
}

function buildCommand(): string {
  const outfile = join(BUNDLES, `cli-${process.pid}.cjs`);
  const worker = pathToFileURL(join(BUNDLES, `worker-${process.pid}.cjs`)).href;
  const postgres = pathToFileURL(join(BUNDLES, `postgres-${process.pid}.cjs`)).href;
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  buildSync({
    stdin: {
      contents:
        `import { useWorkerFile } from './src/main/threads/start-thread.js';\n` +
        `useWorkerFile(new URL(${JSON.stringify(worker)}));\n` +
        `import { usePostgresModule } from './src/cli/look/replica-adapter.js';\n` +
        `usePostgresModule(new URL(${JSON.stringify(postgres)}));\n` +
        // Not hoisted, as an import would be: it runs at once.
        `require('./src/cli/cli.js');\n`,
      resolveDir: ROOT,
      loader: 'ts',
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    sourcemap: 'inline',
    define: { 'import.meta.url': 'moduleUrl', RINGWAL_VERSION: JSON.stringify(version) },
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  return outfile;
}

/** Without what tells programs about colours and Node about the suite. */
const ENV = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !['NODE_OPTIONS', 'NODE_TEST_CONTEXT', 'FORCE_COLOR', 'NO_COLOR', 'COLUMNS'].includes(name),
  ),
);

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** The command, running. */
export class Running {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  stderr = '';
  readonly #chunks: Buffer[] = [];

  constructor(t: TestContext, args: readonly string[], env: Record<string, string> = {}, cwd?: string) {
    this.process = spawn(process.execPath, [commandFile(), ...args], { cwd, env: { ...ENV, ...env } });
    this.process.stdout.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    // A command that has ended takes no input.
    this.process.stdin.on('error', () => {});
    this.ended = once(this.process, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
      bytes: Buffer.concat(this.#chunks),
    }));
    cleanUp(t, async () => {
      this.process.kill('SIGKILL');
      await this.ended;
    });
  }

  get stdout(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  /** Waits until it has printed `expected`. */
  async says(expected: string | RegExp): Promise<void> {
    const isSaid = () =>
      typeof expected === 'string' ? this.stdout.includes(expected) : expected.test(this.stdout);
    while (!isSaid()) {
      const event = await Promise.race([once(this.process.stdout, 'data'), this.ended]);
      if (!Array.isArray(event) && !isSaid()) {
        assert.fail(`it ended without saying ${expected}: ${this.stdout}\n${this.stderr}`);
      }
    }
  }
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/** Runs `ringwal …args` to its end. */
export function ringwal(
  t: TestContext,
  args: readonly string[],
  { input = '', env = {}, cwd }: RunOptions = {},
): Promise<Ended> {
  const running = new Running(t, args, env, cwd);
  running.process.stdin.end(input);
  return running.ended;
}

/** As [ringwal]; it must end well and say nothing on standard error. */
export async function ringwalOk(
  t: TestContext,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await ringwal(t, args, options);
  assert.deepEqual([code, stderr], [0, ''], `ringwal ${args.join(' ')}\n${stdout}`);
  return stdout;
}

/** The lines of `text`, each parsed. */
export function jsonLines<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Writes the files of a log that is to be looked at. */
export function plant(directory: string, image: Image): string {
  mkdirSync(directory, { recursive: true });
  for (const [name, bytes] of image) writeFileSync(join(directory, name), bytes);
  return directory;
}

/** `false`, or why a test that needs a terminal is skipped. */
export const noTerminal: string | false =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
    ? false
    : 'script of util-linux, which makes a terminal, is not here';

/**
 * What stays on a terminal of `output`: a line that is erased from its beginning goes. So does progress, of which there is some or
 * none, as the machine has time.
 */
export function whatStays(output: string): string {
  const stays = (line: string) => line.split('\r\x1b[K').at(-1) as string;
  return output.replaceAll('\r\n', '\n').split('\n').map(stays).join('\n');
}

/**
 * Runs the command on a terminal; `answers` is what the user types once `asked` is on the screen: a question's choices.
 * `screen` is what stays there.
 */
export async function onTerminal(
  t: TestContext,
  args: readonly string[],
  {
    answers = '',
    asked = '[y/N] ',
    env = {},
    columns,
  }: { answers?: string; asked?: string; env?: Record<string, string>; columns?: number } = {},
): Promise<{ code: number | null; screen: string }> {
  const command = [process.execPath, commandFile(), ...args].map((arg) => `'${arg}'`).join(' ');
  const quoted = columns === undefined ? command : `stty columns ${columns}; ${command}`;
  const child = spawn('script', ['-qefc', quoted, '/dev/null'], {
    env: { ...ENV, TERM: 'xterm', ...env },
  });
  const ended = once(child, 'close');
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let screen = '';
  let isAnswered = answers === '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    screen += chunk;
    if (isAnswered || !screen.includes(asked)) return;
    isAnswered = true;
    child.stdin.write(answers);
  });
  const [code] = await ended;
  return { code, screen: whatStays(screen) };
}

/** A log on disk with one of the damages of test/worker/recover/damaged-logs.ts. */
export function plantDamaged(directory: string, name: string): string {
  const damage = DAMAGES.find((each) => each.name === name);
  assert.ok(damage, name);
  return plant(directory, damagedLog(damage).image);
}
