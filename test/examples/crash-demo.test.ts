import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { temporaryDirectory } from '../cleanup.js';
import { SEED } from '../seed.js';
import { startExample } from './example.js';

// By URL, since they have no types.
const load = (name: string) => import(new URL(`../../examples/crash-demo/${name}`, import.meta.url).href);
const { Lines, linesOf } = await load('lines.mjs');
const { compareWithLines } = await load('compare.mjs');

/** Every byte value, in an order that has line breaks in odd places. */
const BINARY = Buffer.from(Array.from({ length: 20_000 }, (_, n) => (n * n * 31 + n * 7) & 0xff));

const FILES: Readonly<Record<string, Buffer>> = {
  'a final line break': Buffer.from('line\n'.repeat(700)),
  'no final line break': Buffer.from(`${'line\n'.repeat(700)}end`),
  'CRLF, empty lines and lone carriage returns': Buffer.from('one\r\n\r\n\n\n\n\rtwo\r\n'.repeat(150)),
  'two lines': Buffer.from('one\ntwo'),
  'binary content': BINARY,
  'lines larger than the ring takes': Buffer.concat([
    Buffer.from('short\n'),
    Buffer.alloc(9_000_000, 'long '),
    Buffer.from('\nshort\n'),
    Buffer.alloc(18_000_000, 'longer '),
  ]),
};

describe('npm start', { concurrency: 4 }, () => {
  for (const [name, content] of Object.entries(FILES)) {
    test(`proves that nothing is lost of a file with ${name}`, async (t) => {
      const { output } = await runDemo(t, content);
      const [, given, acknowledged] = demand(
        /been given ([\d,]+) lines?, and had acknowledged ([\d,]+)/,
        output,
      );
      const total = new Lines(content).count;
      assert.ok(numberOf(acknowledged) > 0, 'some lines are acknowledged before the kill');
      assert.ok(numberOf(given) < total, 'some never reach the child');
      assert.match(output, /none of [\d,]+ acknowledged lines? was lost/);
      for (const label of [
        'entries/s',
        'p50',
        'p99',
        'main thread, ns per append',
        'fsyncs',
        'entries per fsync',
      ]) {
        demand(new RegExp(`${label} +[\\d.,]+`), output);
      }
    });
  }

  test('copes with an empty file', async (t) => {
    const { output } = await runDemo(t, Buffer.alloc(0));
    assert.match(output, /0 entries, 0 bytes: identical/);
  });

  test('copes with a single line, with a line break and without', async (t) => {
    for (const content of ['alone', 'alone\n']) {
      const { output } = await runDemo(t, Buffer.from(content));
      assert.match(output, new RegExp(`1 entry, ${content.length} bytes: identical`));
    }
  });

  test("takes the repository's package-lock.json where no file is named", async (t) => {
    const { output } = await runDemo(t, undefined);
    assert.match(output, /killed in the middle of package-lock\.json/);
  });

  test('finds the file from where the user called npm', async (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, 'input.txt'), 'a\nb\nc\n');
    const demo = startExample(t, 'crash-demo.mjs', ['input.txt'], { INIT_CWD: directory });
    const { code, output } = await demo.ended;
    assert.equal(code, 0);
    assert.match(output, /3 entries, 6 bytes: identical/);
  });

  test('says why it cannot read a file, and leaves nothing behind', async (t) => {
    const directory = temporaryDirectory(t);
    for (const [file, code] of [
      [join(directory, 'missing'), 'ENOENT'],
      [directory, 'EISDIR'],
    ] as const) {
      const demo = startExample(t, 'crash-demo.mjs', [file], { TMPDIR: directory });
      const ended = await demo.ended;
      assert.equal(ended.code, 2);
      assert.match(ended.errors, new RegExp(`Cannot read the file: ${code}.*\nUsage: `));
      assert.deepEqual(readdirSync(directory), []);
    }
  });

  for (const [during, pattern] of [
    ['while the child appends', /acknowledged {2}[\d,]+ of/],
    ['while the rest is appended', /3 {2}The rest/],
    ['while it measures', /What it costs/],
  ] as const) {
    test(`Ctrl-C ${during} removes everything`, async (t) => {
      const directory = temporaryDirectory(t);
      const file = join(directory, 'input.txt');
      const temporary = join(directory, 'temporary');
      mkdirSync(temporary);
      writeFileSync(file, 'line\n'.repeat(5_000));
      const demo = startExample(t, 'crash-demo.mjs', [file], { TMPDIR: temporary });
      await demo.seen(pattern);
      demo.child.kill('SIGINT');
      const { code, errors } = await demo.ended;
      assert.deepEqual({ code, errors }, { code: 130, errors: '' });
      assert.deepEqual(readdirSync(temporary), []);
    });
  }
});

describe("the demo's proof", () => {
  const lines = new Lines(Buffer.from('one\ntwo\nthree\n'));
  const logOf = (...entries: [lsn: number, data: string][]) => ({
    async *batches() {
      for (const [lsn, data] of entries) yield [{ lsn, data: Buffer.from(data) }];
    },
  });

  test('counts the entries that equal their lines', async () => {
    assert.equal(await compareWithLines(logOf(), lines), 0);
    assert.equal(await compareWithLines(logOf([1, 'one\n'], [2, 'two\n']), lines), 2);
  });

  test('refuses a log with a gap, a changed, a swapped, a repeated or an additional entry', async () => {
    for (const [log, message] of [
      [logOf([1, 'one\n'], [3, 'three\n']), /entry 3 follows entry 1/],
      [logOf([1, 'one\n'], [2, 'Two\n']), /entry 2 differs/],
      [logOf([1, 'one\n'], [2, 'two']), /entry 2 differs/],
      [logOf([1, 'two\n'], [2, 'one\n']), /entry 1 differs/],
      [logOf([1, 'one\n'], [1, 'one\n']), /entry 1 follows entry 1/],
      [logOf([1, 'one\n'], [2, 'two\n'], [3, 'three\n'], [4, '']), /the log goes on/],
    ] as const) {
      await assert.rejects(compareWithLines(log, lines), message);
    }
  });

  test('rests on lines that are the file when put together, however they come in', async () => {
    const bytes = fc
      .array(fc.constantFrom(0, 10, 10, 13, 65, 255), { maxLength: 60 })
      .map((each) => Buffer.from(each));
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }),
        async (file, sizes) => {
          const whole = new Lines(file);
          const expected = Array.from({ length: whole.count }, (_, n) => whole.at(n));
          assert.deepEqual(Buffer.concat(expected), file);
          for (const line of expected.slice(0, -1)) assert.equal(line.indexOf(10), line.length - 1);

          const chunks = [];
          let at = 0;
          for (const size of sizes) {
            chunks.push(file.subarray(at, at + size));
            at += size;
          }
          chunks.push(file.subarray(at));
          const found = [];
          for await (const line of linesOf(chunks)) found.push(line);
          assert.deepEqual(found, expected);
        },
      ),
      { seed: SEED },
    );
  });
});

/** Runs it to its end: it must succeed, say so, and leave nothing behind. */
async function runDemo(t: TestContext, content: Buffer | undefined) {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'input');
  const temporary = join(directory, 'temporary');
  mkdirSync(temporary);
  if (content !== undefined) writeFileSync(file, content);
  const demo = startExample(t, 'crash-demo.mjs', content === undefined ? [] : [file], { TMPDIR: temporary });
  const ended = await demo.ended;
  assert.deepEqual({ code: ended.code, errors: ended.errors }, { code: 0, errors: '' }, ended.output);
  demand(/Proven: the log equals \S+, byte for byte/, ended.output);
  assert.deepEqual(readdirSync(temporary), []);
  return ended;
}

function demand(pattern: RegExp, text: string): RegExpExecArray {
  return pattern.exec(text) ?? assert.fail(`${pattern} is not in:\n${text}`);
}

function numberOf(text: string | undefined): number {
  return Number(text?.replaceAll(',', ''));
}
