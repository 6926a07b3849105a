import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

interface Framed {
  readonly kernel: string;
  readonly readingKernel: boolean;
  readonly entries: number;
  readonly stop: string;
  readonly sha256: string;
}

const child = fileURLToPath(new URL('fallback-child.ts', import.meta.url));

test('under --jitless the reference kernel serves, and writes the bytes that the wasm kernel writes', async () => {
  const [wasm, reference] = await Promise.all([frameInChild(), frameInChild('--jitless')]);
  assert.deepEqual([wasm.kernel, reference.kernel], ['wasm', 'reference']);
  assert.equal(wasm.entries, 204);
  assert.deepEqual({ ...reference, kernel: 'wasm', readingKernel: true }, wasm);
});

test('on a processor without vectors for WebAssembly the reference kernel serves', {
  skip: process.arch === 'x64' ? false : 'only the engine for x64 can be told so (--no-enable-sse4-1)',
}, async () => {
  const [wasm, reference] = await Promise.all([frameInChild(), frameInChild('--no-enable-sse4-1')]);
  assert.deepEqual([reference.kernel, reference.readingKernel], ['reference', false]);
  assert.deepEqual({ ...reference, kernel: 'wasm', readingKernel: true }, wasm);
});

async function frameInChild(...flags: string[]) {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--import', 'tsx', child]);
  return JSON.parse(stdout) as Framed;
}
