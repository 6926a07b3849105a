import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type FollowOptions, Wal } from '#ringwal';
import { collect, Faults, makeLog, temporaryLog, walError } from '../support.js';

/** Every static call that has a thread for its work, on a log of one entry whose segment ends in what is no frame. */
const CALLS: Record<string, (directory: string, workerUrl: string | URL | undefined) => Promise<unknown>> = {
  verify: (directory, workerUrl) => Wal.verify(directory, { workerUrl }),
  repair: (directory, workerUrl) => Wal.repair(directory, { dryRun: true, workerUrl }),
  readSegment: (directory, workerUrl) => collect(Wal.readSegment(join(directory, 'wal-0'), { workerUrl })),
  'open with readOnly': async (directory, workerUrl) => {
    const reader = await Wal.open(directory, { readOnly: true, workerUrl });
    const entries = await collect(reader.entries());
    await reader.close();
    return entries;
  },
  follow: async (directory, workerUrl) => {
    for await (const entry of Wal.follow(directory, { workerUrl })) return entry;
    return undefined;
  },
};

async function tornLog(directory: string): Promise<string> {
  await makeLog(directory, ['only']);
  appendFileSync(join(directory, 'wal-0'), 'no frame');
  return directory;
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name} works by the worker file that workerUrl names, as by the package's`, async (t) => {
    const directory = await tornLog(temporaryLog(t));
    const { workerUrl } = new Faults(t);
    const expected = await call(directory, undefined);
    for (const url of [workerUrl, workerUrl.href, fileURLToPath(workerUrl)])
      assert.deepEqual(await call(directory, url), expected, String(url));
  });

  test(`${name} rejects, and says what to look after, where the file that workerUrl names is missing or does not start`, async (t) => {
    const directory = await tornLog(temporaryLog(t));
    const faults = new Faults(t);
    faults.give('throw-at-load');
    const missing = new URL('file:///nowhere/worker.js');
    for (const [url, why] of [
      [missing, /nowhere.worker\.js/],
      [faults.workerUrl, /told not to start/],
      // There, but nothing of the package.
      [pathToFileURL(join(import.meta.dirname, '../log/faults.mjs')), /faults\.mjs/],
    ] as const) {
      const refusal = walError('ERR_WAL_WORKER_DIED', { message: /option workerUrl, docs\/packaging\.md/ });
      await assert.rejects(call(directory, url), refusal);
      await assert.rejects(call(directory, url), walError('ERR_WAL_WORKER_DIED', { message: why }));
    }
    await call(directory, undefined);
  });

  test(`${name} refuses a workerUrl that is neither a file: URL nor a path, by its name`, async (t) => {
    const directory = await tornLog(temporaryLog(t));
    for (const url of [
      5,
      null,
      {},
      '',
      'worker.js',
      'https://example.org/worker.js',
      new URL('data:,'),
      'file:///a%2Fb.js',
    ]) {
      const refusal = walError('ERR_WAL_OPTION', {
        message: /^workerUrl must be a file: URL or an absolute path/,
      });
      await assert.rejects(call(directory, url as string), refusal, String(url));
    }
  });
}

test('calls with different worker files have their work done at the same time, each by its own', async (t) => {
  const directory = await tornLog(temporaryLog(t));
  const [broken, one, other] = [new Faults(t), new Faults(t), new Faults(t)];
  broken.give('throw-at-load');
  const verdicts = await Promise.allSettled(
    [one, broken, other, one, broken].map(({ workerUrl }) => Wal.verify(directory, { workerUrl })),
  );
  assert.deepEqual(
    verdicts.map((each) => (each.status === 'fulfilled' ? each.value.verdict : each.reason.code)),
    ['torn', 'ERR_WAL_WORKER_DIED', 'torn', 'torn', 'ERR_WAL_WORKER_DIED'],
  );
});

test('a log that is open has its threads: its own follow takes no workerUrl', async (t) => {
  const directory = await tornLog(temporaryLog(t));
  const reader = await Wal.open(directory, { readOnly: true });
  const options = { workerUrl: new Faults(t).workerUrl } as FollowOptions;
  await assert.rejects(
    collect(reader.follow(options)),
    walError('ERR_WAL_OPTION', { message: /"workerUrl"/ }),
  );
  await reader.close();
});
