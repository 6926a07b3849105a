/**
 * docs/guide.md as its readers take it: each recipe's files in an empty directory that has the package installed, hence the
 * built one, whatever this suite runs against; each command must print what the guide says.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './example.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const guide = readFileSync(join(ROOT, 'docs/guide.md'), 'utf8');
const recipes = guide.split(/^## /m).slice(1).map(recipeOf);

interface Block {
  readonly language: string;
  readonly text: string;
}

interface Recipe {
  readonly title: string;
  readonly blocks: readonly Block[];
}

describe('what the guide says a recipe prints, it prints', { concurrency: 2 }, () => {
  for (const { title, blocks } of recipes) {
    test(title, async (t) => {
      const directory = temporaryDirectory(t);
      mkdirSync(join(directory, 'node_modules'));
      symlinkSync(ROOT, join(directory, 'node_modules/ringwal'), 'junction');
      symlinkSync(join(ROOT, 'node_modules/pino'), join(directory, 'node_modules/pino'), 'junction');
      for (const { language, text } of blocks) {
        if (language === 'js') writeFileSync(join(directory, fileNameOf(text)), text);
        else assert.equal(await session(directory, commandsOf(text)), text);
      }
    });
  }
});

test('the guide has a recipe for each topic that it names, and no code that is not run', () => {
  const contents = [...guide.matchAll(/^- \[(.+?)\]\(#(.+?)\)/gm)];
  assert.deepEqual(
    contents.map(([, name]) => name),
    recipes.map(({ title }) => title),
  );
  for (const [, name, anchor] of contents) assert.equal(anchor, name?.toLowerCase().replaceAll(' ', '-'));
  assert.ok(recipes.length > 0);
  for (const { title, blocks } of recipes) {
    const languages = blocks.map(({ language }) => language);
    assert.deepEqual([...new Set(languages)].sort(), ['console', 'js'], title);
    // A file is of use only if something runs behind it.
    assert.equal(languages.at(-1), 'console', title);
    const programs = blocks.filter(({ language }) => language === 'js').map(({ text }) => text);
    const commands = blocks.filter(({ language }) => language === 'console').map(({ text }) => text);
    for (const file of programs.map(fileNameOf)) {
      const isUsed = [...programs, ...commands].some(
        (text) => text.includes(`./${file}`) || text.includes(`node ${file}`),
      );
      assert.ok(isUsed, `${title}: nothing runs ${file}`);
    }
  }
});

function recipeOf(section: string): Recipe {
  const title = section.slice(0, section.indexOf('\n'));
  const blocks = [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', text = '']) => ({
      language,
      text,
    }),
  );
  return { title, blocks };
}

/** A file's first line says its name. */
function fileNameOf(program: string): string {
  const [, name] = /^\/\/ ([\w-]+\.mjs)\n/.exec(program) ?? [];
  return name ?? assert.fail(`a program without a name:\n${program}`);
}

function commandsOf(text: string): string[] {
  return [...text.matchAll(/^\$ (.*)$/gm)].map(([, command = '']) => command);
}

/** What a terminal would show. */
async function session(directory: string, commands: readonly string[]): Promise<string> {
  let shown = '';
  for (const command of commands) shown += `$ ${command}\n${await run(directory, command)}`;
  return shown;
}

async function run(directory: string, command: string): Promise<string> {
  const [program, ...args] = command.split(' ');
  assert.equal(program, 'node');
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: '' },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const [, signal] = await once(child, 'close');
  return output + errors + (signal === 'SIGKILL' ? 'Killed\n' : '');
}
