/** Other people's test runners, and projects that they run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Ended, installed, run, written } from './installed-package.js';

const require = createRequire(import.meta.url);

/** Of a test in a tool: the tools' own, some seconds, would fail one on a busy machine. */
export const TOOL_TIMEOUT_MS = 120_000;

/** The file that starts a tool, by the package's own account; a reason where the tool is not for this Node. */
export function toolOf(name: string, bin = name): { file: string } | { reason: string } {
  const path = require.resolve(`${name}/package.json`);
  const { bin: bins, engines } = JSON.parse(readFileSync(path, 'utf8')) as {
    bin: string | Record<string, string>;
    engines?: { node?: string };
  };
  const file = typeof bins === 'string' ? bins : bins[bin];
  assert.ok(file !== undefined);
  if (!supports(engines?.node)) return { reason: `${name} is for Node ${engines?.node}` };
  return { file: join(dirname(path), file) };
}

/** Ranges as these tools state them: alternatives, each `^20.9.0` or `>=24.0.0`. */
function supports(range: string | undefined): boolean {
  if (range === undefined) return true;
  const here = process.versions.node.split('.').map(Number) as [number, number, number];
  return range.split('||').some((alternative) => {
    const [, kind, major, minor, patch] = /^\s*(\^|>=)(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(alternative) ?? [];
    assert.ok(kind !== undefined, `a range of another form: ${range}`);
    const least = [Number(major), Number(minor ?? 0), Number(patch ?? 0)] as const;
    if (kind === '^' && here[0] !== least[0]) return false;
    for (const at of [0, 1, 2] as const) if (here[at] !== least[at]) return here[at] > least[at];
    return true;
  });
}

/** Runs a tool's command to its end in the project. */
export function runTool(
  t: TestContext,
  project: string,
  name: string,
  args: readonly string[],
): Promise<Ended> | undefined {
  const tool = toolOf(name);
  if ('reason' in tool) {
    t.skip(tool.reason);
    return undefined;
  }
  return run([tool.file, ...args], project);
}

/** A project with the package and one file of Jest's, `app.test.js`. */
export function jestProject(t: TestContext, environment: string, test: string): string {
  const project = installed(t);
  const testEnvironment = require.resolve(`jest-environment-${environment}`, {
    paths: [dirname(require.resolve('jest-cli/package.json', { paths: [dirname(require.resolve('jest'))] }))],
  });
  written(
    project,
    'package.json',
    JSON.stringify({ name: 'app', jest: { testEnvironment, transform: {}, testTimeout: TOOL_TIMEOUT_MS } }),
  );
  written(project, 'app.test.js', test);
  return project;
}
