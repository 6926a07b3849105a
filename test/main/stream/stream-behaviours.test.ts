/**
 * What programs that know sonic-boom (`pino.destination()`) or Node's `Writable` find in a log stream: each behaviour is looked at in all
 * of them, side by side. docs/log-streams.md has this table.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sonicBoom from 'sonic-boom';
import type { LogStream, LogStreamOptions } from '#ringwal';
import { temporaryDirectory } from '../../cleanup.js';
import { Faults, freshLog, SMALL_RING, texts, turn } from '../support.js';

type Kind = 'sonic-boom' | 'file' | 'Writable' | 'ringwal';

/** All that any of them has; what one has not is `undefined` there. */
type AnyStream = Pick<LogStream, Exclude<keyof LogStream, 'end'>> & {
  end(chunk?: unknown, callback?: unknown): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
};

interface Subject {
  readonly kind: Kind;
  readonly stream: AnyStream;
  /** Resolves at 'close'. */
  readonly closed: Promise<void>;
  /** The names of the events that came. */
  readonly events: string[];
  /** What has arrived where the stream leads. */
  content(): Promise<string>;
  /** Lets what `write` had no room for go on. */
  release(): void;
  /** The bytes that made `write` return false. */
  isFullAfter(bytes: number): boolean;
}

const EVENTS = ['ready', 'drain', 'error', 'finish', 'close', 'drop'];

function watched(
  kind: Kind,
  given: unknown,
  rest: Pick<Subject, 'content' | 'release' | 'isFullAfter'>,
): Subject {
  const stream = given as AnyStream;
  const events: string[] = [];
  for (const event of EVENTS) {
    stream.on(event, (first) => events.push(event === 'error' ? `'error' ${codeOf(first)}` : `'${event}'`));
  }
  const closed = new Promise<void>((resolve) => stream.on('close', () => resolve()));
  return { kind, stream, closed, events, ...rest };
}

/** sonic-boom's types do not have it. */
const isOver = (stream: object) => (stream as { destroyed: boolean }).destroyed;

const OPEN: Record<Kind, (t: TestContext, options: LogStreamOptions) => Promise<Subject>> = {
  async 'sonic-boom'(t, { onFull }) {
    const file = join(temporaryDirectory(t), 'file');
    const stream = new sonicBoom.SonicBoom({
      dest: file,
      ...(onFull === 'drop' ? { maxLength: 20_000 } : {}),
    });
    return watched('sonic-boom', stream, {
      async content() {
        if (!isOver(stream)) await new Promise((resolve) => stream.flush(resolve));
        return readFileSync(file, 'utf8');
      },
      release() {},
      isFullAfter: (bytes) => bytes >= 16_387 && bytes < 2 * 16_387,
    });
  },
  async file(t) {
    const file = join(temporaryDirectory(t), 'file');
    const stream = createWriteStream(file);
    return watched('file', stream, {
      async content() {
        if (stream.writable) await new Promise((resolve) => stream.write('', resolve));
        return readFileSync(file, 'utf8');
      },
      release() {},
      isFullAfter: (bytes) =>
        bytes >= stream.writableHighWaterMark && bytes < stream.writableHighWaterMark + 1000,
    });
  },
  async Writable() {
    let content = '';
    let isHeld = true;
    let goOn = () => {};
    const stream = new Writable({
      write(chunk, _encoding, callback) {
        content += chunk;
        if (isHeld) goOn = callback;
        else callback();
      },
    });
    const release = () => {
      isHeld = false;
      goOn();
    };
    return watched('Writable', stream, {
      async content() {
        release();
        if (stream.writable) await new Promise((resolve) => stream.write('', resolve));
        return content;
      },
      release,
      isFullAfter: (bytes) =>
        bytes >= stream.writableHighWaterMark && bytes < stream.writableHighWaterMark + 1000,
    });
  },
  async ringwal(t, options) {
    const faults = new Faults(t);
    const wal = await freshLog(t, { ringSize: SMALL_RING, workerUrl: faults.workerUrl });
    faults.give('hold-write');
    const release = () => faults.recall('hold-write');
    return watched('ringwal', wal.createLogStream(options), {
      async content() {
        release();
        await wal.sync();
        const lines = await texts(wal.entries());
        return lines.map((line) => `${line}\n`).join('');
      },
      release,
      isFullAfter: () => wal.stats().ringUsed > 0.9 * wal.stats().ringBytes,
    });
  },
};

function codeOf(error: unknown): string {
  const { code, message, cause } = error as { code?: string; message: string; cause?: { code?: string } };
  return cause?.code === undefined ? (code ?? `"${message}"`) : `${code}, cause ${cause.code}`;
}

/** What a call returns, or throws. */
function outcome(call: () => unknown): string {
  try {
    const result = call();
    return result === undefined ? 'returns' : `returns ${result}`;
  } catch (error) {
    return `throws ${codeOf(error)}`;
  }
}

async function turns(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

/** Time for an event that should not come: what was asked of the disk before has been answered. */
async function quiet(): Promise<void> {
  for (let count = 0; count < 3; count++) {
    await turns();
    await readFile(fileURLToPath(import.meta.url));
  }
}

/** What a write gets that comes too late: its result, its callback's error, and the 'error' events until `end` and after it. */
async function lateWrite({ stream, events }: Subject, end?: Promise<unknown>): Promise<string> {
  let given: unknown;
  const answer = outcome(() =>
    stream.write('late\n', undefined, (error) => {
      given = error;
    }),
  );
  await end;
  await quiet();
  const told = events.filter((event) => event.startsWith("'error'")).join();
  return [answer, given && `the callback gets ${codeOf(given)}`, told].filter(Boolean).join(', ');
}

const has = (stream: AnyStream, method: keyof AnyStream) => typeof stream[method] === 'function';

/** Resolves to what `flush` gave its callback; of those that have no `flush`, once all is written. */
async function flushed({ stream }: Subject): Promise<unknown> {
  if (has(stream, 'flush')) return new Promise((resolve) => stream.flush(resolve));
  return new Promise((resolve) => stream.write('', undefined, resolve));
}

const LINE = `${'x'.repeat(99)}\n`;

/** Writes lines until `write` returns false; returns the bytes. */
function fill({ stream }: Subject): number {
  let bytes = LINE.length;
  while (stream.write(LINE)) bytes += LINE.length;
  return bytes;
}

/** Resolves once the destination, if it has to be opened, is open. */
async function isReady({ kind, stream, events }: Subject): Promise<void> {
  if (kind !== 'Writable' && !events.includes("'ready'")) await once(stream, 'ready');
}

interface Behaviour {
  readonly what: string;
  /** Looks at it, and says in a few words what it saw. */
  readonly see: (subject: Subject) => Promise<string>;
  readonly sonicBoom: string;
  readonly writable: string;
  /** Of `fs.createWriteStream`, where it differs from other Writables. */
  readonly file?: string;
  readonly ringwal: string;
  readonly options?: LogStreamOptions;
}

const NONE = 'has none';
const BEHAVIOURS: readonly Behaviour[] = [
  // ── Text and lines ──
  {
    what: 'text without a newline, then `flush()` or a callback of `write`',
    async see(subject) {
      subject.stream.write('text');
      const done = flushed(subject);
      subject.release();
      await done;
      return (await subject.content()) === 'text' ? 'is written' : 'waits';
    },
    sonicBoom: 'is written',
    writable: 'is written',
    ringwal: 'waits',
  },
  {
    what: 'text without a newline, then `end()`',
    async see(subject) {
      await isReady(subject);
      subject.stream.write('text');
      subject.stream.end();
      subject.release();
      await subject.closed;
      return (await subject.content()).trimEnd() === 'text' ? 'is written' : 'is lost';
    },
    sonicBoom: 'is written',
    writable: 'is written',
    ringwal: 'is written',
  },
  {
    what: 'text without a newline, then `destroy()`',
    async see(subject) {
      await isReady(subject);
      subject.stream.write('first\n');
      subject.stream.write('text');
      subject.stream.destroy();
      await subject.closed;
      return (await subject.content()).endsWith('text\n') ? 'is written' : 'is lost';
    },
    sonicBoom: 'is lost',
    writable: 'is lost',
    ringwal: 'is written',
  },
  {
    what: '`write(buffer)`',
    async see(subject) {
      subject.stream.write(Buffer.from('bytes\n'));
      return (await subject.content()) === 'bytes\n' ? 'is written' : 'is lost';
    },
    sonicBoom: 'is written',
    writable: 'is written',
    ringwal: 'is written',
  },
  {
    what: '`write(null)`',
    see: async ({ stream }) => outcome(() => stream.write(null as never)),
    sonicBoom: 'returns true',
    writable: 'throws ERR_STREAM_NULL_VALUES',
    ringwal: 'throws ERR_WAL_OPTION, cause ERR_STREAM_NULL_VALUES',
  },
  {
    what: '`write(5)`, `write({})`, `write()`',
    see: async ({ stream }) =>
      [...new Set([5, {}, undefined].map((chunk) => outcome(() => stream.write(chunk as never))))].join(
        ' or ',
      ),
    sonicBoom: 'returns true',
    writable: 'throws ERR_INVALID_ARG_TYPE',
    ringwal: 'throws ERR_WAL_OPTION, cause ERR_INVALID_ARG_TYPE',
  },
  {
    what: "`write(text, 'no-encoding')`",
    see: async ({ stream }) => outcome(() => stream.write('x\n', 'no-encoding' as never)),
    sonicBoom: 'returns true',
    writable: 'throws ERR_UNKNOWN_ENCODING',
    ringwal: 'throws ERR_WAL_OPTION, cause ERR_UNKNOWN_ENCODING',
  },
  {
    what: "`setDefaultEncoding('no-encoding')`",
    see: async ({ stream }) =>
      has(stream, 'setDefaultEncoding')
        ? outcome(() => stream.setDefaultEncoding('no-encoding' as never))
        : NONE,
    sonicBoom: NONE,
    writable: 'throws ERR_UNKNOWN_ENCODING',
    ringwal: 'throws ERR_WAL_OPTION, cause ERR_UNKNOWN_ENCODING',
  },
  {
    what: 'the callback of `write`',
    async see(subject) {
      let error: unknown = 'is not called';
      subject.stream.write('line\n', undefined, (given) => {
        error = given;
      });
      const isAtOnce = error !== 'is not called';
      await subject.content();
      await quiet();
      return error === 'is not called'
        ? error
        : `is called ${isAtOnce ? 'at once' : 'later'}, with ${error ?? 'no error'}`;
    },
    sonicBoom: 'is not called',
    writable: 'is called later, with no error',
    ringwal: 'is called later, with no error',
  },
  {
    what: '`writableLength` of text without a newline',
    async see({ stream }) {
      stream.write('text');
      return stream.writableLength === undefined ? NONE : String(stream.writableLength);
    },
    sonicBoom: NONE,
    writable: '4',
    ringwal: '4',
  },
  // ── A full destination ──
  {
    what: '`write` returns false',
    async see(subject) {
      const bytes = fill(subject);
      return subject.isFullAfter(bytes) ? 'at its limit' : `after ${bytes} bytes`;
    },
    sonicBoom: 'at its limit',
    writable: 'at its limit',
    ringwal: 'at its limit',
  },
  {
    what: 'lines that are written while it is full',
    async see(subject) {
      fill(subject);
      for (let more = 0; more < 100; more++) subject.stream.write(`more ${more}\n`);
      const found = (await subject.content()).split('\n');
      return found.at(-2) === 'more 99' && found.at(-101) === 'more 0' ? 'wait' : 'are dropped';
    },
    sonicBoom: 'wait',
    writable: 'wait',
    ringwal: 'wait',
  },
  {
    what: "`maxLength` of sonic-boom, `onFull: 'drop'` of ringwal: lines that are written while it is full",
    options: { onFull: 'drop' },
    async see(subject) {
      if (subject.kind === 'file' || subject.kind === 'Writable') return NONE;
      fill(subject);
      for (let more = 0; more < 100; more++) subject.stream.write(`${more} ${LINE}`);
      const drops = subject.events.filter((event) => event === "'drop'").length;
      return (await subject.content()).includes('99 xxx')
        ? 'wait'
        : `are dropped, ${drops > 0 ? "with a 'drop' for each" : 'without a word'}`;
    },
    sonicBoom: "are dropped, with a 'drop' for each",
    writable: NONE,
    ringwal: "are dropped, with a 'drop' for each",
  },
  {
    what: "'drain' after `write` returned false",
    async see(subject) {
      fill(subject);
      const drained = once(subject.stream, 'drain');
      subject.release();
      await drained;
      return 'comes';
    },
    sonicBoom: 'comes',
    writable: 'comes',
    ringwal: 'comes',
  },
  {
    what: "`writableNeedDrain` while it is full, and after 'drain'",
    async see(subject) {
      const { stream } = subject;
      fill(subject);
      const then = stream.writableNeedDrain;
      const drained = once(stream, 'drain');
      subject.release();
      await drained;
      return then === undefined ? NONE : `${then}, ${stream.writableNeedDrain}`;
    },
    sonicBoom: NONE,
    writable: 'true, false',
    ringwal: 'true, false',
  },
  {
    what: "`writableLength` while it is full, and after 'drain'",
    async see(subject) {
      const { stream } = subject;
      fill(subject);
      for (let more = 0; more < 100; more++) stream.write(LINE);
      const then = stream.writableLength;
      const drained = once(stream, 'drain');
      subject.release();
      await drained;
      return then === undefined
        ? NONE
        : `${then >= 100 * (LINE.length - 1) ? 'what waits' : then}, ${stream.writableLength}`;
    },
    sonicBoom: NONE,
    writable: 'what waits, 0',
    ringwal: 'what waits, 0',
  },
  // ── cork ──
  {
    what: '`cork()`',
    async see(subject) {
      const { stream } = subject;
      if (!has(stream, 'cork')) return NONE;
      subject.release();
      await isReady(subject);
      stream.cork();
      stream.write('corked\n');
      await quiet();
      const isHeld =
        subject.kind === 'ringwal'
          ? !(await subject.content()).includes('corked')
          : stream.writableLength > 0;
      return `${isHeld ? 'holds writes back' : 'holds nothing back'}, writableCorked ${stream.writableCorked}`;
    },
    sonicBoom: NONE,
    writable: 'holds writes back, writableCorked 1',
    ringwal: 'holds nothing back, writableCorked 1',
  },
  {
    what: '`end()` of a stream that is corked',
    async see(subject) {
      const { stream } = subject;
      if (!has(stream, 'cork')) return NONE;
      stream.cork();
      stream.write('corked\n');
      subject.release();
      stream.end();
      await subject.closed;
      return (await subject.content()) === 'corked\n' ? 'writes it' : 'loses it';
    },
    sonicBoom: NONE,
    writable: 'writes it',
    ringwal: 'writes it',
  },
  // ── Events, flush ──
  {
    what: "'ready'",
    async see(subject) {
      subject.release();
      await flushed(subject);
      await quiet();
      return subject.events.includes("'ready'") ? 'comes' : 'does not come';
    },
    sonicBoom: 'comes',
    writable: 'does not come',
    file: 'comes',
    ringwal: 'comes',
  },
  {
    what: "'drain' after `flush()`",
    async see(subject) {
      const { stream } = subject;
      if (!has(stream, 'flush')) return 'no `flush`';
      await isReady(subject);
      stream.write('line\n');
      stream.flush();
      subject.release();
      await once(stream, 'drain');
      return 'comes';
    },
    sonicBoom: 'comes',
    writable: 'no `flush`',
    ringwal: 'comes',
  },
  {
    what: 'the callback of `flush` where nothing was written',
    async see(subject) {
      const { stream } = subject;
      if (!has(stream, 'flush')) return 'no `flush`';
      await isReady(subject);
      let isCalled = false;
      const called = new Promise<void>((resolve) => {
        stream.flush(() => {
          isCalled = true;
          resolve();
        });
      });
      const isAtOnce = isCalled;
      subject.release();
      await called;
      return `is called ${isAtOnce ? 'at once' : 'later'}`;
    },
    sonicBoom: 'is called at once',
    writable: 'no `flush`',
    ringwal: 'is called later',
  },
  {
    what: '`flush(5)`',
    see: async ({ stream }) =>
      has(stream, 'flush') ? outcome(() => stream.flush(5 as never)) : 'no `flush`',
    sonicBoom: 'throws "flush cb must be a function"',
    writable: 'no `flush`',
    ringwal: 'throws ERR_WAL_OPTION',
  },
  {
    what: 'the callback of `flush` after `destroy()`',
    async see(subject) {
      if (!has(subject.stream, 'flush')) return 'no `flush`';
      subject.stream.destroy();
      subject.release();
      const error = await flushed(subject);
      return error ? `gets ${codeOf(error)}` : 'gets no error';
    },
    sonicBoom: 'gets "SonicBoom destroyed"',
    writable: 'no `flush`',
    ringwal: 'gets no error',
  },
  {
    what: '`flushSync()` right after the stream is made',
    async see({ stream, release }) {
      release();
      return has(stream, 'flushSync') ? outcome(() => stream.flushSync()) : 'no `flushSync`';
    },
    sonicBoom: 'throws "sonic boom is not ready yet"',
    writable: 'no `flushSync`',
    ringwal: 'returns',
  },
  {
    what: '`flushSync()` after `destroy()`',
    async see({ stream, release }) {
      release();
      stream.destroy();
      return has(stream, 'flushSync') ? outcome(() => stream.flushSync()) : 'no `flushSync`';
    },
    sonicBoom: 'throws "SonicBoom destroyed"',
    writable: 'no `flushSync`',
    ringwal: 'returns',
  },
  {
    what: '`reopen()`',
    async see(subject) {
      const { stream } = subject;
      if (!has(stream, 'reopen')) return 'no `reopen`';
      await isReady(subject);
      stream.reopen();
      await quiet();
      const isAgain = subject.events.filter((event) => event === "'ready'").length > 1;
      return isAgain ? 'opens the file anew' : 'does nothing';
    },
    sonicBoom: 'opens the file anew',
    writable: 'no `reopen`',
    ringwal: 'does nothing',
  },
  // ── The end ──
  {
    what: '`end()`',
    async see(subject) {
      await isReady(subject);
      subject.stream.write('line\n');
      subject.release();
      subject.stream.end();
      await subject.closed;
      return subject.events.filter((event) => event !== "'ready'").join(', ');
    },
    sonicBoom: "'finish', 'close'",
    writable: "'finish', 'close'",
    ringwal: "'finish', 'close'",
  },
  {
    what: '`end()` twice',
    async see(subject) {
      await isReady(subject);
      subject.stream.write('line\n');
      subject.stream.end();
      subject.stream.end();
      subject.release();
      await subject.closed;
      return `${subject.events.filter((event) => event !== "'ready'").join(', ')}`;
    },
    sonicBoom: "'finish', 'close'",
    writable: "'finish', 'close'",
    ringwal: "'finish', 'close'",
  },
  {
    what: '`end(text, callback)`',
    async see(subject) {
      await isReady(subject);
      let isCalled = false;
      subject.stream.write('line\n');
      subject.stream.end('text', () => {
        isCalled = true;
      });
      subject.release();
      await subject.closed;
      const isWritten = (await subject.content()).trimEnd().endsWith('text');
      return `${isWritten ? 'writes the text' : 'ignores the text'}, ${isCalled ? 'calls' : 'does not call'} the callback`;
    },
    sonicBoom: 'ignores the text, does not call the callback',
    writable: 'writes the text, calls the callback',
    ringwal: 'writes the text, calls the callback',
  },
  {
    what: '`write` after `end()`',
    async see(subject) {
      await isReady(subject);
      subject.release();
      subject.stream.write('line\n');
      subject.stream.end();
      await subject.closed;
      return lateWrite(subject);
    },
    sonicBoom: 'throws "SonicBoom destroyed"',
    writable: 'returns false, the callback gets ERR_STREAM_WRITE_AFTER_END',
    ringwal: 'returns false, the callback gets ERR_STREAM_WRITE_AFTER_END',
  },
  {
    what: "`write` between `end()` and 'close'",
    async see(subject) {
      await isReady(subject);
      subject.release();
      subject.stream.write('line\n');
      subject.stream.end();
      return lateWrite(subject, subject.closed);
    },
    sonicBoom: 'returns true',
    writable:
      "returns false, the callback gets ERR_STREAM_WRITE_AFTER_END, 'error' ERR_STREAM_WRITE_AFTER_END",
    ringwal:
      "returns false, the callback gets ERR_STREAM_WRITE_AFTER_END, 'error' ERR_STREAM_WRITE_AFTER_END",
  },
  {
    what: '`write` after `destroy()`',
    async see(subject) {
      await isReady(subject);
      subject.release();
      subject.stream.destroy();
      await subject.closed;
      return lateWrite(subject);
    },
    sonicBoom: 'throws "SonicBoom destroyed"',
    writable: 'returns false, the callback gets ERR_STREAM_DESTROYED',
    ringwal: 'returns false, the callback gets ERR_STREAM_DESTROYED',
  },
  {
    what: '`destroy(error)`',
    async see(subject) {
      await isReady(subject);
      subject.release();
      subject.stream.destroy(new Error('mine'));
      await subject.closed;
      return subject.events.filter((event) => event !== "'ready'").join(', ');
    },
    sonicBoom: "'close'",
    writable: `'error' "mine", 'close'`,
    ringwal: `'error' "mine", 'close'`,
  },
  {
    what: '`writable` after `end()`',
    async see(subject) {
      await isReady(subject);
      subject.release();
      subject.stream.end();
      await subject.closed;
      return String(subject.stream.writable);
    },
    sonicBoom: 'true',
    writable: 'false',
    ringwal: 'false',
  },
];

for (const behaviour of BEHAVIOURS) {
  const { what, see, sonicBoom, writable, file = writable, ringwal, options = {} } = behaviour;
  const expected: Record<Kind, string> = { 'sonic-boom': sonicBoom, file, Writable: writable, ringwal };
  for (const [kind, outcomeExpected] of Object.entries(expected) as [Kind, string][]) {
    test(`${kind}: ${what}: ${outcomeExpected}`, async (t) => {
      const subject = await OPEN[kind](t, options);
      assert.equal(await see(subject), outcomeExpected);
    });
  }
}

test('docs/log-streams.md has this table, and no other row', () => {
  const asCode = (text: string) => text.replace(/\b(ERR_\w+|writableCorked \d)/g, '`$1`');
  const rows = BEHAVIOURS.map(({ what, sonicBoom, writable, file, ringwal }) => {
    const ofNode = file === undefined ? writable : `${writable}; of a file: ${file}`;
    return `| ${[what, sonicBoom, ofNode, ringwal].map(asCode).join(' | ')} |`;
  });
  const docs = readFileSync(new URL('../../../docs/log-streams.md', import.meta.url), 'utf8');
  const [, table = ''] = docs.split('| | sonic-boom | Writable | ringwal |\n| --- | --- | --- | --- |\n');
  assert.deepEqual(table.slice(0, table.indexOf('\n\n')).split('\n'), rows);
});
