/** docs/testing-your-store.md: every recipe is followed, each in an empty directory. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type CrashTestOptions, SimulatedMachine } from '#ringwal/testing';
import { anchorOf, assertAllIsRun, follow, sectionsOf } from './recipe.js';

const document = readFileSync(new URL('../../docs/testing-your-store.md', import.meta.url), 'utf8');
const sections = sectionsOf(document);
const recipes = sections.filter(({ blocks }) => blocks.length > 0);

describe('what the page on testing says a program prints, it prints', { concurrency: 2 }, () => {
  for (const recipe of recipes) test(recipe.title, (t) => follow(t, recipe));
});

test('the page on testing lists its sections, and has no code that is not run', () => {
  const contents = [...document.matchAll(/^- \[(.+?)\]\(#(.+?)\)$/gm)];
  assert.deepEqual(
    contents.map(([, name]) => name),
    sections.map(({ title }) => title),
  );
  for (const [, name = '', anchor] of contents) assert.equal(anchor, anchorOf(name));
  assert.equal(recipes.length, 3);
  for (const recipe of recipes) assertAllIsRun(recipe);
});

test('every call of the machine and every option that the page names is there', () => {
  const machine = new SimulatedMachine({ seed: 1 });
  const [, table = ''] = /^\| call [\s\S]*?\n\| --- .*\n((?:\|.*\n)+)/m.exec(document) ?? [];
  const names = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 8);
  for (const name of names) assert.ok(name in machine, name);
  const options: readonly (keyof CrashTestOptions<unknown, unknown, unknown>)[] = [
    'dirtyReads',
    'concurrency',
  ];
  for (const option of options) assert.match(document, new RegExp(`\`${option}`));
});
