/**
 * Under the names of a log's files there may lie a directory, a FIFO, a socket or a device. Whoever asks is told which name it
 * is, and nobody waits: not the call, not its signal, and not the exit of the process.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../cleanup.js';
import { fill, makeLog, range, runChild, SMALL_RING } from '../support.js';

const skip = process.platform === 'win32' && 'Windows has none of these among its files';

const KINDS: Readonly<Record<string, (path: string) => unknown>> = {
  FIFO: (path) => assert.equal(spawnSync('mkfifo', [path]).status, 0),
  directory: (path) => mkdirSync(path),
  device: (path) => symlinkSync('/dev/zero', path),
};

const READERS = ['open read-only', 'follow', 'verify', 'dry run'] as const;
const WRITERS = ['open', 'repair', 'salvage'] as const;
type Call = (typeof READERS)[number] | (typeof WRITERS)[number] | 'read segment';
const ALL: readonly Call[] = [...READERS, ...WRITERS, 'read segment'];

/** Which calls are refused. The others do without the file, or have no use for it. */
const REFUSED: Readonly<Record<string, readonly Call[]>> = {
  'wal-0': ALL,
  'wal-1': ALL,
  'ringwal.state': [...READERS, ...WRITERS],
  'ringwal.state.aside': [],
  'ringwal.lock': WRITERS,
  'ringwal.stats': [],
  'ringwal.next': [],
  'ringwal.spare': [],
  'ringwal.salvage': ['open', 'repair', 'salvage', 'dry run'],
  'ringwal.salvage.aside': [],
  'ringwal.cut-0-3-abc': [],
};

/** Makes each call on each of the directories, and prints what came of it. Whatever it has begun, it exits. */
const PROGRAM = `
  import { join } from 'node:path';
  import { Wal } from '#ringwal';
  const OPTIONS = { ringSize: ${SMALL_RING}, maxFileSize: 4096, preallocate: 'recycle', maxFiles: 4, syncInterval: 5, onError() {} };
  const CALLS = {
    async 'open read-only'(log) { const reader = await Wal.open(log, { readOnly: true }); for await (const _ of reader.entries()); await reader.close(); },
    async follow(log) { for await (const { lsn } of Wal.follow(log)) if (lsn === 12) break; },
    async verify(log) { await Wal.verify(log); },
    async 'dry run'(log) { await Wal.repair(log, { mode: 'truncate', dryRun: true }); },
    async open(log) {
      const wal = await Wal.open(log, OPTIONS);
      for (let at = 0; at < 20; at++) await wal.append(Buffer.alloc(1200, at), { durable: true });
      await wal.checkpoint(wal.lastLsn).catch((error) => { if (error.cause === undefined) throw error; });
      await wal.close().catch((error) => { if (error.cause === undefined) throw error; });
    },
    async repair(log) { await Wal.repair(log, { mode: 'truncate' }); },
    async salvage(log) { await Wal.repair(log, { mode: 'salvage' }); },
    async 'read segment'(log, path) { for await (const _ of Wal.readSegment(path)); },
  };
  const told = {};
  for (const [key, log, path] of JSON.parse(process.argv[1])) {
    const [call] = key.split(' on ');
    told[key] = await CALLS[call](log, path).then(
      () => 'done',
      (error) => ({ code: error.code, path: error.path, cause: error.cause?.code, message: error.message }),
    );
  }
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
`;

interface Told {
  readonly code: string;
  readonly path: string;
  readonly cause: string;
  readonly message: string;
}

for (const [kind, make] of Object.entries(KINDS)) {
  test(`a ${kind} under any of a log's names is refused by its name or done without, and nothing waits for it`, {
    skip,
    timeout: 300_000,
  }, async (t) => {
    const parent = temporaryDirectory(t);
    const original = join(parent, 'original');
    await makeLog(
      original,
      range(1, 12).map((seed) => fill(1200, seed)),
      { maxFileSize: 4096 },
    );
    const jobs: [key: string, log: string, path: string][] = [];
    for (const name of Object.keys(REFUSED)) {
      for (const call of ALL) {
        if (call === 'read segment' && !name.startsWith('wal-')) continue;
        const log = join(parent, `log-${jobs.length}`);
        cpSync(original, log, { recursive: true });
        rmSync(join(log, name), { force: true });
        make(join(log, name));
        jobs.push([`${call} on ${name}`, log, join(log, name)]);
      }
    }
    const { code, stdout, stderr } = await runChild(t, PROGRAM, [JSON.stringify(jobs)]);
    assert.equal(code, 0, stderr);
    const told = JSON.parse(stdout) as Record<string, 'done' | Told>;
    for (const [key, , path] of jobs) {
      const [call, name] = key.split(' on ') as [Call, string];
      const answer = told[key] ?? assert.fail(key);
      if (!REFUSED[name]?.includes(call)) {
        assert.equal(answer, 'done', `${key}: ${JSON.stringify(answer)}`);
        continue;
      }
      assert.ok(answer !== 'done', key);
      assert.equal(answer.code, 'ERR_WAL_IO', `${key}: ${answer.message}`);
      assert.ok(['EISDIR', 'EINVAL', 'ELOOP'].includes(answer.cause), `${key}: ${answer.message}`);
      assert.ok(answer.message.includes(path), `${key}: ${answer.message}`);
      // A link is refused by the system, which says no more than its name.
      if (answer.cause !== 'ELOOP') assert.equal(answer.path, path, key);
    }
  });
}
