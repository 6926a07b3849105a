import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../cleanup.js';
import { entries, frameWith, LogBuilder } from '../format/log-builder.js';
import { makeLog, openLog, range, snapshot, temporaryLog } from '../main/support.js';
import { plant, plantDamaged, type RunOptions, ringwal, ringwalOk } from './support.js';

/** What only a program can make use of: `Wal.repair`, `maxFileSize`, `close()`. Paths are quoted, and may look like anything. */
const API_NAME = /\bWal\b|\b[a-z]+[A-Z]\w*|\w\(\)|\breadOnly\b|\battach\b/;

function withoutQuotes(text: string): string {
  return text.replace(/"[^"]*"|(?<!\w)'[^']*'(?!\w)|\S*\/ringwal-test-\S*/g, '…');
}

interface Failure extends RunOptions {
  readonly code: number;
  /** What is printed: the message, and on a line below it the hint. */
  readonly why: RegExp;
}

/** Runs the command, which must fail, and tell why in words of the command. With `--json`: that has all that is printed. */
async function fails(
  t: TestContext,
  args: readonly string[],
  { code, why, ...options }: Failure,
): Promise<void> {
  const name = `ringwal ${args.join(' ')}`;
  const { code: endedWith, stderr } = await ringwal(t, [...args, '--json'], options);
  assert.equal(endedWith, code, `${name}: ${stderr}`);
  const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '');
  assert.equal(error.exitCode, code, name);
  const told = `ringwal: ${error.message}\n${error.hint === undefined ? '' : `  ${error.hint}\n`}`;
  assert.match(told, why, name);
  assert.doesNotMatch(withoutQuotes(told), API_NAME, name);
  assert.doesNotMatch(told, /should not have happened| {4}at /, name);
}

test('an error is printed as its message, and on a line below it what to do', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'the live segment missing');
  const { error } = JSON.parse((await ringwal(t, ['stats', log, '--json'])).stderr);
  const { stderr } = await ringwal(t, ['stats', log]);
  assert.equal(stderr, `ringwal: ${error.message}\n  ${error.hint}\n`);
});

/** Commands that read a log, with what else they need. */
const READING: readonly (readonly string[])[] = [
  ['cat'],
  ['cat', '--reverse'],
  ['tail'],
  ['tail', '-f'],
  ['get', '1'],
  ['inspect'],
  ['verify'],
  ['stats'],
  ['top'],
  ['repair', '--dry-run'],
  ['truncate', '--before', '2', '--dry-run'],
  ['checkpoint'],
];

/** Those that change one that is there. */
const CHANGING: readonly (readonly string[])[] = [
  ['repair', '--yes'],
  ['truncate', '--after', '1', '--yes'],
  ['checkpoint', '1'],
];

function argsOn([command = '', ...rest]: readonly string[], log: string): string[] {
  const isPlain = command === 'get' || (command === 'checkpoint' && rest.length > 0);
  return isPlain ? [command, log, ...rest] : [command, ...rest, log];
}

test('a directory without any file of a log holds no log, for every command that needs one', async (t) => {
  const empty = temporaryDirectory(t);
  const other = temporaryDirectory(t);
  writeFileSync(join(other, 'notes.txt'), 'nothing of a log');
  for (const [directory, commands] of [
    [empty, [...READING, ...CHANGING]],
    [other, [['cat'], ['verify']]],
  ] as const) {
    const before = snapshot(directory);
    for (const command of commands) {
      await fails(t, argsOn(command, directory), {
        code: 4,
        why: /^ringwal: There is no log in ".*": no wal-0/,
      });
    }
    assert.deepEqual(snapshot(directory), before);
  }
  await ringwalOk(t, ['append', empty], { input: 'one\n' });
  assert.equal(await ringwalOk(t, ['cat', empty]), 'one\n');
});

test('a log that nothing was appended to is an empty log, for every command', async (t) => {
  const log = temporaryLog(t);
  await (await Wal.open(log)).close();
  const opened = temporaryLog(t);
  await openLog(t, opened);
  for (const directory of [log, opened]) {
    assert.equal(await ringwalOk(t, ['cat', directory]), '');
    assert.equal(await ringwalOk(t, ['tail', directory]), '');
    assert.match(await ringwalOk(t, ['verify', directory]), /^clean /m);
    assert.match(await ringwalOk(t, ['inspect', directory]), /^entries +none$/m);
    assert.match(await ringwalOk(t, ['stats', directory]), /^entries +none$/m);
    assert.equal(await ringwalOk(t, ['checkpoint', directory]), '0\n');
    await fails(t, ['get', directory, '1'], { code: 1, why: /There is no entry 1 in ".*": it is empty\./ });
  }
});

test('a path that leads nowhere, to a file, or to what is neither, is told', async (t) => {
  const directory = temporaryDirectory(t);
  const missing = join(directory, 'missing');
  const file = join(directory, 'file');
  const pipe = join(directory, 'pipe');
  writeFileSync(file, 'text');
  const isPipe = spawnSync('mkfifo', [pipe]).status === 0;
  for (const command of [...READING, ...CHANGING]) {
    await fails(t, argsOn(command, missing), { code: 4, why: /^ringwal: There is no ".*missing"\.$/m });
    if (CHANGING.includes(command) || command[0] === 'tail' || command[0] === 'get')
      await fails(t, argsOn(command, file), {
        code: 2,
        why: /".*file": it is a file\. Name the log's directory\./,
      });
    if (isPipe && (command[0] === 'cat' || command[0] === 'inspect' || command[0] === 'stats'))
      await fails(t, argsOn(command, pipe), {
        code: 2,
        why: /".*pipe" is neither a directory nor a regular file/,
      });
  }
  await fails(t, ['append', file], { code: 4, why: /Cannot open ".*file"|ENOTDIR/ });
  await fails(t, ['append', join(directory, 'log'), missing], { code: 4, why: /ENOENT/ });
  await fails(t, ['bench', file], { code: 2, why: /is a file/ });
  await fails(t, ['bench', missing], { code: 4, why: /There is no/ });
});

test('whatever is wrong with a log, a command says it in its own words, and how to go on', async (t) => {
  const advice =
    /\n {2}`ringwal verify .*` shows what is damaged, `ringwal repair .* --dry-run` what can be saved\./;
  const all = [['cat'], ['tail', '-f'], ['get', '14'], ['stats'], ['top'], ...CHANGING.slice(1)] as const;
  for (const [name, commands] of [
    ['a missing segment in the middle', all],
    ['the live segment cut off inside a frame', [['tail'], ['stats']]],
    ['a flipped byte in the first frame of the log', [['cat'], ['stats']]],
    ['all segments missing', [['cat'], ['stats']]],
  ] as const) {
    const log = plantDamaged(temporaryLog(t), name);
    for (const command of commands) await fails(t, argsOn(command, log), { code: 1, why: advice });
    await fails(t, ['append', log], { code: 1, why: advice, input: 'new\n' });
    for (const command of ['verify', 'inspect']) {
      const { code, stdout } = await ringwal(t, [command, log]);
      assert.equal(code, 1);
      assert.match(stdout.replaceAll(/\n */g, ' '), /`ringwal repair .* --dry-run` shows what can be saved/);
      assert.doesNotMatch(withoutQuotes(stdout), API_NAME);
    }
  }
});

test("a log that another version wrote, or wal-go's later format, ends with 5", async (t) => {
  const builder = new LogBuilder().group(entries(2), 0);
  const at = { lsn: 3, syncedLsn: 2, number: 0, offset: builder.offset };
  const [later] = builder.raw(frameWith('8a0100', at)).build();
  const header = Uint8Array.of(0x57, 0x41, 0x4c, 0x47, 1, 0, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 0);
  for (const [bytes, hint] of [
    [
      later,
      /Read it with the version that wrote it, or a later one\.\n {2}`ringwal inspect .*` shows the place/,
    ],
    [header, /\n {2}Import segments in wal-go's later format one by one/],
  ] as const) {
    const log = plant(temporaryLog(t), new Map([['wal-0', bytes]]));
    for (const command of [['stats'], ['repair', '--yes'], ['truncate', '--after', '1', '--yes']])
      await fails(t, argsOn(command, log), { code: 5, why: hint });
    await fails(t, ['append', log], { code: 5, why: hint, input: 'new\n' });
  }
});

test('a log that is open elsewhere is told in words of the command', async (t) => {
  const log = temporaryLog(t);
  const wal = await openLog(t, log);
  await wal.append('one', { durable: true });
  const why = /process \d+ has it open.*\n {2}Commands that read still work: cat, tail, get/;
  for (const command of CHANGING) {
    if (command[0] !== 'repair') await fails(t, argsOn(command, log), { code: 3, why });
  }
  await fails(t, ['append', log], { code: 3, why, input: 'new\n' });
});

test('an LSN that the log does not have, and a setting out of its range, are told with the names of the command line', async (t) => {
  const log = temporaryLog(t);
  await makeLog(
    log,
    range(1, 600).map((n) => `entry ${n}`),
    { maxFileSize: 4096, maxFiles: 2 },
  );
  const [{ firstLsn = 0 } = {}] = (await Wal.verify(log)).segments;
  assert.ok(firstLsn > 1);
  const gone =
    /Entry 1 of ".*" is gone.*begins at \d+.*\n {2}`ringwal stats .*` shows where the log begins\./;
  await fails(t, ['cat', log, '--from', '1'], { code: 1, why: gone });
  await fails(t, ['get', log, '1'], { code: 1, why: gone });
  await fails(t, ['tail', log, '--from', '1'], { code: 1, why: gone });
  await fails(t, ['get', log, '9007199254740991'], { code: 1, why: /There is no entry 9007199254740991/ });
  await fails(t, ['truncate', log, '--after', '9999', '--yes'], {
    code: 2,
    why: /Cannot truncate --after 9999/,
  });
  await fails(t, ['truncate', log, '--before', '9999', '--yes'], {
    code: 2,
    why: /Cannot truncate --before 9999/,
  });
  await fails(t, ['checkpoint', log, '9999'], { code: 2, why: /Cannot set the checkpoint to 9999/ });
  for (const [flag, value] of [
    ['--max-file-size', '5'],
    ['--max-file-size', '9999GiB'],
    ['--max-files', '0'],
    ['--max-total-size', '0'],
    ['--max-age', '0s'],
    ['--sync-interval', '2h'],
    ['--max-entry-size', '5GiB'],
  ] as const)
    await fails(t, ['append', log, flag, value], { code: 2, why: new RegExp(`^ringwal: ${flag} must be`) });
});

test('what the system refuses ends with 4', {
  skip: process.getuid?.() === 0 && 'root is refused nothing',
}, async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['one']);
  chmodSync(log, 0);
  for (const command of [...READING, ...CHANGING])
    await fails(t, argsOn(command, log), { code: 4, why: /EACCES/ });
  chmodSync(log, 0o700);
});

test('append to a log with damage that opening does not meet says what is wrong and what to do, and goes on', async (t) => {
  for (const [args, input] of [
    [['append'], 'new\n'],
    [['append', '--json'], 'new\n'],
    [['truncate', '--before', '1', '--yes'], ''],
    [['checkpoint'], ''],
  ] as const) {
    const log = plantDamaged(
      temporaryLog(t),
      'a flipped byte in the payload of an entry in the middle of a group',
    );
    const [command, ...rest] = args;
    const all = command === 'checkpoint' ? [command, log, '1'] : [command, log, ...rest];
    const { code, stderr } = await ringwal(t, all, { input });
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^ringwal: ".*" is damaged\. Entry 4 in wal-0 at byte \d+: the checksum of its data does not match\. .*\n {2}`ringwal verify .*` shows .* `ringwal repair .* --dry-run`/,
    );
    assert.doesNotMatch(withoutQuotes(stderr), API_NAME);
  }
});

test('append to a log that is well, merely torn, or repaired on the way has no damage to tell of', async (t) => {
  const well = temporaryLog(t);
  await makeLog(well, ['one']);
  assert.equal((await ringwal(t, ['append', well], { input: 'two\n' })).stderr, '');
  appendFileSync(join(well, 'wal-0'), 'half a frame');
  assert.doesNotMatch((await ringwal(t, ['append', well], { input: 'three\n' })).stderr, /damaged/);
  const damaged = plantDamaged(temporaryLog(t), 'a flipped byte in the last group');
  const repaired = await ringwal(t, ['append', damaged, '--recovery', 'point-in-time'], { input: 'new\n' });
  assert.equal(repaired.code, 0);
  assert.match(repaired.stderr, /was repaired/);
  assert.doesNotMatch(repaired.stderr, /is damaged/);
});

test('a path with blanks and quotes is named so that it can be typed', async (t) => {
  const log = plantDamaged(join(temporaryDirectory(t), "it's a log"), 'the live segment missing');
  const { stderr } = await ringwal(t, ['stats', log]);
  const [, named = ''] = /`ringwal verify (.*?)` shows/.exec(stderr) ?? [];
  const shell = spawnSync('sh', ['-c', `printf %s ${named}`], { encoding: 'utf8' });
  // Relative to the working directory where that is shorter.
  assert.equal(resolve(shell.stdout), log);
});
