/**
 * Recipes of a document: each section (`## `) that has programs, as its readers take it. Its files go into a directory that has the
 * package installed, hence the built one, whatever this suite runs against; each command must print what the document says.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../cleanup.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Block {
  readonly language: string;
  readonly text: string;
}

export interface Recipe {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** The sections of a document, with the code in them; some may have none. */
export function sectionsOf(document: string): Recipe[] {
  return document
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      title: section.slice(0, section.indexOf('\n')),
      blocks: [...section.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
        language,
        text,
      })),
    }));
}

/** Writes the files and runs the commands, in a directory that `prepare` has filled. */
export async function follow(
  t: TestContext,
  { blocks }: Recipe,
  prepare: (directory: string) => void = () => {},
): Promise<void> {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(ROOT, join(directory, 'node_modules/ringwal'), 'junction');
  symlinkSync(join(ROOT, 'node_modules/pino'), join(directory, 'node_modules/pino'), 'junction');
  prepare(directory);
  for (const { language, text } of blocks) {
    if (language === 'js') writeFileSync(join(directory, fileNameOf(text)), text);
    else assert.equal(await session(directory, commandsOf(text)), text);
  }
}

/** Fails where a recipe has a file that nothing runs, or anything else that is not run. */
export function assertAllIsRun({ title, blocks }: Recipe): void {
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

/** As GitHub makes them of headings. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
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

function run(directory: string, command: string): Promise<string> {
  const [program, ...args] = command.split(' ');
  assert.equal(program, 'node');
  return runNode(directory, args);
}

/** What Node prints in `directory`: its output, then its errors, then what a shell says of one that was killed. */
export async function runNode(directory: string, args: readonly string[]): Promise<string> {
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
