import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

/** A test that ends when it is told to. */
class EndingTest {
  readonly #hooks: (() => unknown)[] = [];

  after(hook: () => unknown): void {
    this.#hooks.push(hook);
  }

  async end(): Promise<void> {
    for (const hook of this.#hooks) await hook();
  }
}

test('what a test has set up is undone in reverse, one after the other', async () => {
  const ending = new EndingTest();
  const undone: string[] = [];
  cleanUp(ending, () => undone.push('directory'));
  cleanUp(ending, () => cleanUp(ending, () => undone.push('what came late')));
  cleanUp(ending, async () => {
    await new Promise(setImmediate);
    undone.push('log');
  });
  cleanUp(ending, () => undone.push('process'));
  await ending.end();
  assert.deepEqual(undone, ['process', 'log', 'what came late', 'directory']);
});

test('what cannot be undone fails the test and keeps nothing else from being undone', async () => {
  const ending = new EndingTest();
  const directory = temporaryDirectory(ending);
  writeFileSync(join(directory, 'file'), '');
  cleanUp(ending, () => Promise.reject(new Error('one')));
  await assert.rejects(ending.end(), /^Error: one$/);
  assert.ok(!existsSync(directory));

  const another = new EndingTest();
  cleanUp(another, () => Promise.reject(new Error('one')));
  cleanUp(another, () => {
    throw new Error('two');
  });
  await assert.rejects(another.end(), ({ errors }: AggregateError) => {
    assert.deepEqual(errors.map(String), ['Error: two', 'Error: one']);
    return true;
  });
});

test('every test cleans up in this way', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const others = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== 'cleanup.ts')
    .filter((name) => /\bt\.after\(/.test(readFileSync(join(root, name), 'utf8')));
  assert.deepEqual(others, []);
});
