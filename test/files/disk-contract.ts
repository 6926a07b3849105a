import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDirectory } from '../../src/files/directories.js';
import { type Disk, type DiskFile, isSameFile, readFully, writeFully } from '../../src/files/disk.js';

export interface Candidate {
  readonly disk: Disk;
  /** An existing, empty directory. */
  readonly root: string;
}

/** What every implementation of the seam does alike: the words of `disk.ts`, as tests. */
export function testDiskContract(name: string, make: (t: TestContext) => Candidate): void {
  const check = (sentence: string, body: (candidate: Candidate) => void): void => {
    test(`${name}: ${sentence}`, (t) => body(make(t)));
  };

  check('an exclusive create makes an empty file and refuses the name the second time', ({ disk, root }) => {
    const path = join(root, 'a');
    const file = disk.open(path, 'wx+', 0o600);
    assert.equal(file.path, path);
    assert.equal(file.size(), 0);
    file.close();
    assert.throws(() => disk.open(path, 'wx+'), { code: 'EEXIST' });
    assert.throws(() => disk.open(path, 'wx'), { code: 'EEXIST' });
  });

  check('r and r+ do not create, w and w+ empty what is there', ({ disk, root }) => {
    const path = join(root, 'a');
    assert.throws(() => disk.open(path, 'r'), { code: 'ENOENT' });
    assert.throws(() => disk.open(path, 'r+'), { code: 'ENOENT' });
    for (const flags of ['w', 'w+'] as const) {
      put(disk, path, 'content');
      disk.open(path, flags).close();
      assert.equal(get(disk, path), '');
    }
  });

  check('a parent that is missing is ENOENT and one that is a file is ENOTDIR', ({ disk, root }) => {
    put(disk, join(root, 'file'), 'x');
    assert.throws(() => disk.open(join(root, 'no', 'a'), 'w'), { code: 'ENOENT' });
    assert.throws(() => disk.open(join(root, 'file', 'a'), 'w'), { code: 'ENOTDIR' });
    assert.throws(() => disk.mkdir(join(root, 'no', 'a')), { code: 'ENOENT' });
    assert.throws(() => disk.mkdir(join(root, 'file', 'a')), { code: 'ENOTDIR' });
    assert.throws(() => disk.list(join(root, 'no')), { code: 'ENOENT' });
    assert.throws(() => disk.list(join(root, 'file')), { code: 'ENOTDIR' });
    assert.throws(() => disk.syncDirectory(join(root, 'no')), { code: 'ENOENT' });
    assert.equal(disk.stat(join(root, 'no', 'a')), undefined);
    assert.equal(disk.stat(join(root, 'file', 'a')), undefined);
  });

  check('a directory cannot be opened, nor locked', ({ disk, root }) => {
    assert.throws(() => disk.open(root, 'r'), { code: 'EISDIR' });
    assert.throws(() => disk.open(root, 'r+'), { code: 'EISDIR' });
    assert.throws(() => disk.lock(root), { code: 'EISDIR' });
  });

  check('a write goes to its position, and zeros fill what it leaps over', ({ disk, root }) => {
    const file = disk.open(join(root, 'a'), 'wx+');
    assert.equal(file.write(bytes('abcdef'), 0, 6, 0), 6);
    assert.equal(file.write(bytes('XY'), 0, 2, 2), 2);
    assert.equal(file.write(bytes('z'), 0, 1, 9), 1);
    assert.equal(file.size(), 10);
    assert.equal(text(file), 'abXYef\0\0\0z');
  });

  check('a write takes the part of the bytes that it is told, from shared memory too', ({ disk, root }) => {
    const file = disk.open(join(root, 'a'), 'wx+');
    const shared = new Uint8Array(new SharedArrayBuffer(16), 4, 8);
    shared.set(bytes('01234567'));
    assert.equal(file.write(shared, 2, 5, 0), 3);
    assert.equal(text(file), '234');
    const target = new Uint8Array(new SharedArrayBuffer(8), 2, 2);
    assert.equal(file.read(target, 1), 2);
    assert.deepEqual([...target], [...bytes('34')]);
  });

  check('a read is short at the end and empty behind it', ({ disk, root }) => {
    const file = put(disk, join(root, 'a'), 'abcdef');
    assert.equal(file.read(new Uint8Array(4), 4), 2);
    assert.equal(file.read(new Uint8Array(4), 6), 0);
    assert.equal(file.read(new Uint8Array(4), 1000), 0);
    assert.equal(file.read(new Uint8Array(0), 0), 0);
  });

  check('truncate cuts, and lengthens by zeros', ({ disk, root }) => {
    const file = put(disk, join(root, 'a'), 'abcdef');
    file.truncate(3);
    assert.equal(text(file), 'abc');
    file.truncate(5);
    assert.equal(text(file), 'abc\0\0');
  });

  check('a file opened for reading cannot be written, one for writing cannot be read', ({ disk, root }) => {
    const path = join(root, 'a');
    put(disk, path, 'abc').close();
    assert.throws(() => disk.open(path, 'r').write(bytes('x'), 0, 1, 0), { code: 'EBADF' });
    assert.throws(() => disk.open(path, 'w').read(new Uint8Array(1), 0), { code: 'EBADF' });
  });

  check('a closed file answers everything with EBADF but another close', ({ disk, root }) => {
    const file = put(disk, join(root, 'a'), 'abc');
    file.datasync();
    file.sync();
    file.close();
    file.close();
    assert.equal(file.fd, -1);
    for (const call of [
      () => file.write(bytes('x'), 0, 1, 0),
      () => file.read(new Uint8Array(1), 0),
      () => file.size(),
      () => file.truncate(0),
      () => file.datasync(),
      () => file.sync(),
      () => file.identity(),
    ]) {
      assert.throws(call, { code: 'EBADF' });
    }
  });

  check('list has every name once', ({ disk, root }) => {
    assert.deepEqual(disk.list(root), []);
    for (const name of ['wal-10', 'wal-9', 'ringwal.lock']) put(disk, join(root, name), '').close();
    disk.mkdir(join(root, 'directory'));
    assert.deepEqual(disk.list(root).sort(), ['directory', 'ringwal.lock', 'wal-10', 'wal-9']);
  });

  check('a lock knows whether its name still leads to its file', ({ disk, root }) => {
    const path = join(root, 'lock');
    const lock = disk.lock(path) ?? assert.fail('nobody has it');
    assert.equal(lock.isNamed(), true);
    disk.rename(path, join(root, 'elsewhere'));
    assert.equal(lock.isNamed(), false);
    put(disk, path, '').close();
    assert.equal(lock.isNamed(), false);
    const other = disk.lock(path) ?? assert.fail('nobody has the new one');
    assert.equal(other.isNamed(), true);
    disk.rename(join(root, 'elsewhere'), path);
    assert.deepEqual([lock.isNamed(), other.isNamed()], [true, false]);
    other.release();
    lock.release();
  });

  check('stat tells files, directories and nothing apart', ({ disk, root }) => {
    const before = disk.now();
    put(disk, join(root, 'a'), 'abc').close();
    const stat = disk.stat(join(root, 'a'));
    assert.equal(stat?.kind, 'file');
    assert.equal(stat?.size, 3);
    assert.ok(Math.abs((stat?.mtimeMs ?? 0) - before) < 10_000);
    assert.equal(disk.stat(root)?.kind, 'directory');
    assert.equal(disk.stat(join(root, 'b')), undefined);
  });

  check('mkdir makes one directory and refuses a name that is there', ({ disk, root }) => {
    disk.mkdir(join(root, 'd'), 0o700);
    put(disk, join(root, 'd', 'a'), 'x').close();
    assert.deepEqual(disk.list(join(root, 'd')), ['a']);
    assert.throws(() => disk.mkdir(join(root, 'd')), { code: 'EEXIST' });
  });

  check('a rename takes the place of another file, and open files stay what they are', ({ disk, root }) => {
    const [from, to] = [join(root, 'from'), join(root, 'to')];
    const fresh = put(disk, from, 'new');
    const old = put(disk, to, 'old');
    disk.rename(from, to);
    assert.equal(disk.stat(from), undefined);
    assert.equal(get(disk, to), 'new');
    assert.equal(text(fresh), 'new');
    assert.equal(text(old), 'old');
    assert.equal(fresh.path, from);
    assert.throws(() => disk.rename(from, to), { code: 'ENOENT' });
    disk.mkdir(join(root, 'd'));
    assert.throws(() => disk.rename(to, join(root, 'd')), { code: 'EISDIR' });
  });

  check('an unlinked file is gone for the others and stays for who has it open', ({ disk, root }) => {
    const file = put(disk, join(root, 'a'), 'abc');
    disk.unlink(join(root, 'a'));
    assert.deepEqual(disk.list(root), []);
    file.write(bytes('d'), 0, 1, 3);
    assert.equal(text(file), 'abcd');
    assert.throws(() => disk.unlink(join(root, 'a')), { code: 'ENOENT' });
    disk.mkdir(join(root, 'd'));
    assert.throws(() => disk.unlink(join(root, 'd')), /EPERM|EISDIR/);
  });

  check('identity is the file and not its name', ({ disk, root }) => {
    const path = join(root, 'a');
    const file = put(disk, path, 'abc');
    const again = disk.open(path, 'r');
    assert.ok(isSameFile(file.identity(), again.identity()));
    assert.ok(isSameFile(file.identity(), disk.stat(path) ?? assert.fail('it is there')));
    disk.rename(path, join(root, 'b'));
    assert.ok(isSameFile(file.identity(), disk.stat(join(root, 'b')) ?? assert.fail('it is there')));
    const other = put(disk, path, 'abc');
    assert.ok(!isSameFile(file.identity(), other.identity()));
  });

  check('a lock is given once, names its holder, and leaves its file', ({ disk, root }) => {
    const path = join(root, 'lock');
    assert.equal(disk.lockHolder(path), undefined);
    assert.equal(disk.stat(path), undefined);
    const lock = disk.lock(path, 0o600) ?? assert.fail('nobody holds it');
    assert.equal(disk.lock(path), undefined);
    assert.equal(typeof disk.lockHolder(path)?.pid, 'number');
    lock.release();
    lock.release();
    assert.equal(disk.lockHolder(path), undefined);
    assert.equal(disk.stat(path)?.kind, 'file');
    const next = disk.lock(path) ?? assert.fail('it was released');
    lock.release();
    assert.equal(disk.lock(path), undefined);
    next.release();
  });

  check('writeFully and readFully carry a mebibyte there and back', ({ disk, root }) => {
    const file = disk.open(join(root, 'a'), 'wx+');
    const sent = Uint8Array.from({ length: 2 ** 20 }, (_, i) => i ^ (i >> 8));
    writeFully(file, sent, 0, sent.length, 7);
    const received = new Uint8Array(sent.length + 100);
    assert.equal(readFully(file, received, 7), sent.length);
    assert.ok(Buffer.from(sent).equals(received.subarray(0, sent.length)));
  });

  check('rmdir removes an empty directory only', ({ disk, root }) => {
    const directory = join(root, 'directory');
    assert.throws(() => disk.rmdir(directory), { code: 'ENOENT' });
    disk.mkdir(directory);
    put(disk, join(directory, 'a'), '').close();
    assert.throws(() => disk.rmdir(directory), { code: /^(ENOTEMPTY|EEXIST)$/ });
    disk.unlink(join(directory, 'a'));
    disk.rmdir(directory);
    assert.equal(disk.stat(directory), undefined);
    put(disk, directory, '').close();
    assert.throws(() => disk.rmdir(directory), { code: 'ENOTDIR' });
  });

  check('a directory is renamed with what is in it, to a new name', ({ disk, root }) => {
    disk.mkdir(join(root, 'old'));
    put(disk, join(root, 'old', 'a'), 'content').close();
    disk.rename(join(root, 'old'), join(root, 'new'));
    assert.equal(get(disk, join(root, 'new', 'a')), 'content');
    assert.equal(disk.stat(join(root, 'old')), undefined);
    disk.mkdir(join(root, 'full'));
    put(disk, join(root, 'full', 'b'), '').close();
    assert.throws(() => disk.rename(join(root, 'new'), join(root, 'full')), {
      code: /^(ENOTEMPTY|EEXIST|EPERM)$/,
    });
    assert.equal(get(disk, join(root, 'new', 'a')), 'content');
  });

  check('a second name leads to the same bytes, and stays when the first one goes', ({ disk, root }) => {
    const [one, other] = [join(root, 'one'), join(root, 'other')];
    assert.throws(() => disk.link(one, other), { code: 'ENOENT' });
    const file = put(disk, one, 'before');
    assert.equal(disk.stat(one)?.links, 1);
    disk.link(one, other);
    assert.deepEqual([disk.stat(one)?.links, disk.stat(other)?.links], [2, 2]);
    assert.throws(() => disk.link(one, other), { code: 'EEXIST' });
    writeFully(file, bytes('after!'), 0, 6, 0);
    assert.equal(get(disk, other), 'after!');
    disk.unlink(one);
    assert.equal(get(disk, other), 'after!');
  });

  check('a clone has bytes of its own; where there are none no file is left', ({ disk, root }) => {
    const [one, other] = [join(root, 'one'), join(root, 'other')];
    assert.throws(() => disk.clone(one, other), { code: 'ENOENT' });
    const file = put(disk, one, 'before');
    if (disk.clone(one, other)) {
      writeFully(file, bytes('after!'), 0, 6, 0);
      assert.equal(get(disk, other), 'before');
    } else {
      assert.equal(disk.stat(other), undefined);
      put(disk, other, 'kept').close();
    }
    const kept = get(disk, other);
    assert.throws(() => disk.clone(one, other), { code: 'EEXIST' });
    assert.equal(get(disk, other), kept);
  });

  check('createDirectory makes every missing parent and is content with what is there', ({ disk, root }) => {
    const path = join(root, 'a', 'b', 'c');
    createDirectory(disk, path, 0o700);
    createDirectory(disk, path, 0o700);
    assert.equal(disk.stat(path)?.kind, 'directory');
    put(disk, join(root, 'file'), '');
    assert.throws(() => createDirectory(disk, join(root, 'file')), { code: 'ENOTDIR' });
    assert.throws(() => createDirectory(disk, join(root, 'file', 'below', 'it')), { code: 'ENOTDIR' });
  });
}

/** Creates the file anew; it stays open. */
function put(disk: Disk, path: string, content: string): DiskFile {
  const file = disk.open(path, 'w+');
  writeFully(file, bytes(content), 0, content.length, 0);
  return file;
}

function get(disk: Disk, path: string): string {
  const file = disk.open(path, 'r');
  try {
    return text(file);
  } finally {
    file.close();
  }
}

function text(file: DiskFile): string {
  const target = new Uint8Array(file.size() + 1);
  return Buffer.from(target.subarray(0, readFully(file, target, 0))).toString('latin1');
}

function bytes(content: string): Uint8Array {
  return Buffer.from(content, 'latin1');
}
