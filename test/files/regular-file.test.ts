import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants, mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openForReading } from '../../src/files/async-file.js';
import { IrregularFile, type OpenFlags } from '../../src/files/disk.js';
import { holdLifeline, LockWatch } from '../../src/files/lock.js';
import { createNodeDisk } from '../../src/files/node-disk.js';
import { openDirectory } from '../../src/files/regular-file.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

const skip = process.platform === 'win32' && 'Windows has none of these among its files';

const disk = createNodeDisk();

/** What may bear a file's name. */
const KINDS: Readonly<Record<string, (path: string, t: TestContext) => unknown>> = {
  FIFO: (path) => assert.equal(spawnSync('mkfifo', [path]).status, 0),
  directory: (path) => mkdirSync(path),
  socket: (path, t) =>
    new Promise((resolve) => {
      const server = createServer().listen(path, () => resolve(path));
      cleanUp(t, () => new Promise<void>((closed) => server.close(() => closed())));
    }),
  'link to a device without an end': (path) => symlinkSync('/dev/zero', path),
  'link to a terminal': (path) => symlinkSync('/dev/tty', path),
};

const READ_ONLY: OpenFlags = 'r';
const OTHERS: readonly OpenFlags[] = ['r+', 'w', 'w+', 'wx', 'wx+'];

for (const [kind, make] of Object.entries(KINDS)) {
  test(`a ${kind} is opened by nobody, and nobody waits for it`, { skip }, async (t) => {
    const path = join(temporaryDirectory(t), 'wal-0');
    await make(path, t);
    const isRefused = (error: unknown): boolean => {
      // The system refuses some by itself: a directory to be written, a link that is not followed, a terminal that is not there.
      const { code, message } = error as NodeJS.ErrnoException;
      const codes = ['EISDIR', 'ELOOP', 'EEXIST'];
      if (kind === 'link to a terminal') codes.push('ENXIO');
      assert.ok(error instanceof IrregularFile || codes.includes(code ?? ''), message);
      assert.ok(message.includes(path), message);
      return true;
    };
    const isIrregular = (error: unknown): boolean => {
      assert.ok(error instanceof IrregularFile, String(error));
      assert.equal(error.path, path);
      return isRefused(error);
    };
    assert.throws(() => disk.open(path, READ_ONLY), isIrregular);
    await assert.rejects(openForReading(path), isIrregular);
    for (const flags of OTHERS) assert.throws(() => disk.open(path, flags), isRefused, flags);
    assert.throws(() => disk.lock(path), isRefused);
    assert.throws(() => disk.lockHolder(path), isIrregular);
    assert.throws(() => new LockWatch(path, 1), isIrregular);
    assert.throws(() => holdLifeline(path, 1), isRefused);
  });
}

test('a FIFO that somebody has open at its other end is refused like any other', { skip }, async (t) => {
  const path = join(temporaryDirectory(t), 'wal-0');
  KINDS.FIFO?.(path, t);
  const { openSync, closeSync } = await import('node:fs');
  const end = openSync(path, constants.O_RDWR | (constants.O_NONBLOCK ?? 0));
  cleanUp(t, () => closeSync(end));
  for (const flags of ['r', 'r+', 'w', 'w+'] as const) {
    assert.throws(() => disk.open(path, flags), IrregularFile, flags);
  }
  await assert.rejects(openForReading(path), IrregularFile);
});

test('what was refused leaves no descriptor open', { skip }, async (t) => {
  const path = join(temporaryDirectory(t), 'wal-0');
  KINDS.FIFO?.(path, t);
  const { openSync, closeSync } = await import('node:fs');
  const nextFree = () => {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  };
  const before = nextFree();
  for (let at = 0; at < 20; at++) {
    assert.throws(() => disk.open(path, 'r'), IrregularFile);
    await assert.rejects(openForReading(path), IrregularFile);
  }
  assert.equal(nextFree(), before);
});

test('a FIFO in the place of a directory is waited for by nobody', { skip }, (t) => {
  const path = join(temporaryDirectory(t), 'log');
  KINDS.FIFO?.(path, t);
  assert.throws(() => openDirectory(path), { code: 'ENOTDIR' });
  assert.throws(() => disk.syncDirectory(path), { code: 'ENOTDIR' });
  assert.throws(() => disk.list(path), { code: 'ENOTDIR' });
});

test('a link to a regular file is read', { skip }, async (t) => {
  const directory = temporaryDirectory(t);
  disk.open(join(directory, 'a'), 'wx').close();
  symlinkSync('a', join(directory, 'link'));
  disk.open(join(directory, 'link'), 'r').close();
  await (await openForReading(join(directory, 'link'))).close();
});
