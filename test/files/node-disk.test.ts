import assert from 'node:assert/strict';
import fs, {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDirectory } from '../../src/files/directories.js';
import { isSameFile } from '../../src/files/disk.js';
import { adoptDescriptor, createNodeDisk } from '../../src/files/node-disk.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

const disk = createNodeDisk();
const skipOnWindows = process.platform === 'win32' && 'Windows has no POSIX modes';

test('an adopted descriptor syncs, and closing it leaves the owner its file', (t) => {
  const owner = disk.open(join(temporaryDirectory(t), 'a'), 'wx+');
  owner.write(Buffer.from('abc'), 0, 3, 0);
  const adopted = adoptDescriptor(owner.fd, owner.path);
  adopted.datasync();
  adopted.sync();
  assert.ok(isSameFile(adopted.identity(), owner.identity()));
  adopted.close();
  assert.throws(() => adopted.datasync(), { code: 'EBADF' });
  assert.equal(owner.size(), 3);
  owner.close();
});

test('an adopted descriptor whose number went to another file shows by its identity', (t) => {
  const directory = temporaryDirectory(t);
  const owner = disk.open(join(directory, 'a'), 'wx+');
  const identity = owner.identity();
  const adopted = adoptDescriptor(owner.fd, owner.path);
  const number = owner.fd;
  owner.close();
  assert.throws(() => adopted.datasync(), { code: 'EBADF' });
  const thief = openSync(join(directory, 'b'), 'w');
  assert.equal(thief, number, 'the lowest free number is given out next');
  adopted.datasync();
  assert.ok(!isSameFile(adopted.identity(), identity));
  closeSync(thief);
});

test('modes are those that were asked for, under the umask', { skip: skipOnWindows }, (t) => {
  const directory = temporaryDirectory(t);
  disk.open(join(directory, 'a'), 'wx', 0o600).close();
  assert.equal(statSync(join(directory, 'a')).mode & 0o777, 0o600);
  createDirectory(disk, join(directory, 'b', 'c'), 0o700);
  assert.equal(statSync(join(directory, 'b')).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, 'b', 'c')).mode & 0o777, 0o700);
  disk.lock(join(directory, 'lock'), 0o600)?.release();
  assert.equal(statSync(join(directory, 'lock')).mode & 0o777, 0o600);
});

test('stat and createDirectory follow symbolic links', { skip: skipOnWindows }, (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'real'));
  symlinkSync('real', join(directory, 'link'));
  symlinkSync('nowhere', join(directory, 'dangling'));
  assert.equal(disk.stat(join(directory, 'link'))?.kind, 'directory');
  createDirectory(disk, join(directory, 'link', 'below'));
  assert.equal(disk.stat(join(directory, 'real', 'below'))?.kind, 'directory');
  assert.equal(disk.stat(join(directory, 'dangling')), undefined);
  assert.throws(() => createDirectory(disk, join(directory, 'dangling')), { code: 'EEXIST' });
});

test('a device is neither file nor directory', { skip: skipOnWindows }, () => {
  assert.equal(disk.stat('/dev/null')?.kind, 'other');
});

test('a full device is ENOSPC', { skip: process.platform !== 'linux' && 'only Linux has /dev/full' }, () => {
  const fd = openSync('/dev/full', 'r+');
  const file = adoptDescriptor(fd, '/dev/full');
  assert.throws(() => file.write(new Uint8Array(1), 0, 1, 0), { code: 'ENOSPC' });
  closeSync(fd);
});

test('a position above 2^32 is kept', (t) => {
  const path = join(temporaryDirectory(t), 'sparse');
  const file = disk.open(path, 'wx+');
  const position = 2 ** 33 + 5;
  file.write(Buffer.from('far'), 0, 3, position);
  assert.equal(file.size(), position + 3);
  const target = new Uint8Array(10);
  assert.equal(file.read(target, position), 3);
  assert.equal(Buffer.from(target.subarray(0, 3)).toString(), 'far');
  file.close();
});

test('a read-only directory refuses new files, locks and directories', { skip: skipOnWindows }, (t) => {
  asNobody(t, (directory) => {
    mkdirSync(join(directory, 'readonly'), 0o500);
    assert.throws(() => disk.open(join(directory, 'readonly', 'a'), 'wx'), { code: 'EACCES' });
    assert.throws(() => disk.lock(join(directory, 'readonly', 'lock')), { code: 'EACCES' });
    assert.throws(() => createDirectory(disk, join(directory, 'readonly', 'a', 'b')), { code: 'EACCES' });
    assert.deepEqual(disk.list(join(directory, 'readonly')), []);
  });
});

test('a file or directory without permissions is EACCES', { skip: skipOnWindows }, (t) => {
  asNobody(t, (directory) => {
    writeFileSync(join(directory, 'a'), 'secret', { mode: 0 });
    assert.throws(() => disk.open(join(directory, 'a'), 'r'), { code: 'EACCES' });
    assert.throws(() => disk.lockHolder(join(directory, 'a')), { code: 'EACCES' });
    mkdirSync(join(directory, 'closed'), 0);
    assert.throws(() => disk.list(join(directory, 'closed')), { code: 'EACCES' });
    assert.throws(() => disk.stat(join(directory, 'closed', 'a')), { code: 'EACCES' });
    assert.throws(() => disk.syncDirectory(join(directory, 'closed')), { code: 'EACCES' });
  });
});

test('a directory below a parent that may be entered and not read can be made sure of', {
  skip: skipOnWindows,
}, (t) => {
  asNobody(t, (directory) => {
    mkdirSync(join(directory, 'parent', 'log'), { recursive: true });
    chmodSync(join(directory, 'parent'), 0o100);
    createDirectory(disk, join(directory, 'parent', 'log'));
  });
});

test('what was written can be read by others before any sync', (t) => {
  const path = join(temporaryDirectory(t), 'a');
  const file = disk.open(path, 'wx');
  file.write(Buffer.from('abc'), 0, 3, 0);
  assert.equal(readFileSync(path, 'utf8'), 'abc');
  file.close();
});

/** Runs `body` in a directory of a user whom permissions bind, which root is not. */
function asNobody(t: TestContext, body: (directory: string) => void): void {
  const directory = temporaryDirectory(t);
  const isRoot = process.geteuid?.() === 0;
  chmodSync(directory, 0o777);
  if (isRoot) process.seteuid?.(65534);
  try {
    body(directory);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

test('what is opened for writing, or locked, is never a symbolic link', { skip: skipOnWindows }, (t) => {
  const directory = temporaryDirectory(t);
  const precious = join(directory, 'precious');
  const link = join(directory, 'link');
  writeFileSync(precious, 'kept');
  symlinkSync('precious', link);
  for (const flags of ['r+', 'w', 'w+'] as const) {
    assert.throws(() => disk.open(link, flags), { code: 'ELOOP' }, flags);
  }
  for (const flags of ['wx', 'wx+'] as const) {
    assert.throws(() => disk.open(link, flags), { code: 'EEXIST' }, flags);
  }
  assert.throws(() => disk.lock(link), { code: 'ELOOP' });
  assert.equal(readFileSync(precious, 'utf8'), 'kept');
  disk.open(link, 'r').close();
});

test('a directory that is held is synced where no descriptor is left, and one in its place by its own', {
  skip: skipOnWindows,
}, (t) => {
  const parent = temporaryDirectory(t);
  const directory = join(parent, 'log');
  mkdirSync(directory);
  const holding = createNodeDisk();
  holding.holdDirectory(directory);
  const opened = t.mock.method(fs, 'openSync', () => {
    throw Object.assign(new Error('no descriptor'), { code: 'EMFILE' });
  });
  syncBuiltinESMExports();
  cleanUp(t, () => {
    opened.mock.restore();
    syncBuiltinESMExports();
  });
  holding.syncDirectory(directory);
  assert.throws(() => holding.syncDirectory(parent), { code: 'EMFILE' });
  renameSync(directory, `${directory}-elsewhere`);
  mkdirSync(directory);
  assert.throws(() => holding.syncDirectory(directory), { code: 'EMFILE' });
});

test('files of a directory that is held are made, renamed and removed in it, whatever its path leads to', {
  skip: process.platform !== 'linux' && 'only Linux has /proc',
}, (t) => {
  const directory = join(temporaryDirectory(t), 'log');
  const own = `${directory}.moved`;
  mkdirSync(directory);
  const holding = createNodeDisk();
  holding.holdDirectory(directory);
  renameSync(directory, own);
  mkdirSync(directory);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), 'of another log');
  const file = holding.open(join(directory, 'a'), 'w');
  assert.equal(file.path, join(directory, 'a'));
  file.write(Buffer.from('own'), 0, 3, 0);
  file.close();
  assert.equal(holding.stat(join(directory, 'a'))?.size, 3);
  holding.link(join(directory, 'a'), join(directory, 'b'));
  holding.rename(join(directory, 'a'), join(directory, 'c'));
  holding.unlink(join(directory, 'b'));
  assert.deepEqual(readdirSync(own), ['c']);
  for (const name of ['a', 'b', 'c'])
    assert.equal(readFileSync(join(directory, name), 'utf8'), 'of another log');
  // Errors name the path that the caller knows.
  for (const act of [
    () => holding.open(join(directory, 'none'), 'r'),
    () => holding.unlink(join(directory, 'none')),
    () => holding.rename(join(directory, 'none'), join(directory, 'c')),
  ])
    assert.throws(act, (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'ENOENT');
      assert.equal(error.path, join(directory, 'none'));
      assert.ok(error.message.includes(join(directory, 'none')) && !error.message.includes('/proc/'));
      return true;
    });
});
