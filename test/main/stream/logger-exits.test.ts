/**
 * Loggers whose process ends in each way that a process can end: pino into a log stream, pino by way of `ringwal/pino`, winston.
 * pino looks for targets by name, hence `ringwal/pino` is always the built package: its tests run where the suite is against that.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { Child, type Ended, Faults, left, range, runChild, temporaryLog } from '../support.js';

const COUNT = 5000;
const lineOf = (msg: string, level = 30) => JSON.stringify({ level, msg });
const ALL = range(1, COUNT).map((i) => lineOf(`line ${i}`));

/** In a child: `logger`, its `destination`, `ready()`, and `logAll()`. */
const LOG_ALL = `
  const logger = pino({ base: null, timestamp: false }, destination);
  const logAll = () => { for (let i = 1; i <= ${COUNT}; i++) logger.info('line ' + i); };
  const ready = () => once(destination, 'ready');
  const forever = () => setInterval(() => {}, 60_000);
`;
const DESTINATIONS = {
  'a log stream': `
    import { once } from 'node:events';
    import pino from 'pino';
    import { Wal } from '#ringwal';
    const [directory] = process.argv.slice(1);
    const wal = await Wal.open(directory, { ringSize: 65536 });
    const destination = wal.createLogStream();
    ${LOG_ALL}`,
  'ringwal/pino': `
    import { once } from 'node:events';
    import pino from 'pino';
    const [directory] = process.argv.slice(1);
    const destination = pino.transport({
      target: import.meta.resolve('ringwal/pino'),
      options: { directory, ringSize: 65536, maxFileSize: 65536 },
    });
    ${LOG_ALL}`,
} as const;

interface Exit {
  /** "no line is lost in a process that …" */
  readonly how: string;
  readonly code: string;
  readonly ends?: number | string;
  /** After all the others. */
  readonly more?: readonly string[];
}

const EXITS: readonly Exit[] = [
  { how: 'comes to the end of its event loop', code: 'await ready(); logAll();' },
  { how: 'comes to the end of its event loop before the destination is ready', code: 'logAll();' },
  { how: 'sets process.exitCode', code: 'await ready(); logAll(); process.exitCode = 5;', ends: 5 },
  {
    how: 'calls process.exit() right after it logged',
    code: 'await ready(); logAll(); process.exit(7);',
    ends: 7,
  },
  { how: "calls process.exit() before 'ready'", code: 'logAll(); process.exit(7);', ends: 7 },
  {
    how: 'calls process.exit() in nextTick',
    code: 'await ready(); logAll(); process.nextTick(() => process.exit(7));',
    ends: 7,
  },
  {
    how: 'calls process.exit() in the next turn',
    code: 'await ready(); logAll(); setImmediate(() => process.exit(7));',
    ends: 7,
  },
  {
    how: 'calls process.exit() in the reaction of a promise',
    code: 'await ready(); logAll(); Promise.resolve().then(() => process.exit(7));',
    ends: 7,
  },
  {
    how: "calls process.exit() in a listener of 'beforeExit', after it logged there",
    code: "await ready(); logAll(); process.on('beforeExit', () => { logger.info('before'); process.exit(7); });",
    ends: 7,
    more: [lineOf('before')],
  },
  {
    how: "logs in a listener of 'exit'",
    code: "process.on('exit', () => logger.info('in exit')); await ready(); logAll(); process.exit(7);",
    ends: 7,
    more: [lineOf('in exit')],
  },
  {
    how: 'throws',
    code: "await ready(); setImmediate(() => { logAll(); throw new Error('as intended'); });",
    ends: 1,
  },
  {
    how: "throws before 'ready'",
    code: "logAll(); throw new Error('as intended');",
    ends: 1,
  },
  {
    how: 'has an unhandled rejection',
    code: "await ready(); setImmediate(async () => { logAll(); throw new Error('as intended'); });",
    ends: 1,
  },
  {
    how: 'logs as fatal, and exits, in its handler of an uncaught exception',
    code: `process.on('uncaughtException', (error) => { logger.fatal(error.message); process.exit(8); });
      await ready();
      setImmediate(() => { logAll(); throw new Error('as intended'); });`,
    ends: 8,
    more: [lineOf('as intended', 60)],
  },
  {
    how: 'exits in its handler of an unhandled rejection',
    code: `process.on('unhandledRejection', () => process.exit(8));
      await ready();
      logAll();
      Promise.reject(new Error('as intended'));
      forever();`,
    ends: 8,
  },
  ...['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => ({
    how: `gets ${signal}, and exits in its handler`,
    code: `process.once('${signal}', () => { logger.info('ends'); process.exit(9); });
      await ready();
      forever();
      logAll();
      process.kill(process.pid, '${signal}');`,
    ends: 9,
    more: [lineOf('ends')],
  })),
  {
    how: "gets SIGTERM, ends its destination in the handler, and exits at 'close'",
    code: `process.once('SIGTERM', () => {
        destination.once('close', () => process.exit(9));
        destination.end();
      });
      await ready();
      forever();
      logAll();
      process.kill(process.pid, 'SIGTERM');`,
    ends: 9,
  },
  {
    how: 'ends its destination right after it logged',
    code: "await ready(); logAll(); destination.end(); destination.on('close', () => console.log('closed'));",
  },
  { how: "ends its destination before 'ready'", code: 'logAll(); destination.end();' },
  {
    how: 'calls process.exit() in the callback of flush()',
    code: 'await ready(); forever(); logAll(); logger.flush((error) => process.exit(error ? 1 : 7));',
    ends: 7,
  },
  {
    how: 'calls flush(), and process.exit() right after it',
    code: 'await ready(); logAll(); logger.flush(); process.exit(7);',
    ends: 7,
  },
  {
    how: 'is killed in the callback of flush()',
    code: `await ready();
      forever();
      logAll();
      logger.flush((error) => error ? process.exit(1) : process.kill(process.pid, 'SIGKILL'));`,
    ends: 'SIGKILL',
  },
  {
    how: 'is killed right after flushSync()',
    code: "await ready(); logAll(); destination.flushSync(); process.kill(process.pid, 'SIGKILL'); forever();",
    ends: 'SIGKILL',
  },
  {
    how: "is killed right after flushSync() before 'ready'",
    code: "logAll(); destination.flushSync(); process.kill(process.pid, 'SIGKILL'); forever();",
    ends: 'SIGKILL',
  },
  {
    how: 'is killed right after it logged as fatal',
    code: "await ready(); logAll(); logger.fatal('last'); process.kill(process.pid, 'SIGKILL'); forever();",
    ends: 'SIGKILL',
    more: [lineOf('last', 60)],
  },
  {
    how: 'aborts right after flushSync()',
    code: 'await ready(); logAll(); destination.flushSync(); process.abort();',
    ends: 'SIGABRT',
  },
];

/** Of tests of the built package, in a run against the sources. */
const skip = process.env.RINGWAL_TEST_KIND === 'source' && 'of the built package only';
const skipOf = (destination: string) => destination === 'ringwal/pino' && skip;

const endOf = ({ code, signal }: Ended) => signal ?? code;

for (const [name, setUp] of Object.entries(DESTINATIONS)) {
  for (const { how, code, ends = 0, more = [] } of EXITS) {
    test(`pino into ${name}: no line is lost in a process that ${how}`, { skip: skipOf(name) }, async (t) => {
      const directory = temporaryLog(t);
      const ended = await runChild(t, setUp + code, [directory]);
      assert.equal(endOf(ended), ends, ended.stderr);
      if (ends === 1) assert.match(ended.stderr, /as intended/);
      // Of an abort Node prints where it was.
      else if (ends !== 'SIGABRT') assert.equal(ended.stderr, '');
      assert.deepEqual(await left(directory), [...ALL, ...more]);
    });
  }
}

// ── Killed, and nobody waited ───────────────────────────────────────────────────────────────────────────────────

for (const [name, setUp] of Object.entries(DESTINATIONS)) {
  test(`pino into ${name}: a process that is killed leaves its first lines, each whole, in a log that opens`, {
    skip: skipOf(name),
  }, async (t) => {
    const directory = temporaryLog(t);
    const child = new Child(
      t,
      `${setUp}
      await ready();
      let count = 0;
      const logOn = () => {
        for (let i = 0; i < 100; i++) logger.info('line ' + ++count);
        setImmediate(logOn);
      };
      logOn();
      console.log('logs');`,
      [directory],
    );
    await child.says('logs');
    for await (const { lsn } of Wal.follow(directory)) if (lsn >= 1) break;
    child.process.kill('SIGKILL');
    const ended = await child.ended;
    assert.equal(endOf(ended), 'SIGKILL', ended.stderr);
    const lines = await left(directory);
    assert.ok(lines.length > 0);
    assert.deepEqual(
      lines,
      range(1, lines.length).map((i) => lineOf(`line ${i}`)),
    );
  });
}

// ── The thread of a transport ───────────────────────────────────────────────────────────────────────────────────

/** In a child that is a transport's process: prints what the transport says. */
const TOLD = `
  import { Wal } from 'ringwal';
  destination.on('error', (error) => console.log('error: ' + error.message));
  const closed = new Promise((resolve) => destination.once('close', resolve));
`;

test('the thread of a transport is terminated: the process goes on, hears of it, and may open the log at once', {
  skip,
}, async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `${DESTINATIONS['ringwal/pino']} ${TOLD}
    await ready();
    forever();
    logAll();
    destination.flushSync();
    destination.worker.terminate();
    await closed;
    const wal = await Wal.open(directory);
    console.log(wal.lastLsn);
    await wal.append('after', { durable: true });
    await wal.close();
    process.exit(0);`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  assert.equal(ended.stdout, `error: the worker thread exited\n${COUNT}\n`);
  assert.deepEqual(await left(directory), [...ALL, 'after']);
});

test('the log of a transport dies: the transport ends with the error of the log, and the process ends by itself', {
  skip,
}, async (t) => {
  const directory = temporaryLog(t);
  const faults = new Faults(t);
  faults.give('die-at-write');
  const setUp = DESTINATIONS['ringwal/pino'].replace(
    'directory,',
    `directory, workerUrl: '${faults.workerUrl.href}',`,
  );
  const ended = await runChild(
    t,
    `${setUp} ${TOLD}
    await ready();
    logAll();
    const stays = forever();
    await closed;
    clearInterval(stays);`,
    [directory],
  );
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^error: .*thread.*\n$/);
});

test("a transport's flush() after its end was asked for, and one that comes while the log has no room, both settle", {
  skip,
}, async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import { once } from 'node:events';
    import openTarget from 'ringwal/pino';
    const target = await openTarget({ directory: process.argv[1], ringSize: 65536 });
    const flushed = (name) => new Promise((resolve) => {
      target.flush((error) => { console.log(name, error?.code ?? 'ok'); resolve(); });
    });
    const line = 'x'.repeat(9999) + '\\n';
    target.write(line.repeat(100));
    const waits = flushed('while it stores');
    target.write(line.repeat(100));
    const closed = once(target, 'close');
    target.end('no newline');
    const late = flushed('after end()');
    await Promise.all([waits, late, closed]);
    await flushed('after close');`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  assert.equal(ended.stdout, 'while it stores ok\nafter end() ok\nafter close ERR_WAL_CLOSED\n');
  const lines = await left(directory);
  assert.deepEqual([lines.length, lines.at(-1)], [201, 'no newline']);
});

// ── winston ─────────────────────────────────────────────────────────────────────────────────────────────────────

const WINSTON = `
  import { once } from 'node:events';
  import winston from 'winston';
  import { Wal } from '#ringwal';
  const wal = await Wal.open(process.argv[1], { ringSize: 65536, syncInterval: 60000 });
  const stream = wal.createLogStream({ stripCarriageReturn: true });
  const logger = winston.createLogger({
    format: winston.format.json(),
    transports: [new winston.transports.Stream({ stream, eol: '\\r\\n' })],
  });
  const logAll = () => { for (let i = 1; i <= ${COUNT}; i++) logger.info('line ' + i); };
`;
const OF_WINSTON = range(1, COUNT).map((i) => JSON.stringify({ level: 'info', message: `line ${i}` }));

/** Runs `code` with a winston whose stream leads into a log; answers its output, once all its lines were found. */
async function runWinston(t: TestContext, code: string, ends: number): Promise<string> {
  const directory = temporaryLog(t);
  const ended = await runChild(t, WINSTON + code, [directory]);
  assert.deepEqual([endOf(ended), ended.stderr], [ends, '']);
  assert.deepEqual(await left(directory), OF_WINSTON);
  return ended.stdout;
}

test("winston: all lines are with the log at the logger's 'finish', also where the process exits in it", async (t) => {
  await runWinston(t, "logAll(); logger.on('finish', () => process.exit(7)); logger.end();", 7);
});

test("winston: all lines are durable at the stream's 'finish', and the log takes more", async (t) => {
  const output = await runWinston(
    t,
    `logAll();
    logger.end();
    await once(logger, 'finish');
    const unsynced = wal.durableLsn < ${COUNT};
    stream.end();
    await once(stream, 'finish');
    console.log(unsynced, wal.durableLsn);
    process.exit(7);`,
    7,
  );
  assert.equal(output, `true ${COUNT}\n`);
});

test('winston: a process that comes to the end of its event loop loses no line', async (t) => {
  await runWinston(t, 'logAll();', 0);
});

test('winston: a logger that is closed leaves its stream open', async (t) => {
  const output = await runWinston(
    t,
    `logAll();
    logger.end();
    await once(logger, 'finish');
    logger.close();
    console.log(stream.writable, stream.dropped);`,
    0,
  );
  assert.equal(output, 'true 0\n');
});
