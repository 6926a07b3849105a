/** docs/guide.md: every recipe is followed, each in an empty directory. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { anchorOf, assertAllIsRun, follow, sectionsOf } from './recipe.js';

const guide = readFileSync(new URL('../../docs/guide.md', import.meta.url), 'utf8');
const recipes = sectionsOf(guide);

describe('what the guide says a recipe prints, it prints', { concurrency: 2 }, () => {
  for (const recipe of recipes) test(recipe.title, (t) => follow(t, recipe));
});

test('the guide has a recipe for each topic that it names, and no code that is not run', () => {
  const contents = [...guide.matchAll(/^- \[(.+?)\]\(#(.+?)\)/gm)];
  assert.deepEqual(
    contents.map(([, name]) => name),
    recipes.map(({ title }) => title),
  );
  for (const [, name = '', anchor] of contents) assert.equal(anchor, anchorOf(name));
  assert.ok(recipes.length > 0);
  for (const recipe of recipes) assertAllIsRun(recipe);
});
