/** What the registry shows of the package: where it comes from, and a README whose links and pictures lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly repository: { readonly type: string; readonly url: string };
  readonly homepage: string;
  readonly bugs: { readonly url: string };
  readonly author: string;
};
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** Where each link and picture of a text leads, code blocks left out. */
function targetsOf(markdown: string): { readonly isPicture: boolean; readonly target: string }[] {
  const text = markdown.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
  const inline = [...text.matchAll(/(!?)\[(?:[^\]]|\[[^\]]*\])*\]\(([^)\s]+)[^)]*\)/g)].map(
    ([, mark, target]) => ({
      isPicture: mark === '!',
      target: target ?? '',
    }),
  );
  // A picture within a link.
  const nested = [...text.matchAll(/!\[[^\]]*\]\(([^)\s]+)\)/g)].map(([, target]) => ({
    isPicture: true,
    target: target ?? '',
  }));
  const tags = [...text.matchAll(/<(img|a|source)\b[^>]*?\b(?:src|href|srcset)="([^"]+)"/g)].map(
    ([, tag, target]) => ({ isPicture: tag !== 'a', target: target ?? '' }),
  );
  return [...inline, ...nested, ...tags];
}

test('package.json says where the package comes from, where faults are reported, and who wrote it', () => {
  const { repository, homepage, bugs, author } = MANIFEST;
  assert.equal(repository.type, 'git');
  const [, address] = /^git\+(https:\/\/github\.com\/[\w-]+\/[\w-]+)\.git$/.exec(repository.url) ?? [];
  assert.ok(address !== undefined, repository.url);
  assert.equal(homepage, `${address}#readme`);
  assert.equal(bugs.url, `${address}/issues`);
  assert.match(readFileSync(join(ROOT, 'LICENSE'), 'utf8'), new RegExp(`^Copyright .* ${author}$`, 'm'));
});

// The registry leads relative links to the repository's files, and relative pictures to their raw contents, by the field
// `repository`; the repository's own page leads both to the files beside it.
test('each relative link and picture of the README is a file of the repository, and a heading of it', () => {
  const targets = targetsOf(README).filter(({ target }) => !/^[a-z]+:/i.test(target));
  assert.ok(targets.length > 20, `${targets.length} links`);
  for (const { isPicture, target } of targets) {
    const [path = '', heading] = target.split('#');
    assert.ok(!path.startsWith('/') && !path.startsWith('..'), target);
    const file = join(ROOT, path === '' ? 'README.md' : path);
    assert.ok(existsSync(file), target);
    if (isPicture) assert.match(path, /\.(?:svg|png)$/);
    if (heading !== undefined) assert.ok(headingsOf(readFileSync(file, 'utf8')).includes(heading), target);
  }
});

test('the README leads to no file of the repository by an absolute address, which would be that of another version', () => {
  const ofRepository = targetsOf(README).filter(({ target }) =>
    /^https?:\/\/(?:github\.com|raw\.githubusercontent\.com)\/[^/]+\/ringwal\b/.test(target),
  );
  assert.deepEqual(ofRepository, []);
});

/** As the page names them. */
function headingsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
