import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { Wal, type WalEntry, type WalErrorCode, type WalOptions } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

/** The smallest ring, whose largest record payload is a quarter of it less its header. */
export const SMALL_RING = 64 * 1024;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IS_SOURCE = process.execArgv.some((arg) => arg.includes('ringwal-source'));
const BUNDLES = join(ROOT, 'node_modules/.cache/ringwal');
/** What the log's threads start from. */
const WORKER = pathToFileURL(
  IS_SOURCE ? join(BUNDLES, `worker-${process.pid}.cjs`) : join(ROOT, 'dist/worker.js'),
).href;

/** What the pool calls in it by name. */
const JOBS =
  'backup, findSnapshots, inspect, inspectFile, inspectOrDivide, removeSnapshots, repair, restore, verifyBackup, verifySnapshot, walkRun, writeSnapshot';

let childModule: string | undefined;

/**
 * What '#ringwal' leads to in a child, be it process or thread. Built from the sources it is a bundle, since a loader for TypeScript would take
 * longer than all that the child is for.
 */
export function moduleForChildren(): string {
  if (!IS_SOURCE) return '#ringwal';
  if (childModule !== undefined) return childModule;
  const outfile = join(BUNDLES, `index-${process.pid}.mjs`);
  buildSync({
    stdin: {
      contents:
        `import { useWorkerFile } from './src/main/threads/start-thread.js';\n` +
        `useWorkerFile(new URL(${JSON.stringify(WORKER)}));\n` +
        `export * from './src/index.js';\n`,
      resolveDir: ROOT,
      loader: 'ts',
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: 'inline',
  });
  childModule = pathToFileURL(outfile).href;
  return childModule;
}

type Test = Pick<TestContext, 'after'>;

/** Where a log may be made: nothing is there yet. */
export function temporaryLog(t: Test): string {
  return join(temporaryDirectory(t), 'log');
}

/** Opens a log that is closed after the test, if the test has not done so. */
export async function openLog(t: Test, directory: string, options: WalOptions = {}): Promise<Wal> {
  const wal = await Wal.open(directory, options);
  cleanUp(t, async () => {
    // Else it would wait for an order that a failed test has left.
    for (const faults of faultsOf.get(t) ?? []) faults.recallAll();
    // A log that a fault has ended says so again.
    await wal.close().catch(() => {});
  });
  return wal;
}

/** A fresh log. */
export function freshLog(t: Test, options: WalOptions = {}): Promise<Wal> {
  return openLog(t, temporaryLog(t), options);
}

/** Makes a log that holds `entries`, and closes it. */
export async function makeLog(
  directory: string,
  entries: readonly (string | Uint8Array)[],
  options: WalOptions = {},
): Promise<void> {
  const wal = await Wal.open(directory, options);
  for (const entry of entries) wal.append(entry).catch(() => {});
  await wal.close();
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The data of all entries as text. */
export async function texts(entries: AsyncIterable<WalEntry>): Promise<string[]> {
  return (await collect(entries)).map(({ data }) => text(data));
}

export function text(data: Uint8Array): string {
  return Buffer.from(data).toString();
}

export async function lsns(entries: AsyncIterable<WalEntry>): Promise<number[]> {
  return (await collect(entries)).map(({ lsn }) => lsn);
}

/** The integers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** `length` bytes that differ for each `seed`, and have no zero at the end. */
export function fill(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (seed * 31 + at * 7 + (at >> 8) * 13 + 11) & 0xff;
  if (length > 0) bytes[length - 1] |= 1;
  return bytes;
}

/** A small generator of random integers, the same for the same seed. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** For `assert.throws` and `assert.rejects`: a WalError with this code, and these fields. */
export function walError(
  code: WalErrorCode,
  fields: { path?: string; lsn?: number; offset?: number; cause?: string; message?: RegExp } = {},
): (error: unknown) => true {
  return (thrown) => {
    const error = thrown as Error & Record<string, unknown>;
    assert.equal(error?.name, 'WalError', String(error?.stack ?? error));
    assert.equal(error.code, code, error.message);
    const { cause, message, ...plain } = fields;
    for (const [name, value] of Object.entries(plain))
      assert.equal(error[name], value, `${name} of: ${error.message}`);
    if (cause !== undefined)
      assert.equal((error.cause as { code?: string } | undefined)?.code, cause, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };
}

/** Every file of a directory and its content. */
export function snapshot(directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(directory).sort()) {
    const path = join(directory, name);
    files[name] = statSync(path).isDirectory() ? 'directory' : readFileSync(path).toString('base64');
  }
  return files;
}

export function segmentNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => /^wal-\d+$/.test(name))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
}

/** The entries, as texts, of the log that a process left. */
export async function left(directory: string): Promise<string[]> {
  const wal = await Wal.open(directory);
  const found = await texts(wal.entries());
  await wal.close();
  return found;
}

/** Paths of the files in `directory` that this process has open. Linux only. */
export function openFiles(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${directory}/`) ? [path] : [];
    } catch {
      // The descriptor of this very listing, or one that another thread closed meanwhile.
      return [];
    }
  });
}

/** As [openFiles], segments only: side files come and go as a log works. A removed segment is one too. */
export function openSegments(directory: string): string[] {
  return openFiles(directory).filter((path) => path.startsWith(`${directory}/wal-`));
}

/** Waits, for as long as it takes, until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
}

export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** `undefined` while `promise` is pending after a few turns of the event loop. */
export async function settled<T>(promise: Promise<T>): Promise<'pending' | 'resolved' | 'rejected'> {
  let state: 'pending' | 'resolved' | 'rejected' = 'pending';
  promise.then(
    () => {
      state = 'resolved';
    },
    () => {
      state = 'rejected';
    },
  );
  for (let turns = 0; turns < 5; turns++) await turn();
  return state;
}

/** For the option `workerUrl`: a worker file in `folder` that runs other code, statements of a module, before its own. */
export function workerAfter(folder: string, statements: string): URL {
  const file = join(folder, 'worker.mjs');
  writeFileSync(
    file,
    `${statements}\nexport const { ${JOBS} } = (await import(${JSON.stringify(WORKER)})).default;\n`,
  );
  return pathToFileURL(file);
}

// ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────

const faultsOf = new WeakMap<Test, Set<Faults>>();

/**
 * What the threads of a log are told to do wrong (`faults.mjs`). An order holds from [give] to [recall]; both work while
 * this thread or the log's are blocked, since an order is a file.
 */
export class Faults {
  readonly workerUrl: URL;
  readonly #folder: string;

  constructor(t: Test) {
    this.#folder = temporaryDirectory(t);
    const faults = new URL('./log/faults.mjs', import.meta.url).href;
    this.workerUrl = workerAfter(
      this.#folder,
      `import { arm } from ${JSON.stringify(faults)};\narm(${JSON.stringify(this.#folder)});\n`,
    );
    const all = faultsOf.get(t) ?? new Set();
    faultsOf.set(t, all.add(this));
    cleanUp(t, () => all.delete(this));
  }

  /** @param code of the system error, for the orders `fail-…`; with a number behind it so many calls go well first */
  give(order: Order, code = ''): void {
    // At once, or a thread reads an order that says nothing yet.
    const path = join(this.#folder, order);
    writeFileSync(`${path}.new`, code);
    renameSync(`${path}.new`, path);
  }

  recall(order: Order): void {
    rmSync(join(this.#folder, order), { force: true });
  }

  recallAll(): void {
    for (const name of readdirSync(this.#folder)) if (name !== 'worker.mjs') rmSync(join(this.#folder, name));
  }

  /** Has a thread met this order? */
  isMet(order: Order): boolean {
    return existsSync(join(this.#folder, `${order}.met`));
  }
}

export type Order =
  | 'hold-write'
  | 'hold-sync'
  | 'fail-write'
  | 'fail-sync'
  | 'die-at-write'
  | 'die-at-sync'
  | 'throw-at-load';

// ── Processes ───────────────────────────────────────────────────────────────────────────────────────────────────

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that has published figures of the log that it writes, and then lives on; it prints the newest durable LSN. */
export async function publishingChild(t: Test, log: string): Promise<Child> {
  const child = new Child(
    t,
    `import { statSync } from 'node:fs';
    import { Wal } from '#ringwal';
    const [log] = process.argv.slice(1);
    const wal = await Wal.open(log);
    // Made, and written by one call behind that.
    const isPublished = () => statSync(log + '/ringwal.stats', { throwIfNoEntry: false })?.size > 0;
    while (!isPublished()) await wal.append('x', { durable: true });
    console.log('published ' + wal.durableLsn);
    await new Promise(() => { setInterval(() => {}, 1000) });`,
    [log],
  );
  await child.says('published');
  return child;
}

/**
 * A process that runs `code`, an ES module that may import '#ringwal'; `args` are its `process.argv.slice(1)`. `node` is the
 * command that runs Node.
 */
export class Child {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(
    t: Test,
    code: string,
    args: readonly string[] = [],
    env: Record<string, string> = {},
    [command, ...before]: readonly [string, ...string[]] = [process.execPath],
  ) {
    const program = code.replaceAll("'#ringwal'", JSON.stringify(moduleForChildren()));
    this.process = spawn(command, [...before, '--input-type=module', '--eval', program, ...args], {
      cwd: ROOT,
      env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '', ...env },
    });
    this.process.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.stdout += chunk;
    });
    this.process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.ended = once(this.process, 'close').then(([exitCode, signal]) => ({
      code: exitCode as number | null,
      signal: signal as string | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
    cleanUp(t, async () => {
      this.process.kill('SIGKILL');
      await this.ended;
    });
  }

  /** Waits until it has printed `expected`. */
  async says(expected: string): Promise<void> {
    while (!this.stdout.includes(expected)) {
      const event = await Promise.race([once(this.process.stdout, 'data'), this.ended]);
      if (!Array.isArray(event) && !this.stdout.includes(expected)) {
        assert.fail(`the process ended without saying "${expected}": ${this.stdout}\n${this.stderr}`);
      }
    }
  }
}

/** Runs `code` to its end. */
export function runChild(
  t: Test,
  code: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Ended> {
  return new Child(t, code, args, env).ended;
}
