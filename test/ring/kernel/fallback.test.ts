import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const child = fileURLToPath(new URL('fallback-child.ts', import.meta.url));

test('under --jitless the reference kernel serves, and writes the bytes that the wasm kernel writes', async () => {
  const [wasm, reference] = await Promise.all([frameInChild(), frameInChild('--jitless')]);
  assert.deepEqual([wasm.kernel, reference.kernel], ['wasm', 'reference']);
  assert.equal(wasm.entries, 204);
  assert.deepEqual({ ...reference, kernel: 'wasm' }, wasm);
});

async function frameInChild(...flags: string[]) {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--import', 'tsx', child]);
  return JSON.parse(stdout) as { kernel: string; entries: number; stop: string; sha256: string };
}
