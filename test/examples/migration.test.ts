/** docs/migrating-from-wal-go.md: every recipe is followed, each in a directory with files of wal-go's. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Wal, WalLane, WalReader } from '#ringwal';
import { walgFile } from '../walg.js';
import { anchorOf, assertAllIsRun, follow, sectionsOf } from './recipe.js';

const SAMPLES = fileURLToPath(new URL('../fixtures/walgo', import.meta.url));
const document = readFileSync(new URL('../../docs/migrating-from-wal-go.md', import.meta.url), 'utf8');
const sections = sectionsOf(document);
const recipes = sections.filter(({ blocks }) => blocks.length > 0);

/** The directories that the document names. */
function layOut(directory: string): void {
  const copy = (sample: string, name: string) =>
    cpSync(join(SAMPLES, sample), join(directory, name), { recursive: true });
  copy('05-rotation', 'wal-data');
  copy('torn', 'torn-data');
  copy('05-rotation', 'gap-data');
  for (const name of ['wal-0', 'wal-1', 'wal-10']) rmSync(join(directory, 'gap-data', name));
  const later = join(directory, 'later-data');
  mkdirSync(later);
  writeFileSync(join(later, 'wal-3'), walgFile(41, ['a', '', 'ccc']));
  writeFileSync(join(later, 'wal-4'), walgFile(44, ['d', 'eeeee']));
}

describe('what the notes on migration say a program prints, it prints', { concurrency: 2 }, () => {
  for (const recipe of recipes) test(recipe.title, (t) => follow(t, recipe, layOut));
});

test('the notes on migration have no code that is not run, and no link that leads nowhere in them', () => {
  assert.equal(recipes.length, 4);
  for (const recipe of recipes) assertAllIsRun(recipe);
  const anchors = sections.map(({ title }) => anchorOf(title));
  const links = [...document.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  assert.ok(links.length > 0);
  assert.deepEqual(
    links.filter((anchor) => !anchors.includes(anchor as string)),
    [],
  );
});

test('every method that the notes on migration name is there', () => {
  const methods = [...document.matchAll(/api\/ringwal\.Class\.(\w+)\.md#(\w+)/g)];
  assert.ok(methods.length > 0);
  const classes: Record<string, object[]> = {
    Wal: [Wal, Wal.prototype],
    WalReader: [WalReader.prototype],
    WalLane: [WalLane.prototype],
  };
  for (const [link, name = '', method] of methods) {
    const names = classes[name]?.flatMap((each) => Object.getOwnPropertyNames(each)) ?? [];
    assert.ok(
      names.some((each) => each.toLowerCase() === method),
      link,
    );
  }
});
