import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { progressBar, StatusLine } from '../../src/cli/terminal/status-line.js';
import { whatStays } from './support.js';

function fakeTerminal(
  isTTY: boolean,
  columns = 20,
): { line: StatusLine; written: () => string; pass(ms: number): void } {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns });
  let now = 5000;
  return {
    line: new StatusLine(stream, () => now),
    written: () => String(stream.read() ?? ''),
    pass(ms) {
      now += ms;
    },
  };
}

test('progress is shown after a second, ten times a second at most, and goes when it is done', () => {
  const { line, written, pass } = fakeTerminal(true);
  pass(999);
  line.update(() => 'too soon');
  assert.equal(written(), '');
  pass(1);
  line.update(() => 'a text that is longer than the terminal is wide');
  assert.equal(written(), '\r\x1b[Ka text that is long');
  pass(99);
  line.update(() => 'too soon again');
  assert.equal(written(), '');
  pass(1);
  line.update(() => 'next');
  line.clear();
  assert.equal(written(), '\r\x1b[Knext\r\x1b[K');
});

test('a terminal that does not know its width is taken for one of 80 columns', () => {
  const { line, written, pass } = fakeTerminal(true, 0);
  pass(1000);
  line.update(() => 'x'.repeat(100));
  assert.equal(written(), `\r\x1b[K${'x'.repeat(79)}`);
});

test('of what a terminal was sent progress does not stay, whole or drawn over', () => {
  assert.equal(whatStays('\r\x1b[Kopening … 1 s\r\x1b[Kopening … 2 s\r\x1b[Kdone\r\n'), 'done\n');
  assert.equal(whatStays('a\r\nopening\r\x1b[Kb\r\n'), 'a\nb\n');
  assert.equal(whatStays('done\r\n'), 'done\n');
});

test('progress is not shown where nobody looks', () => {
  const { line, written, pass } = fakeTerminal(false);
  pass(10_000);
  line.update(() => assert.fail('not even made'));
  line.clear();
  assert.equal(written(), '');
});

test('a bar is as full as the work is done', () => {
  assert.equal(progressBar(0, 10, 4), '░░░░   0 %');
  assert.equal(progressBar(5, 10, 4), '██░░  50 %');
  assert.equal(progressBar(12, 10, 4), '████ 100 %');
});
