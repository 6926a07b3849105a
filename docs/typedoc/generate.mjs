/**
 * `npm run docs`: docstrings to docs/api. With `--check` nothing is written: it fails if docs/api is not what would be.
 *
 * Either way it fails where a public symbol has no docstring, where a link leads nowhere, and where a type shows that is not
 * exported. typedoc.json has the settings; by-task.md is the first page.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, Comment, Converter } from 'typedoc';

const here = fileURLToPath(new URL('.', import.meta.url));
const api = join(here, '../api');

/** In a docstring it is text, since editors know no such link. In docs/api it is one. */
const DOCUMENT = /(?<![\w/`(])docs\/([\w-]+)\.md/g;

/** Of an error, behind `@throws`. Each has a section in docs/errors.md. */
const CODE = /ERR_WAL_\w+/g;

/** What looks like a link or a heading in them is none. */
const CODE_BLOCK = /^```[\s\S]*?^```$/gm;

const pages = await render();
pages.set('README.md', readFileSync(join(here, 'by-task.md'), 'utf8'));
const faults = deadLinks(pages);
if (process.argv.includes('--check')) faults.push(...stalePages(pages));
else if (faults.length === 0) write(pages);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

/** Name → text of each page. */
async function render() {
  const out = mkdtempSync(join(tmpdir(), 'ringwal-docs-'));
  try {
    const app = await Application.bootstrapWithPlugins({ options: join(here, 'typedoc.json'), out });
    app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => joinThrows(project));
    const project = await app.convert();
    if (project === undefined)
      throw new Error('The sources do not compile with the TypeScript of docs/typedoc.');
    app.validate(project);
    await app.generateOutputs(project);
    if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('See the messages above.');
    return new Map(
      readdirSync(out)
        .sort()
        .map((name) => [name, linkDocuments(readFileSync(join(out, name), 'utf8'))]),
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** One list of all errors, in place of a heading for each. */
function joinThrows(project) {
  for (const { comment } of Object.values(project.reflections)) {
    const [first, ...others] = comment?.getTags('@throws') ?? [];
    if (first === undefined) continue;
    first.content = [first, ...others].flatMap(({ content }) => [
      { kind: 'text', text: '- ' },
      ...Comment.cloneDisplayParts(content).map(linkCodes),
      { kind: 'text', text: '\n' },
    ]);
    comment.blockTags = comment.blockTags.filter((tag) => !others.includes(tag));
  }
}

function linkCodes(part) {
  if (part.kind !== 'text') return part;
  const link = (code) => `[\`${code}\`](../errors.md#${code.toLowerCase()})`;
  return { ...part, text: part.text.replaceAll(CODE, link) };
}

function linkDocuments(text) {
  return `${text.replaceAll(DOCUMENT, '[docs/$1.md](../$1.md)').trimEnd()}\n`;
}

/** typedoc looks after the links that it makes; these are all links. */
function deadLinks(pages) {
  const textOf = (name) => {
    const path = join(api, name);
    return (
      pages.get(name) ?? (dirname(path) !== api && existsSync(path) ? readFileSync(path, 'utf8') : undefined)
    );
  };
  return [...pages].flatMap(([name, text]) =>
    [...text.replaceAll(CODE_BLOCK, '').matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
      .filter(([, file, anchor]) => {
        const target = file === '' ? text : textOf(file);
        return target === undefined || (anchor !== undefined && !anchorsOf(target).has(anchor));
      })
      .map(([link]) => `docs/api/${name}: nothing is at ${link.slice(1)}.`),
  );
}

/** As GitHub makes them of headings, and what has an id. */
function anchorsOf(text) {
  const anchors = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id));
  const seen = new Map();
  for (const [, heading] of text.replaceAll(CODE_BLOCK, '').matchAll(/^#+ (.*)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

function write(pages) {
  rmSync(api, { recursive: true, force: true });
  mkdirSync(api);
  for (const [name, text] of pages) writeFileSync(join(api, name), text);
  console.log(`docs/api: ${[...pages.keys()].join(', ')}`);
}

function stalePages(pages) {
  const found = existsSync(api) ? readdirSync(api) : [];
  const isStale = (name) =>
    !found.includes(name) || readFileSync(join(api, name), 'utf8') !== pages.get(name);
  return [...new Set([...found, ...pages.keys()])]
    .filter((name) => !pages.has(name) || isStale(name))
    .map((name) => `docs/api/${name} is not what the docstrings say. Run \`npm run docs\`.`);
}
