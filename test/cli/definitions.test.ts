import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../cleanup.js';
import { noTerminal, onTerminal, ringwal, ringwalOk } from './support.js';

const ROOT = join(import.meta.dirname, '../..');

function missing(program: string): string | false {
  return spawnSync(program, ['--version']).error === undefined ? false : `${program} is not here`;
}

/** What several tests look at, printed once. */
const printed = new Map<string, Promise<string>>();

function print(t: TestContext, ...args: string[]): Promise<string> {
  const key = args.join(' ');
  const before = printed.get(key) ?? ringwalOk(t, args);
  printed.set(key, before);
  return before;
}

/** Every command by its name, and its help. */
async function helps(t: TestContext): Promise<Map<string, string>> {
  const help = await print(t, '--help');
  const listed = help.slice(help.indexOf('Commands:'), help.indexOf('Exit codes:'));
  const names = [...listed.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
  const commands = names.filter((name) => name !== 'help');
  return new Map(
    await Promise.all(commands.map(async (name) => [name, await print(t, 'help', name)] as const)),
  );
}

/** The long options in the help of a command. */
function optionsIn(help: string): string[] {
  const listed = help.slice(help.indexOf('Options:'), help.indexOf('Examples:'));
  return [...listed.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name = '']) => name);
}

test('--help lists commands and exit codes, --version the version of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.equal(await ringwalOk(t, ['--version']), `${version}\n`);
  assert.match(await print(t, '--help'), /^ {2}130 {2}Ended by SIGINT/m);
  assert.equal(await print(t, 'help', 'cat'), await ringwalOk(t, ['cat', '--help']));
});

test('a wrong command line ends with 2, says what is wrong and where to read on', async (t) => {
  const cases = [
    [[], /^Usage: ringwal/],
    [['inspct', 'x'], /Unknown command 'inspct'\n\(Did you mean inspect\?\)/],
    [['cat'], /Missing required argument 'path'\n`ringwal help cat` explains the command\./],
    [['cat', 'x', '--fromm', '1'], /Unknown option '--fromm'\n\(Did you mean --from\?\)/],
    [['cat', 'x', '--from', '0'], /It must be an LSN, an integer from 1\./],
    [['cat', 'x', '--format', 'xml'], /Allowed choices are text, json, hex, raw/],
    [['append', 'x', '--max-file-size', '1furlong'], /It must be a size, like 65536, 64KiB or 1GB\./],
    [['append', 'x', '--max-age', '7'], /It must be a time with its unit, like 200ms, 5s, 10m, 12h or 7d\./],
    [['cat', 'x', 'y'], /Too many arguments/],
    [['stats', 'x', '--watch', '0'], /It must be a time above 0 and below 25 days/],
    [['stats', 'x', '--watch', '26d'], /It must be a time above 0 and below 25 days/],
    [['top', 'x', '--interval', '-1'], /It must be a time above 0 and below 25 days/],
    [['help', 'inspct'], /Unknown command 'inspct'\nThe commands are append, cat, /],
    [['cat', '--json'], /^\{"error":\{"message":"missing required argument 'path'","exitCode":2\}\}\n$/],
  ] as const;
  await Promise.all(
    cases.map(async ([args, why]) => {
      const { code, stdout, stderr } = await ringwal(t, args);
      assert.deepEqual([code, stdout], [2, ''], `${args}: ${stderr}`);
      assert.match(stderr, why);
      assert.doesNotMatch(stderr, / {4}at /);
    }),
  );
});

test('the help fits the window', { skip: noTerminal }, async (t) => {
  for (const columns of [60, 80]) {
    for (const args of [['--help'], ['help', 'append'], ['help', 'bench']]) {
      const { code, screen } = await onTerminal(t, args, { columns, env: { NO_COLOR: '1' } });
      assert.equal(code, 0);
      const wide = screen.split('\n').filter((line) => line.length > columns);
      // What is to be copied is not wrapped.
      assert.deepEqual(
        wide.filter((line) => !/^ {2}\S.*\bringwal /.test(line) && !/^Usage: /.test(line)),
        [],
      );
    }
  }
});

test('docs/cli.md has every command, every option and every exit code, and no other', async (t) => {
  const docs = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');
  const help = await print(t, '--help');
  const commands = await helps(t);
  const sections = new Map(docs.split(/^## /m).map((text) => [/^`ringwal (\w+)/.exec(text)?.[1], text]));
  assert.deepEqual(
    [...sections.keys()].filter((name) => name !== undefined),
    [...commands.keys()],
  );
  for (const [name, commandHelp] of commands) {
    const options = optionsIn(commandHelp);
    const section = sections.get(name) as string;
    for (const option of options.filter((each) => each !== '--help' && each !== '--json')) {
      assert.ok(section.includes(`\`${option}`) || section.includes(`, ${option}`), `${name} ${option}`);
    }
    for (const [option] of section.matchAll(/(?<=[`,] ?)--[a-z-]+/g)) {
      assert.ok(options.includes(option), `docs/cli.md has ${option} of ${name}`);
    }
  }
  const told = [...help.slice(help.indexOf('Exit codes:')).matchAll(/^ +(\d+) {2}(.*)$/gm)];
  for (const [, code, meaning] of told)
    assert.ok(docs.includes(`| ${code} | ${meaning} |`), `exit code ${code}`);
});

test('the manual page has every command and option', async (t) => {
  const plain = (await print(t, 'man')).replaceAll('\\-', '-');
  for (const [name, help] of await helps(t)) {
    assert.match(plain, new RegExp(`^\\.SS ringwal ${name} `, 'm'));
    for (const option of optionsIn(help)) {
      if (option !== '--help') assert.ok(plain.includes(option), `${name} ${option}`);
    }
  }
});

test('the manual page in the package is the one that the command prints', async (t) => {
  if (process.env.RINGWAL_TEST_KIND !== 'package') return t.skip('the package is not what is tested here');
  assert.equal(readFileSync(join(ROOT, 'dist/ringwal.1'), 'utf8'), await print(t, 'man'));
  const { man, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.deepEqual([man, bin], ['./dist/ringwal.1', { ringwal: './dist/cli.js' }]);
});

test('mandoc finds nothing wrong with the manual page', { skip: missing('mandoc') }, async (t) => {
  const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
    input: await print(t, 'man'),
    encoding: 'utf8',
  });
  // It has no date on purpose.
  assert.deepEqual(
    stdout.split('\n').filter((line) => line !== '' && !/missing date/.test(line)),
    [],
  );
});

/** What bash would offer behind these words, of which the last is being typed. */
async function bashOffers(t: TestContext, ...words: string[]): Promise<string[]> {
  const script = await print(t, 'completion', 'bash');
  const line = words.map((word) => `'${word}'`).join(' ');
  const { stdout, stderr } = spawnSync(
    'bash',
    [
      '--norc',
      '-c',
      `${script}\nCOMP_WORDS=(ringwal ${line}); COMP_CWORD=${words.length}; _ringwal 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(stderr, '');
  return stdout.split('\n').filter(Boolean);
}

test('bash completes commands, options and values', { skip: missing('bash') }, async (t) => {
  assert.deepEqual(await bashOffers(t, 'ver'), ['verify']);
  assert.deepEqual(await bashOffers(t, 'repair', '--m'), ['--mode']);
  assert.deepEqual(await bashOffers(t, 'repair', '--mode', ''), ['truncate', 'salvage']);
  assert.deepEqual(await bashOffers(t, 'cat', '-f', 'he'), ['hex']);
  assert.deepEqual(await bashOffers(t, 'completion', ''), ['bash', 'zsh', 'fish']);
  assert.deepEqual(await bashOffers(t, 'cat', '--from', ''), []);
});

test('fish completes commands, options and values', { skip: missing('fish') }, async (t) => {
  const script = join(temporaryDirectory(t), 'ringwal.fish');
  writeFileSync(script, await ringwalOk(t, ['completion', 'fish']));
  const offers = (line: string) =>
    spawnSync('fish', ['--no-config', '-c', `source ${script}; complete -C '${line}'`], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean)
      .map((each) => each.split('\t')[0]);
  assert.deepEqual(offers('ringwal ver'), ['verify']);
  assert.deepEqual(offers('ringwal repair --mo'), ['--mode']);
  assert.deepEqual(offers('ringwal repair --mode '), ['salvage', 'truncate']);
});

test('zsh takes the script', { skip: missing('zsh') }, async (t) => {
  const script = join(temporaryDirectory(t), '_ringwal');
  writeFileSync(script, await ringwalOk(t, ['completion', 'zsh']));
  const { status, stdout, stderr } = spawnSync(
    'zsh',
    ['-f', '-c', `autoload -Uz compinit && compinit -u -D && source ${script} && print $_comps[ringwal]`],
    { encoding: 'utf8' },
  );
  assert.deepEqual([status, stdout, stderr], [0, '_ringwal\n', '']);
});
