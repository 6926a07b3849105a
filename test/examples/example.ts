import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cleanUp } from '../cleanup.js';

/** An example as a user runs it, hence against the built package, whatever this suite runs against. */
export interface RunningExample {
  readonly child: ChildProcess;
  /** Resolves to the first match in what it has written to its standard output, or will. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves once it has ended. `code` is null where a signal ended it. */
  readonly ended: Promise<{ code: number | null; signal: string | null; output: string; errors: string }>;
}

export function startExample(
  t: TestContext,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningExample {
  const file = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output, errors }));
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output);
          if (match !== null) resolve(match);
        };
        look();
        child.stdout.on('data', look);
        void ended.then(({ code }) =>
          reject(new Error(`ended with ${code} before ${pattern} came: ${output}${errors}`)),
        );
      }),
  };
}
