/** What a process has accepted is in the log, whatever its own code does while it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child, Faults, left, range, runChild, temporaryLog } from '../support.js';

const COUNT = 2000;
const ALL = range(1, COUNT).map((i) => String(i).padStart(1000, '.'));

const IMPORT = "import { Wal } from '#ringwal';";
/** In its place: how the process ends without a log. */
const NO_LOG = 'const Wal = { open: async () => ({ tryAppend: () => true }) };';

/** The writer is held at its first write, until the parent hears that all is accepted: without a flush nothing can be written. */
function program({
  before = '',
  after = '',
  end = '',
}: {
  before?: string;
  after?: string;
  end: string;
}): string {
  return `import { writeFileSync } from 'node:fs';
    ${IMPORT}
    const [directory, workerUrl] = process.argv.slice(1);
    ${before}
    const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl) });
    ${after}
    writeFileSync(new URL('hold-write', workerUrl), '');
    for (let i = 1; i <= ${COUNT}; i++) if (!wal.tryAppend(String(i).padStart(1000, '.'))) throw new Error('full');
    console.log('accepted');
    ${end}`;
}

const EXITS_AGAIN = 'process.exit(3);';
const THROWS = "throw new Error('from a listener');";
const BY_EXIT = 'process.exit(0);';
const BY_UNCAUGHT = "throw new Error('uncaught');";
const IN_NO_WAY = '';

const ENDS: readonly { how: string; code: string }[] = [
  {
    how: "an 'exit' listener that was there before calls process.exit() again",
    code: program({ before: `process.on('exit', () => { ${EXITS_AGAIN} });`, end: BY_EXIT }),
  },
  {
    how: "an 'exit' listener that was there before throws",
    code: program({ before: `process.on('exit', () => { ${THROWS} });`, end: BY_EXIT }),
  },
  {
    how: "an 'exit' listener that is prepended later calls process.exit() again",
    code: program({ after: `process.prependListener('exit', () => { ${EXITS_AGAIN} });`, end: BY_EXIT }),
  },
  {
    how: "an 'exit' listener that is prepended later throws",
    code: program({ after: `process.prependListener('exit', () => { ${THROWS} });`, end: BY_EXIT }),
  },
  {
    how: "an 'exit' listener calls process.exit() again at the end of the event loop",
    code: program({ before: `process.on('exit', () => { ${EXITS_AGAIN} });`, end: IN_NO_WAY }),
  },
  {
    how: "an 'exit' listener throws at the end of the event loop",
    code: program({ after: `process.prependListener('exit', () => { ${THROWS} });`, end: IN_NO_WAY }),
  },
  {
    how: "an 'exit' listener throws after an uncaught exception",
    code: program({ after: `process.prependListener('exit', () => { ${THROWS} });`, end: BY_UNCAUGHT }),
  },
  {
    how: "an 'exit' listener calls process.exit() again after an uncaught exception",
    code: program({ before: `process.on('exit', () => { ${EXITS_AGAIN} });`, end: BY_UNCAUGHT }),
  },
  {
    how: "all 'exit' listeners are removed",
    code: program({ after: "process.removeAllListeners('exit');", end: BY_EXIT }),
  },
  {
    how: 'all listeners of the process are removed',
    code: program({ after: 'process.removeAllListeners();', end: IN_NO_WAY }),
  },
  {
    how: "a handler of 'uncaughtException' throws",
    code: program({ after: `process.on('uncaughtException', () => { ${THROWS} });`, end: BY_UNCAUGHT }),
  },
  {
    how: "a listener of 'uncaughtExceptionMonitor' throws",
    code: program({
      before: `process.on('uncaughtExceptionMonitor', () => { ${THROWS} });`,
      end: BY_UNCAUGHT,
    }),
  },
  {
    how: "a handler of 'unhandledRejection' throws",
    code: program({
      after: `process.on('unhandledRejection', () => { ${THROWS} });`,
      end: "await new Promise(() => { Promise.reject(new Error('unhandled')); });",
    }),
  },
  {
    how: 'the capture callback of uncaught exceptions throws',
    code: program({
      after: `process.setUncaughtExceptionCaptureCallback(() => { ${THROWS} });`,
      end: BY_UNCAUGHT,
    }),
  },
  {
    how: "process.exitCode is set, and an 'exit' listener sets another one",
    code: program({
      before: "process.on('exit', () => { process.exitCode = 5; });",
      end: 'process.exitCode = 4;',
    }),
  },
  {
    how: 'an error of an exit listener is caught, and process.exit() is called again',
    code: program({
      after: `process.prependListener('exit', () => { ${THROWS} });`,
      end: `try { process.exit(0); } catch {}
        wal.tryAppend('after');
        process.exit(0);`,
    }),
  },
  {
    how: 'other code puts an older process.emit back',
    code: program({
      before: 'const { emit } = process;',
      after: 'process.emit = emit;',
      end: BY_EXIT,
    }),
  },
  {
    how: 'other code wraps process.emit before and after, and its listener ends the event',
    code: program({
      before: `const wrap = () => {
          const { emit } = process;
          process.emit = function (...args) { return emit.apply(this, args); };
        };
        wrap();
        process.on('exit', () => { ${EXITS_AGAIN} });`,
      after: 'wrap();',
      end: BY_EXIT,
    }),
  },
];

for (const { how, code } of ENDS) {
  test(`everything accepted is in the log though ${how}`, async (t) => {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const child = new Child(t, code, [directory, faults.workerUrl.href]);
    await child.says('accepted');
    faults.recall('hold-write');
    const ended = await child.ended;
    const without = await runChild(t, code.replace(IMPORT, NO_LOG), [directory, faults.workerUrl.href]);
    assert.deepEqual([ended.code, ended.signal], [without.code, without.signal], ended.stderr);
    const found = await left(directory);
    assert.deepEqual(found.slice(0, COUNT), ALL);
    assert.deepEqual(found.slice(COUNT), code.includes("'after'") ? ['after'] : []);
  });
}

test("what the 'exit' listeners append is in the log, though one of them ends the event", async (t) => {
  for (const last of [EXITS_AGAIN, THROWS]) {
    const directory = temporaryLog(t);
    const ended = await runChild(
      t,
      `import { Wal } from '#ringwal';
      let wal;
      process.on('exit', () => {
        wal.tryAppend('a');
        wal.append('b');
        wal.appendBatch(['c', 'd']);
        ${last}
      });
      wal = await Wal.open(process.argv[1]);
      ${last === THROWS ? BY_UNCAUGHT : BY_EXIT}`,
      [directory],
    );
    assert.deepEqual(await left(directory), ['a', 'b', 'c', 'd'], ended.stderr);
  }
});

test("what another thread's lane had accepted is in the log though an 'exit' listener ends the event", async (t) => {
  for (const last of [EXITS_AGAIN, THROWS]) {
    const directory = temporaryLog(t);
    const faults = new Faults(t);
    const child = new Child(
      t,
      `import { once } from 'node:events';
      import { writeFileSync } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      import { Wal } from '#ringwal';
      const [directory, workerUrl] = process.argv.slice(1);
      process.on('exit', () => { ${last} });
      const wal = await Wal.open(directory, { workerUrl: new URL(workerUrl) });
      const attachment = wal.attachment();
      const worker = new Worker(
        \`import { parentPort, workerData } from 'node:worker_threads';
        const { Wal } = await import(\${JSON.stringify('#ringwal')});
        const lane = await Wal.attach(workerData);
        parentPort.once('message', () => {
          for (let i = 1; i <= 1000; i++) lane.tryAppend(String(i));
          parentPort.postMessage('taken');
        });
        parentPort.postMessage('attached');\`,
        { eval: true, workerData: attachment, transferList: attachment.transferList },
      );
      worker.on('error', (error) => console.log(error));
      await once(worker, 'message');
      writeFileSync(new URL('hold-write', workerUrl), '');
      worker.postMessage('go');
      await once(worker, 'message');
      console.log('accepted');
      process.exit(0);`,
      [directory, faults.workerUrl.href],
    );
    await child.says('accepted');
    faults.recall('hold-write');
    await child.ended;
    assert.deepEqual(await left(directory), range(1, 1000).map(String));
  }
});

for (const thread of ['main', 'worker'] as const) {
  test(`a line that has no newline yet is in the log of a ${thread} thread whose 'exit' listener ends the event`, async (t) => {
    for (const last of [EXITS_AGAIN, THROWS]) {
      const directory = temporaryLog(t);
      const body = `
        process.on('exit', () => { stream.write('from a listener\\n'); ${last} });
        stream.write('half a line');
        process.exit(0);`;
      const ended = await runChild(
        t,
        thread === 'main'
          ? `import { Wal } from '#ringwal';
            let stream;
            const wal = await Wal.open(process.argv[1]);
            stream = wal.createLogStream();
            ${body}`
          : `import { Worker } from 'node:worker_threads';
            import { Wal } from '#ringwal';
            const wal = await Wal.open(process.argv[1]);
            const attachment = wal.attachment();
            const worker = new Worker(
              ${JSON.stringify(`import { workerData } from 'node:worker_threads';
              const { Wal } = await import(process.env.RINGWAL_MODULE);
              const lane = await Wal.attach(workerData);
              const stream = lane.createLogStream();
              ${body}`)},
              {
                eval: true,
                env: { RINGWAL_MODULE: '#ringwal' },
                workerData: attachment,
                transferList: attachment.transferList,
              },
            );
            worker.on('error', (error) => console.log(error.message));
            await new Promise((resolve) => { worker.on('exit', resolve); });
            await wal.close();`,
        [directory],
      );
      assert.deepEqual(
        await left(directory),
        ['half a line', 'from a listener'],
        ended.stdout + ended.stderr,
      );
    }
  });
}

test('an exception that is handled neither ends a line of a log stream nor slows what comes after', async (t) => {
  const directory = temporaryLog(t);
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const wal = await Wal.open(process.argv[1]);
    const stream = wal.createLogStream();
    process.on('uncaughtException', () => {
      console.log(wal.durableLsn);
      setImmediate(() => {
        stream.write(' and the rest\\n');
        for (let i = 0; i < 100; i++) wal.tryAppend('x');
        console.log(wal.durableLsn < 102);
      });
    });
    wal.tryAppend('before');
    stream.write('the beginning');
    setImmediate(() => { throw new Error('handled'); });`,
    [directory],
  );
  assert.deepEqual([ended.code, ended.stdout], [0, '1\ntrue\n'], ended.stderr);
  const found = await left(directory);
  assert.deepEqual(found.slice(0, 2), ['before', 'the beginning and the rest']);
  assert.equal(found.length, 102);
});

test('closed logs leave process.emit and the listeners as they were', async (t) => {
  const ended = await runChild(
    t,
    `import { Wal } from '#ringwal';
    const { emit } = process;
    const names = process.eventNames().length;
    for (let i = 0; i < 3; i++) {
      const wal = await Wal.open(process.argv[1]);
      console.log(process.emit === emit);
      await wal.close();
    }
    console.log(process.emit === emit, Object.hasOwn(process, 'emit'), process.eventNames().length === names);
    const wrapped = function (...args) { return emit.apply(this, args); };
    process.emit = wrapped;
    await (await Wal.open(process.argv[1])).close();
    console.log(process.emit === wrapped);`,
    [temporaryLog(t)],
  );
  assert.deepEqual(
    [ended.code, ended.stdout],
    [0, 'false\nfalse\nfalse\ntrue false true\ntrue\n'],
    ended.stderr,
  );
});
