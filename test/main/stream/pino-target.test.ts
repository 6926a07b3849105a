import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../cleanup.js';
import { left, range, runChild, temporaryLog } from '../support.js';

const COUNT = 5000;
const LOGGER = `
  import pino from 'pino';
  const [directory] = process.argv.slice(1);
  const transport = pino.transport({
    target: import.meta.resolve('ringwal/pino'),
    options: { directory, maxFileSize: 65536, ringSize: 65536 },
  });
  const logger = pino({ base: null, timestamp: false }, transport);
  const logAll = () => { for (let i = 1; i <= ${COUNT}; i++) logger.info('line ' + i); };
  const ready = () => new Promise((resolve) => transport.once('ready', resolve));
`;
const ALL = range(1, COUNT).map((i) => `{"level":30,"msg":"line ${i}"}`);

test('the transport works as one of several', async (t) => {
  const directory = temporaryLog(t);
  const file = join(temporaryDirectory(t), 'file');
  const ended = await runChild(
    t,
    `import pino from 'pino';
    const [directory, destination] = process.argv.slice(1);
    const transport = pino.transport({
      targets: [
        { target: import.meta.resolve('ringwal/pino'), options: { directory } },
        { target: 'pino/file', options: { destination } },
      ],
    });
    const logger = pino({ base: null, timestamp: false }, transport);
    await new Promise((resolve) => transport.once('ready', resolve));
    for (let i = 1; i <= ${COUNT}; i++) logger.info('line ' + i);`,
    [directory, file],
  );
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  assert.deepEqual(await left(directory), ALL);
  assert.equal(readFileSync(file, 'utf8'), `${ALL.join('\n')}\n`);
});

test('flush() of a logger with the transport waits until its lines are durable', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `${LOGGER}
    import { Wal } from 'ringwal';
    await ready();
    logAll();
    await new Promise((resolve, reject) => logger.flush((error) => (error ? reject(error) : resolve())));
    const reader = await Wal.open(directory, { readOnly: true });
    console.log(reader.lastLsn);
    await reader.close();`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, `${COUNT}\n`, '']);
});

test('a target that cannot be opened tells the process why', async (t) => {
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, '');
  for (const { options, why } of [
    { options: '{ directory: process.argv[1] }', why: /file/ },
    { options: "{ directory: 'x', onFull: 'block' }", why: /onFull must be 'wait' or 'drop'/ },
    { options: '{}', why: /directory must be a path/ },
    { options: "{ directory: 'x', maxFile: 1 }", why: /Unknown option "maxFile"/ },
  ]) {
    const ended = await runChild(
      t,
      `import pino from 'pino';
      const transport = pino.transport({ target: import.meta.resolve('ringwal/pino'), options: ${options} });
      transport.on('error', (error) => console.log(error.message));`,
      [file],
    );
    assert.match(ended.stdout, why, ended.stderr);
  }
});

test('pino finds the target by its name', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import pino from 'pino';
    import { createRequire } from 'node:module';
    const transport = pino.transport({
      target: 'ringwal/pino',
      caller: process.cwd() + '/caller.mjs',
      options: { directory: process.argv[1] },
    });
    pino(transport).info('found');
    import target from 'ringwal/pino';
    const required = createRequire(process.cwd() + '/')('ringwal/pino');
    console.log(typeof target, target === required.default);`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, 'function true\n', '']);
  assert.equal(JSON.parse((await left(directory))[0] as string).msg, 'found');
});
