/** `npm run bench`, called in ways that cannot work: it says so before anything is measured. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../cleanup.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const skip = !existsSync(join(ROOT, 'dist/index.mjs')) && 'the package is not built';

function bench(...args: string[]) {
  return spawnSync(process.execPath, ['bench/run.mjs', ...args], { cwd: ROOT, encoding: 'utf8' });
}

test('a wrong call ends with 2 and one line that says what is wrong', { skip }, (t) => {
  const directory = temporaryDirectory(t);
  const [notJson, notResults, file] = ['a', 'b', 'c'].map((name) => join(directory, name));
  writeFileSync(notJson as string, 'no JSON');
  writeFileSync(notResults as string, '{"version":1}');
  writeFileSync(file as string, '');
  for (const [args, said] of [
    [['--compare', join(directory, 'nowhere')], /^--compare: .*ENOENT/],
    [['--compare', notJson as string], /^--compare: .* cannot be read as results\.json/],
    [['--compare', notResults as string], /^--compare: .* is no results\.json of this version/],
    [['--rounds', '0'], /^--rounds must be an integer from 1/],
    [['--only', 'nothing'], /^No workload is called nothing/],
    [['--output', file as string], /^--output: E(EXIST|NOTDIR)/],
    [['--scratch', file as string], /^--scratch: E(EXIST|NOTDIR)/],
    [['--unknown'], /^Unknown option '--unknown'/],
    [['word'], /^Unexpected argument 'word'/],
  ] as const) {
    const { status, stderr } = bench('--only', 'copy', ...args);
    assert.equal(status, 2, `${args}: ${stderr}`);
    assert.match(stderr, said);
    assert.doesNotMatch(stderr, /^\s+at /m, 'no stack');
  }
});

test('--help says how it is called', { skip }, () => {
  const { status, stdout } = bench('--help');
  assert.equal(status, 0);
  assert.match(stdout, /--compare OLD\.json/);
});
