import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskLock,
  type FileStat,
  type LockHolder,
  type OpenFlags,
} from '../disk.js';
import { type FailedSync, SECTOR_BYTES } from './content.js';
import { Fate } from './fate.js';
import type { Fault, FaultHook, FaultScope, OperationKind } from './faults.js';
import { Machine } from './machine.js';
import { DirectoryNode, FileNode, Names, type Node, type Place } from './names.js';
import { type FileHost, identityOf, OpenFile } from './open-file.js';

export type { FailedSync } from './content.js';
export { SECTOR_BYTES } from './content.js';
export type { Fault, FaultHook, FaultScope, Operation, OperationKind } from './faults.js';
export { SimulatedCrash } from './faults.js';

import { Random } from './random.js';

export { Random };

export interface SimulatedDiskOptions {
  /** Decides every random choice. Any safe integer. */
  readonly seed: number;
  /** When it is full, writes are short and then throw ENOSPC; files count in whole sectors. Default: no limit. */
  readonly capacityBytes?: number;
  /** When they are used up, `open` throws EMFILE. Default: no limit. */
  readonly descriptorsMax?: number;
  /** The effect of a failed sync. Default 'ext4'. */
  readonly failedSync?: FailedSync;
  /**
   * Whether a power cut may break off a write inside a sector, the rest of which stays as it was. Default false: a sector is
   * written whole or not at all.
   */
  readonly tearsSectors?: boolean;
  /** Whether [Disk.clone] works. Default false, as on ext4. */
  readonly clones?: boolean;
  /** How often a write or read is short, or throws EINTR or EAGAIN, at random: 0 to 1. Default 0. */
  readonly nuisance?: number;
  /** Duration of every sync, by the virtual clock. Default 0. */
  readonly syncMs?: number;
  /** The clock's first time. Default 2025-01-01. */
  readonly startMs?: number;
  /** How many operations the trace keeps. Default 1,000. */
  readonly traceMax?: number;
  /** The process id in the lock file. Default 1. */
  readonly pid?: number;
}

export interface DiskCounts {
  readonly operations: number;
  readonly writes: number;
  readonly writtenBytes: number;
  readonly fileSyncs: number;
  readonly directorySyncs: number;
  /** Duration of every sync, by the virtual clock. */
  readonly syncMs: number;
  readonly boots: number;
}

/** Separates the random numbers of ids from those that decide about the disk's behaviour. */
const ID_SEED = 0x1d5;

const DAY_ONE_MS = Date.UTC(2025, 0, 1);

/**
 * A disk in memory that does to files everything that disks, kernels and power supplies do, and repeats it for the same seed and
 * the same calls. It never waits, and reads no clock and no random source of the system.
 *
 *   loss of unsynced data       simulation/content.ts (bytes and sizes), simulation/names.ts (names)
 *   choices of a power cut      simulation/fate.ts
 *   planned faults              [failNext], [onOperation], [crashAt]
 *   the next boot               [powerCut] or [killProcess]; then the same object is used again
 */
export class SimulatedDisk implements Disk {
  /** May be changed at any time: the disk fills up, or has room again. */
  capacityBytes: number;
  /**
   * Milliseconds by which the wall clock of the machine is set forward, or back. Elapsed time is not affected. May be changed at
   * any time.
   */
  clockErrorMs = 0;
  readonly #options: SimulatedDiskOptions;
  readonly #machine: Machine;
  readonly #ids: Random;
  readonly #names = new Names(new DirectoryNode(1));
  readonly #openFiles = new Set<OpenFile>();
  #nextId = 2;

  constructor(options: SimulatedDiskOptions) {
    const { seed, nuisance = 0, syncMs = 0, startMs = DAY_ONE_MS, traceMax = 1000 } = options;
    this.#options = options;
    this.#ids = new Random(seed + ID_SEED);
    this.#machine = new Machine({ seed, nuisance, syncMs, startMs, traceMax });
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  open(path: string, flags: OpenFlags): DiskFile {
    return this.#machine.operate({ kind: 'open', path }, ({ at }) => {
      this.#takeDescriptor('open', path);
      const place = this.#names.place(path, 'open');
      if (place.node !== undefined && flags.includes('x')) throw failure('EEXIST', 'open', path);
      const node = flags.startsWith('w') ? this.#fileAt(place, path, at) : fileIn(place, path);
      if (flags.startsWith('w')) node.content.truncate(0, at);
      const file = new OpenFile(this.#host, node, path, flags);
      this.#openFiles.add(file);
      return file;
    });
  }

  /** In random order: no caller may rely on one. */
  list(directory: string): string[] {
    return this.#machine.operate({ kind: 'list', path: directory }, () => {
      this.#takeDescriptor('scandir', directory);
      return this.#machine.random.shuffle([...this.#directory(directory, 'scandir').live.keys()]);
    });
  }

  stat(path: string): FileStat | undefined {
    return this.#machine.operate({ kind: 'stat', path }, () => {
      const node = this.#find(path);
      if (node === undefined) return undefined;
      const size = node.kind === 'file' ? node.content.size : 0;
      const links = node.kind === 'file' ? this.#names.countOf(node) : 1;
      return { kind: node.kind, size, mtimeMs: node.mtimeMs, links, ...identityOf(node) };
    });
  }

  mkdir(directory: string): void {
    this.#machine.operate({ kind: 'mkdir', path: directory }, ({ fault, at }) => {
      const place = this.#names.place(directory, 'mkdir');
      if (place.node !== undefined) throw failure('EEXIST', 'mkdir', directory);
      if (fault.ignored !== true) this.#names.link(place, new DirectoryNode(this.#nextId++), at);
    });
  }

  rename(from: string, to: string): void {
    this.#machine.operate({ kind: 'rename', path: from }, ({ fault, at }) => {
      const source = this.#names.place(from, 'rename');
      const target = this.#names.place(to, 'rename');
      const { node } = source;
      if (node === undefined) throw failure('ENOENT', 'rename', from);
      checkReplaceable(node, target.node, to);
      if (node !== target.node && fault.ignored !== true) this.#names.rename(source, target, node, at);
    });
  }

  rmdir(directory: string): void {
    this.#machine.operate({ kind: 'rmdir', path: directory }, ({ fault, at }) => {
      const place = this.#names.place(directory, 'rmdir');
      if (this.#directory(directory, 'rmdir').live.size > 0) throw failure('ENOTEMPTY', 'rmdir', directory);
      if (fault.ignored !== true) this.#names.unlink(place, at);
    });
  }

  link(from: string, to: string): void {
    this.#machine.operate({ kind: 'link', path: from }, ({ fault, at }) => {
      const node = fileIn(this.#names.place(from, 'link'), from, 'link');
      const target = this.#names.place(to, 'link');
      if (target.node !== undefined) throw failure('EEXIST', 'link', to);
      if (fault.ignored !== true) this.#names.linkAgain(target, node, at);
    });
  }

  clone(from: string, to: string): boolean {
    return this.#machine.operate({ kind: 'clone', path: from }, ({ at }) => {
      const { content } = fileIn(this.#names.place(from, 'copyfile'), from, 'copyfile');
      const target = this.#names.place(to, 'copyfile');
      if (target.node !== undefined) throw failure('EEXIST', 'copyfile', to);
      if (this.#options.clones !== true) return false;
      const node = this.#fileAt(target, to, at);
      const bytes = content.liveBytes();
      if (this.#roomFor(node, 0, bytes.length) < bytes.length) throw failure('ENOSPC', 'copyfile', to);
      node.content.write(bytes, 0, at);
      return true;
    });
  }

  unlink(path: string): void {
    this.#machine.operate({ kind: 'unlink', path }, ({ fault, at }) => {
      const place = this.#names.place(path, 'unlink');
      fileIn(place, path, 'unlink');
      if (fault.ignored !== true) this.#names.unlink(place, at);
    });
  }

  syncDirectory(path: string): void {
    this.#machine.operate({ kind: 'syncDirectory', path }, ({ fault }) => {
      this.#takeDescriptor('open', path);
      const directory = this.#directory(path, 'fsync');
      this.#machine.counts.directorySyncs += 1;
      this.#machine.passSyncTime();
      if (fault.code !== undefined) this.#names.failSync(directory, this.#machine.random);
      else if (fault.ignored !== true && fault.crash !== true) this.#names.sync(directory);
      this.#machine.fail(fault, 'fsync', path);
    });
  }

  lock(path: string): DiskLock | undefined {
    return this.#machine.operate({ kind: 'lock', path }, ({ at }) => {
      this.#takeDescriptor('open', path);
      const node = this.#fileAt(this.#names.place(path, 'open'), path, at);
      if (node.isLocked) return undefined;
      node.isLocked = true;
      const pid = new Uint8Array([...`${this.#options.pid ?? 1}\n`].map((char) => char.charCodeAt(0)));
      if (this.#roomFor(node, 0, pid.length) === pid.length) node.content.write(pid, 0, at);
      const boot = this.#machine.counts.boots;
      let isHeld = true;
      return {
        release: () => {
          // The lock of a process that is gone went with it, and another process may hold the file now.
          if (isHeld && boot === this.#machine.counts.boots) node.isLocked = false;
          isHeld = false;
        },
        isNamed: () => this.#machine.operate({ kind: 'stat', path }, () => this.#find(path) === node),
      };
    });
  }

  lockHolder(path: string): LockHolder | undefined {
    return this.#machine.operate({ kind: 'lockHolder', path }, () => {
      const node = this.#find(path);
      if (node?.kind !== 'file' || !node.isLocked) return undefined;
      const pid = Number.parseInt(String.fromCharCode(...node.content.liveBytes()), 10);
      return { pid: Number.isNaN(pid) ? undefined : pid, place: 'unknown', host: undefined };
    });
  }

  /** Drawn from separate numbers, so that calling it does not change the disk's behaviour. */
  random64(): bigint {
    return (BigInt(this.#ids.next()) << 32n) | BigInt(this.#ids.next());
  }

  /** As [now], exact, and counted from the start: milliseconds that have passed. */
  get elapsedMs(): number {
    return this.#machine.nowMs - (this.#options.startMs ?? DAY_ONE_MS);
  }

  /** Virtual: it moves only by [advance], [SimulatedDiskOptions.syncMs], slow calls and [clockErrorMs]. */
  now(): number {
    return Math.floor(this.#machine.nowMs + this.clockErrorMs);
  }

  // ---------------------------------------------------------------- crashes and damage

  /**
   * The power goes: any part of everything that is not durable is lost, and descriptors and locks are gone. The next call belongs
   * to the next boot.
   */
  powerCut(): void {
    const { random, counts } = this.#machine;
    // A file whose last name was removed is at risk as well: the removal may be lost.
    const atRisk = [...this.#names.files('live'), ...this.#names.files('durable')];
    const oldest = Math.min(
      this.#names.oldestUnsynced,
      ...atRisk.map(({ content }) => content.oldestUnsynced),
    );
    const newest = counts.operations;
    const fate = new Fate(random, Math.min(oldest, newest), newest, this.#options.tearsSectors ?? false);
    this.#names.powerCut(fate);
    const files = [...this.#names.files('live')];
    for (const { content } of files) content.powerCut(fate, (index) => this.#staleSector(files, index));
    this.#boot('power cut');
  }

  /** The process dies: every byte that was written stays, descriptors and locks are gone. */
  killProcess(): void {
    this.#boot('process killed');
  }

  /** The page cache drops the pages that count as clean: reads then no longer return data that a failed sync has lost. */
  evictCache(): void {
    this.#machine.trace.note('---- cache evicted');
    for (const { content } of this.#names.files('live')) content.evict();
  }

  /** Flips the bits of `mask` in a byte at rest. */
  rot(path: string, offset: number, mask = 1): void {
    this.#machine.trace.note(`---- rot ${path} at ${offset}`);
    this.#file(path).content.rot(offset, mask);
  }

  /** Adds the harness's own line to the [trace]. */
  note(line: string): void {
    this.#machine.trace.note(line);
  }

  /** Moves the virtual clock; a negative number sets it back. */
  advance(ms: number): void {
    this.#machine.nowMs += ms;
  }

  // ---------------------------------------------------------------- planned faults

  /** The next operation of this kind, or of one of these kinds (in scope), throws `code`, or fails as the fault says. */
  failNext(
    kinds: OperationKind | readonly OperationKind[],
    fault: string | Fault,
    scope: FaultScope = {},
  ): void {
    this.#machine.faults.add(kinds, typeof fault === 'string' ? { code: fault } : fault, scope);
  }

  /** A hook that is called before each operation; there is one at a time. */
  onOperation(hook: FaultHook | undefined): void {
    this.#machine.faults.hook = hook;
  }

  /** Removes the rules, the hook and [crashAt]. */
  clearFaults(): void {
    this.#machine.faults.clear();
    this.#machine.crashAt = undefined;
  }

  /**
   * The machine stops at the operation with this index (of [counts]), which is half done. Every later call throws
   * [SimulatedCrash] too, until [powerCut] or [killProcess].
   */
  crashAt(index: number): void {
    this.#machine.crashAt = index;
  }

  /** The machine has stopped at an operation: no call works until [powerCut] or [killProcess]. */
  get hasStopped(): boolean {
    return this.#machine.hasStopped;
  }

  // ---------------------------------------------------------------- inspection by tests

  /** The bytes that a read of the whole file would return now. Not an operation: it cannot fail. */
  contents(path: string): Uint8Array {
    return this.#file(path).content.liveBytes();
  }

  /** The names in a directory, sorted. Not an operation. */
  names(directory: string): string[] {
    return [...this.#directory(directory, 'scandir').live.keys()].sort();
  }

  /** The durable content of a file whose name is durable. */
  durableContents(path: string): Uint8Array {
    return this.#file(path).content.durableBytes();
  }

  /** Creates a file durably, with its directories: a fixture. */
  plant(path: string, bytes: Uint8Array): void {
    const at = this.#machine.counts.operations;
    this.plantDirectory(path.slice(0, Math.max(0, path.search(/[/\\][^/\\]*$/))));
    const place = this.#names.place(path, 'open');
    const { content } = this.#fileAt(place, path, at);
    content.truncate(0, at);
    content.write(bytes, 0, at);
    content.sync();
    this.#names.sync(place.directory);
  }

  /** The same for a directory and those above it. */
  plantDirectory(path: string): void {
    const at = this.#machine.counts.operations;
    const names = path.split(/[/\\]/);
    for (let depth = 1; depth <= names.length; depth += 1) {
      const place = this.#names.place(names.slice(0, depth).join('/'), 'mkdir');
      if (place.node === undefined) this.#names.link(place, new DirectoryNode(this.#nextId++), at);
      this.#names.sync(place.directory);
    }
  }

  /** The paths of all files, sorted. Not an operation. */
  paths(): string[] {
    return this.#names.paths().sort();
  }

  get usedBytes(): number {
    // An open file without a name still takes its space.
    const files = new Set([...this.#names.files('live'), ...[...this.#openFiles].map(({ node }) => node)]);
    let bytes = 0;
    for (const { content } of files) bytes += content.allocatedBytes;
    return bytes;
  }

  /** The names of the open files, each once per descriptor. */
  get openPaths(): string[] {
    return [...this.#openFiles].map((file) => file.path);
  }

  get counts(): DiskCounts {
    return { ...this.#machine.counts };
  }

  /** The last operations, one per line: index, kind, path, place, bytes, outcome. */
  get trace(): string {
    return this.#machine.trace.toString();
  }

  // ---------------------------------------------------------------- internals

  get #host(): FileHost {
    return {
      machine: this.#machine,
      failedSync: this.#options.failedSync ?? 'ext4',
      roomFor: (node, position, length) => this.#roomFor(node, position, length),
      forget: (file) => this.#openFiles.delete(file),
    };
  }

  #boot(reason: string): void {
    this.#openFiles.clear();
    for (const file of this.#names.files('live')) file.isLocked = false;
    this.#machine.boot(reason);
  }

  #takeDescriptor(syscall: string, path: string): void {
    const max = this.#options.descriptorsMax ?? Number.POSITIVE_INFINITY;
    if (this.#openFiles.size >= max) throw failure('EMFILE', syscall, path);
  }

  #roomFor(node: FileNode, position: number, length: number): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return length;
    const freeSectors = Math.floor(Math.max(0, this.capacityBytes - this.usedBytes) / SECTOR_BYTES);
    const endMax = node.content.allocatedBytes + freeSectors * SECTOR_BYTES;
    return Math.max(0, Math.min(length, endMax - position));
  }

  /** Returns the file with the name, or creates one. */
  #fileAt(place: Place, path: string, at: number): FileNode {
    if (place.node !== undefined) return fileIn(place, path);
    const node = new FileNode(this.#nextId++);
    node.mtimeMs = this.#machine.nowMs;
    this.#names.link(place, node, at);
    return node;
  }

  #find(path: string): Node | undefined {
    try {
      return this.#names.place(path, 'stat').node;
    } catch {
      return undefined;
    }
  }

  #file(path: string): FileNode {
    return fileIn(this.#names.place(path, 'open'), path);
  }

  #directory(path: string, syscall: string): DirectoryNode {
    const { node } = this.#names.place(path, syscall);
    if (node === undefined) throw failure('ENOENT', syscall, path);
    if (node.kind === 'file') throw failure('ENOTDIR', syscall, path);
    return node;
  }

  /** The stale content of a block that belonged to another file: noise, or, worse, bytes that look valid. */
  #staleSector(files: readonly FileNode[], index: number): Uint8Array {
    const { random } = this.#machine;
    const stale = new Uint8Array(SECTOR_BYTES);
    if (random.chance(0.5)) stale.set(random.pick(files).content.durableSector(index));
    else
      stale.forEach((_, at) => {
        stale[at] = random.below(256);
      });
    return stale;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'file already exists',
  EISDIR: 'illegal operation on a directory',
  EMFILE: 'too many open files',
  ENOSPC: 'no space left on device',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
};

function failure(code: keyof typeof REASONS & string, syscall: string, path: string): DiskError {
  return new DiskError(code, syscall, path, REASONS[code] ?? code);
}

function fileIn({ node }: Place, path: string, syscall = 'open'): FileNode {
  if (node === undefined) throw failure('ENOENT', syscall, path);
  if (node.kind === 'directory') throw failure('EISDIR', syscall, path);
  return node;
}

function checkReplaceable(node: Node, replaced: Node | undefined, path: string): void {
  if (replaced === undefined || replaced === node) return;
  if (replaced.kind === 'directory' && node.kind === 'file') throw failure('EISDIR', 'rename', path);
  if (replaced.kind === 'file' && node.kind === 'directory') throw failure('ENOTDIR', 'rename', path);
  if (replaced.kind === 'directory' && replaced.live.size > 0) throw failure('ENOTEMPTY', 'rename', path);
}
