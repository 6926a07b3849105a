import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Wal, type WalError, type WalErrorCode, type WalOptions } from '#ringwal';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { HostedEngine } from '../replica/hosted-engine.js';
import { Faults, fill, freshLog, makeLog, range, SMALL_RING, temporaryLog, until } from '../support.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const UNION =
  process.env.RINGWAL_TEST_KIND === 'package' ? 'dist/protocol/errors.d.ts' : 'src/protocol/errors.ts';

/** What the message and the fields of an error have to say; what is not named does not apply. */
interface Saying {
  /** What was being done. */
  readonly doing: RegExp;
  /** Where; as a field, and in the message too. */
  readonly path?: string;
  readonly lsn?: number;
  readonly offset?: number;
  readonly why: RegExp;
  readonly wayOut?: RegExp;
  /** The code of the system's error. */
  readonly cause?: string;
}

/** Provokes an error, answers it with what it has to say. */
type Case = (t: TestContext) => Promise<readonly [error: unknown, saying: Saying]>;

/** For each code the situations that it comes from; a reserved one comes from none. */
const CASES: Readonly<Record<WalErrorCode, Readonly<Record<string, Case>> | 'reserved'>> = {
  ERR_WAL_OPTION: {
    'of an option out of its range': async (t) => [
      await rejection(Wal.open(temporaryLog(t), { maxFileSize: 1 })),
      { doing: /maxFileSize/, why: /not 1/, wayOut: /must be an integer from 4096 to/ },
    ],
    'of an option that is not known': async (t) => [
      await rejection(Wal.open(temporaryLog(t), { maxFilesize: 4096 } as object)),
      { doing: /option "maxFilesize"/, why: /Unknown/, wayOut: /Known: .*maxFileSize/ },
    ],
    'of data that is no entry': async (t) => {
      const wal = await smallLog(t);
      return [
        thrown(() => wal.tryAppend(17 as never)),
        { doing: /entry/, why: /not a number/, wayOut: /Uint8Array.*string/ },
      ];
    },
    'of an LSN that the log does not hold': async (t) => {
      const wal = await smallLog(t);
      await wal.append('x');
      const path = wal.directory;
      return [
        await rejection(wal.truncateAfter(9)),
        { doing: /Cannot truncateAfter\(9\)/, path, lsn: 9, why: /entries 1 to 1/ },
      ];
    },
    'of a cut inside a batch': async (t) => {
      const wal = await smallLog(t);
      await wal.appendBatch(['a', 'b', 'c']);
      const path = wal.directory;
      return [
        await rejection(wal.truncateAfter(2)),
        { doing: /Cannot cut/, path, lsn: 2, why: /1 more of its batch/ },
      ];
    },
  },

  ERR_WAL_LOCKED: {
    'of a second writer': async (t) => {
      const wal = await smallLog(t);
      const path = wal.directory;
      return [
        await rejection(Wal.open(path)),
        {
          doing: /Cannot open .* for writing/,
          path,
          why: /this process has it open/,
          wayOut: /Close it there.*readOnly/,
        },
      ];
    },
  },

  ERR_WAL_CORRUPT: {
    'of a log that is opened': async (t) => {
      const { directory, path, offset } = await damagedLog(t);
      return [
        await rejection(Wal.open(directory)),
        {
          doing: /Cannot open .*: entry 2 /,
          path,
          lsn: 2,
          offset,
          why: /checksum.*Entries up to 3 were acknowledged/,
          wayOut: /Wal\.repair/,
        },
      ];
    },
    'of a log that is only read': async (t) => {
      const { directory, path, offset } = await damagedLog(t);
      return [
        await rejection(Wal.open(directory, { readOnly: true })),
        { doing: /Cannot read entry 2/, path, lsn: 2, offset, why: /checksum/, wayOut: /Wal\.repair/ },
      ];
    },
    'of a segment file': async (t) => {
      const { path, offset } = await damagedLog(t);
      return [
        await rejection(drain(Wal.readSegment(path))),
        { doing: /Cannot read entry 2/, path, lsn: 2, offset, why: /checksum/, wayOut: /Wal\.repair/ },
      ];
    },
  },

  ERR_WAL_UNSUPPORTED: {
    "of a directory in wal-go's later format": async (t) => {
      const { directory, path } = walgLog(t);
      return [
        await rejection(Wal.open(directory)),
        { doing: /Cannot open/, path, offset: 0, why: /wal-go's later format/, wayOut: /Wal\.readSegment/ },
      ];
    },
    'of such a directory that is only read': async (t) => {
      const { directory, path } = walgLog(t);
      return [
        await rejection(Wal.open(directory, { readOnly: true })),
        { doing: /Cannot read/, path, offset: 0, why: /wal-go's later format/, wayOut: /Wal\.readSegment/ },
      ];
    },
    'of such a directory that is to be repaired': async (t) => {
      const { directory, path } = walgLog(t);
      return [
        await rejection(Wal.repair(directory)),
        { doing: /Cannot repair/, path, offset: 0, why: /wal-go's later format/, wayOut: /Wal\.readSegment/ },
      ];
    },
  },

  ERR_WAL_TOO_LARGE: {
    'of an entry': async (t) => {
      const wal = await smallLog(t, { maxEntrySize: 10 });
      const path = wal.directory;
      return [
        await rejection(wal.append(fill(11, 1))),
        { doing: /Cannot append/, path, why: /11 bytes/, wayOut: /Split it, or raise .*maxEntrySize \(10\)/ },
      ];
    },
  },

  ERR_WAL_FULL: {
    'of more than may be queued': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl, maxPending: 1000 });
      faults.give('hold-write');
      let full: unknown;
      const appends: Promise<unknown>[] = [];
      while (full === undefined) {
        const append = wal.append(fill(10_000, 1));
        appends.push(append.catch(() => {}));
        full = await Promise.race([append.catch((error: unknown) => error), nextTurn()]);
      }
      faults.recall('hold-write');
      await Promise.all(appends);
      return [
        full,
        {
          doing: /Cannot append/,
          path: wal.directory,
          why: /ring is full/,
          wayOut: /Wait for appends to settle/,
        },
      ];
    },
    'of a line that a log stream dropped': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      const stream = wal.createLogStream({ onFull: 'drop' });
      faults.give('hold-write');
      const line = `${'x'.repeat(1000)}\n`;
      while (stream.write(line));
      const error = await new Promise((resolve) => {
        stream.write(line, resolve);
      });
      faults.recall('hold-write');
      // It has to tell in the log what it dropped, before that is closed.
      await once(stream.end(), 'finish');
      return [
        error,
        { doing: /Cannot write a line/, path: wal.directory, why: /no room/, wayOut: /let lines wait/ },
      ];
    },
    'of an attach that finds the last lane taken': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl, maxLanes: 3 });
      const lane = await Wal.attach(wal.attachment());
      faults.give('hold-write');
      wal.tryAppend('x');
      await until(() => faults.isMet('hold-write'));
      // Both ask before the writer hears of either.
      const attachments = [wal.attachment(), lane.attachment()];
      faults.recall('hold-write');
      const outcomes = await Promise.allSettled(attachments.map((each) => Wal.attach(each)));
      const refused = outcomes.find((outcome) => outcome.status === 'rejected');
      for (const outcome of outcomes) if (outcome.status === 'fulfilled') await outcome.value.close();
      await lane.close();
      return [
        refused?.reason,
        { doing: /Cannot attach/, path: wal.directory, why: /maxLanes/, wayOut: /Close one/ },
      ];
    },
    'of more promises than may be unsettled': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl, maxUnsettled: 1 });
      faults.give('hold-write');
      const first = wal.append('x');
      const full = await rejection(wal.append('y'));
      faults.recall('hold-write');
      await first;
      return [
        full,
        { doing: /Cannot append/, path: wal.directory, why: /maxUnsettled/, wayOut: /Wait for some/ },
      ];
    },
    'of more lanes than may be': async (t) => {
      const wal = await smallLog(t, { maxLanes: 1 });
      return [
        thrown(() => wal.attachment()),
        { doing: /Cannot attach/, path: wal.directory, why: /maxLanes/, wayOut: /Close one/ },
      ];
    },
  },

  ERR_WAL_IO: {
    'of a directory that cannot be made': async (t) => {
      const file = join(temporaryDirectory(t), 'file');
      writeFileSync(file, '');
      const path = join(file, 'log');
      return [
        await rejection(Wal.open(path)),
        { doing: /Cannot open/, path, why: /ENOTDIR/, cause: 'ENOTDIR' },
      ];
    },
    'of a directory that is not there': async (t) => {
      const path = temporaryLog(t);
      return [
        await rejection(Wal.open(path, { readOnly: true })),
        { doing: /Cannot read/, path, why: /ENOENT/, cause: 'ENOENT' },
      ];
    },
    'of a write that failed': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      faults.give('fail-write', 'EIO');
      return [
        await rejection(wal.append('x')),
        {
          doing: /Cannot write/,
          path: wal.directory,
          why: /EIO.*has ended/,
          wayOut: /Close it and open it again/,
          cause: 'EIO',
        },
      ];
    },
    'of a full disk': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      faults.give('fail-write', 'ENOSPC');
      const error = await rejection(wal.append('x'));
      faults.recall('fail-write');
      return [
        error,
        {
          doing: /Cannot write/,
          path: wal.directory,
          why: /ENOSPC.*is not in the log/,
          wayOut: /works on once there is room/,
          cause: 'ENOSPC',
        },
      ];
    },
  },

  ERR_WAL_SYNC_FAILED: {
    'of a sync': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      await wal.append('x', { durable: true });
      faults.give('fail-sync', 'EIO');
      return [
        await rejection(wal.append('y', { durable: true })),
        {
          doing: /Cannot sync/,
          path: join(wal.directory, 'wal-0'),
          why: /EIO.*is certain/,
          wayOut: /Close the log and open it again/,
          cause: 'EIO',
        },
      ];
    },
  },

  ERR_WAL_CLOSED: {
    'of an append': async (t) => {
      const wal = await smallLog(t);
      await wal.close();
      return [
        await rejection(wal.append('x')),
        { doing: /Cannot use the log/, path: wal.directory, why: /is closed/, wayOut: /Open the log again/ },
      ];
    },
    'of a read': async (t) => {
      const wal = await smallLog(t);
      await wal.close();
      return [
        await rejection(wal.get(1)),
        { doing: /Cannot use the log/, path: wal.directory, why: /is closed/, wayOut: /Open the log again/ },
      ];
    },
    'of a reader': async (t) => {
      const path = temporaryLog(t);
      await makeLog(path, ['x']);
      const reader = await Wal.open(path, { readOnly: true });
      await reader.close();
      return [
        await rejection(reader.get(1)),
        { doing: /Cannot read/, path, why: /reader is closed/, wayOut: /Open another one/ },
      ];
    },
    'of a lane': async (t) => {
      const wal = await smallLog(t);
      const lane = await Wal.attach(wal.attachment());
      await lane.close();
      return [
        await rejection(lane.append('x')),
        {
          doing: /Cannot use this lane/,
          path: wal.directory,
          why: /is closed/,
          wayOut: /Attach this thread again/,
        },
      ];
    },
    'of a lane whose log is closed': async (t) => {
      const wal = await smallLog(t);
      const lane = await Wal.attach(wal.attachment());
      await wal.close();
      const error = await rejection(lane.append('x'));
      await lane.close();
      return [
        error,
        { doing: /Cannot use the log/, path: wal.directory, why: /is closed/, wayOut: /Open the log again/ },
      ];
    },
  },

  ERR_WAL_WORKER_DIED: {
    'of a thread that does not start': async (t) => {
      const faults = new Faults(t);
      const path = temporaryLog(t);
      faults.give('throw-at-load');
      return [
        await rejection(Wal.open(path, { workerUrl: faults.workerUrl })),
        { doing: /Cannot open/, path, why: /told not to start/, wayOut: /workerUrl/ },
      ];
    },
    'of a thread that ends': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      faults.give('die-at-write');
      return [
        await rejection(wal.append('x')),
        {
          doing: /Cannot continue/,
          path: wal.directory,
          why: /thread of the log ended.*may or may not be in the log/,
          wayOut: /open it again/,
        },
      ];
    },
  },

  ERR_WAL_PURGED: {
    'of an entry that was removed': async (t) => {
      const wal = await smallLog(t, { maxFileSize: 4096 });
      for (const seed of range(1, 4)) await wal.append(fill(3000, seed));
      await wal.truncateBefore(3);
      return [
        await rejection(wal.get(1)),
        {
          doing: /Entry 1 of/,
          path: wal.directory,
          lsn: 1,
          why: /it was removed/,
          wayOut: /begins at 3\. Begin there/,
        },
      ];
    },
  },

  ERR_WAL_TRUNCATED: {
    'of a reader that had passed the cut': async (t) => {
      const wal = await smallLog(t, { maxFileSize: 4096 });
      for (const seed of range(1, 6)) await wal.append(fill(3000, seed));
      const reader = wal.entries();
      for (const _ of range(1, 3)) await reader.next();
      await wal.truncateAfter(1);
      const error = (await rejection(drain(reader))) as WalError;
      return [
        error,
        {
          doing: /Entry \d+ of/,
          path: wal.directory,
          lsn: error.lsn as number,
          why: /cut off by truncateAfter/,
          wayOut: /continue from the lastLsn \+ 1/,
        },
      ];
    },
  },

  ERR_WAL_TIMEOUT: {
    'of a flush': async (t) => {
      const faults = new Faults(t);
      const wal = await smallLog(t, { workerUrl: faults.workerUrl });
      faults.give('hold-sync');
      wal.tryAppend('x');
      const error = thrown(() => wal.flushSync(1));
      faults.recall('hold-sync');
      await wal.sync();
      return [
        error,
        {
          doing: /Cannot flush/,
          path: wal.directory,
          why: /within 1 ms.*not everything is durable/,
          wayOut: /flush again/,
        },
      ];
    },
  },

  ERR_WAL_CONFLICT: {
    'of an append that expects another LSN': async (t) => {
      const wal = await smallLog(t);
      await wal.append('a');
      return [
        await rejection(wal.append('b', { expectLsn: 1 })),
        {
          doing: /Cannot append .* as entry 1/,
          path: wal.directory,
          lsn: 1,
          why: /next entry is 2\. Nothing was taken/,
          wayOut: /Read what the log holds now/,
        },
      ];
    },
  },

  ERR_WAL_FENCED: {
    'of an append after another writer has acquired the replica': async (t) => {
      const remote = new HostedEngine(t);
      const wal = await smallLog(t, { replica: remote.adapter, onError: () => {} });
      await wal.append('a', { durable: 'replicated' });
      await remote.engine.connect().acquire(remote.engine.logs()[0]?.logId ?? '', 'successor');
      return [
        await rejection(wal.append('b', { durable: 'replicated' })),
        { doing: /Replication of/, path: wal.directory, why: /"successor" has epoch 2/ },
      ];
    },
  },

  ERR_WAL_REPLICA: {
    'of an append that is not replicated when the log is closed': async (t) => {
      const remote = new HostedEngine(t);
      remote.isCut = true;
      const wal = await smallLog(t, { replica: remote.adapter, replicaTimeout: 100, onError: () => {} });
      const append = rejection(wal.append('a', { durable: 'replicated' }));
      await wal.close();
      return [
        await append,
        {
          doing: /was closed before the entry was known to be replicated/,
          path: wal.directory,
          why: /durable here/,
          wayOut: /the next open ships it/,
        },
      ];
    },
  },

  ERR_WAL_DIVERGED: {
    'of a replica that holds another entry': async (t) => {
      const remote = new HostedEngine(t);
      const directory = temporaryLog(t);
      const options = { ringSize: SMALL_RING, replica: remote.adapter, onError: () => {} };
      const wal = await Wal.open(directory, options);
      await wal.append('a', { durable: 'replicated' });
      await wal.close();
      const without = await Wal.open(directory, { ringSize: SMALL_RING });
      await without.truncateAfter(0);
      await without.append('b', { durable: true });
      await without.close();
      const other = await Wal.open(directory, options);
      cleanUp(t, () => other.close());
      return [
        await rejection(other.append('c', { durable: 'replicated' })),
        {
          doing: /Replication of/,
          path: directory,
          lsn: 0,
          why: /agree up to entry 0/,
          wayOut: /restore this log from the replica/,
        },
      ];
    },
  },

  ERR_WAL_READ_ONLY: 'reserved',
};

for (const [code, cases] of Object.entries(CASES)) {
  if (cases === 'reserved') {
    test(`${code} is reserved: nothing makes it, and docs/errors.md says so`, () => {
      const users = sources().filter((file) => readFileSync(file, 'utf8').includes(code));
      assert.deepEqual(users, [join(ROOT, 'src/protocol/errors.ts')]);
      assert.match(section(code), /reserved/i);
    });
  }
}

// Each has a log of its own, and most of its time is spent waiting for threads that start.
describe('each error says what was being done, where and why, and the way out', { concurrency: 6 }, () => {
  for (const [code, cases] of Object.entries(CASES)) {
    if (cases === 'reserved') continue;
    for (const [situation, provoke] of Object.entries(cases)) {
      test(`${code} ${situation}`, async (t) => {
        const [error, saying] = await provoke(t);
        check(code, error as WalError, saying);
      });
    }
  }
});

test('docs/errors.md has a section for each code, in order, and for no other', () => {
  const sections = [...document().matchAll(/^## `(\w+)`$/gm)].map(([, code]) => code);
  assert.deepEqual(sections, codesOfUnion());
  for (const code of codesOfUnion()) {
    if (CASES[code] === 'reserved') continue;
    for (const part of ['Means', 'Usual causes', 'What to do', 'The data'])
      assert.match(section(code), new RegExp(`^- ${part}: `, 'm'), code);
  }
});

test('every code of the union is provoked here, or reserved', () => {
  assert.deepEqual(Object.keys(CASES).sort(), codesOfUnion().sort());
});

function check(code: string, error: WalError, saying: Saying): void {
  const { message } = error;
  assert.equal(error.name, 'WalError', String((error as Error).stack ?? error));
  assert.equal(error.code, code, message);
  assert.match(message, saying.doing);
  assert.match(message, saying.why);
  if (saying.wayOut !== undefined) assert.match(message, saying.wayOut);
  assert.match(message, /[.)\]'"]$|: \S/);
  const { path, lsn, offset } = error;
  const expected = { path: saying.path, lsn: saying.lsn, offset: saying.offset };
  assert.deepEqual({ path, lsn, offset }, expected, message);
  if (path !== undefined) assert.ok(message.includes(`"${path}"`), message);
  if (lsn !== undefined) assert.match(message, new RegExp(`\\b${lsn}\\b`));
  if (offset !== undefined && offset > 0) assert.match(message, new RegExp(`at byte ${offset}\\b`));
  assert.equal((error.cause as { code?: string } | undefined)?.code, saying.cause, message);
}

function codesOfUnion(): WalErrorCode[] {
  const source = readFileSync(join(ROOT, UNION), 'utf8');
  const [, union = ''] =
    /type WalErrorCode =([^;]+);/.exec(source) ?? assert.fail(`no WalErrorCode in ${UNION}`);
  return [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code as WalErrorCode);
}

function document(): string {
  return readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
}

function section(code: string): string {
  const [, rest = ''] = document().split(`## \`${code}\`\n`);
  return rest.split('\n## ')[0] as string;
}

function sources(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, 'src', name));
}

/** A log of three acknowledged entries whose second one has a flipped bit. */
async function damagedLog(t: TestContext): Promise<{ directory: string; path: string; offset: number }> {
  const directory = temporaryLog(t);
  const wal = await Wal.open(directory, { ringSize: SMALL_RING });
  for (const seed of range(1, 3)) await wal.append(fill(100, seed), { durable: true });
  await wal.close();
  const path = join(directory, 'wal-0');
  const bytes = readFileSync(path);
  const offset = 4 + bytes.readInt32LE(0);
  const at = offset + 60;
  bytes[at] = (bytes[at] as number) ^ 0x10;
  writeFileSync(path, bytes);
  return { directory, path, offset };
}

/** A directory with an empty segment in wal-go's later format. */
function walgLog(t: TestContext): { directory: string; path: string } {
  const directory = temporaryLog(t);
  mkdirSync(directory);
  const path = join(directory, 'wal-0');
  writeFileSync(path, Buffer.from('57414c47010010000100000000000000', 'hex'));
  return { directory, path };
}

/** A fresh log with little memory, which is quicker to make. */
function smallLog(t: TestContext, options: WalOptions = {}): Promise<Wal> {
  return freshLog(t, { ringSize: SMALL_RING, ...options });
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('it did not reject'),
    (error: unknown) => error,
  );
}

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return assert.fail('it did not throw');
}

async function drain(entries: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of entries);
}

async function nextTurn(): Promise<undefined> {
  await new Promise((resolve) => setImmediate(resolve));
  return undefined;
}
