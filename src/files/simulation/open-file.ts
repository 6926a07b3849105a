import { DiskError, type DiskFile, type FileIdentity, type OpenFlags } from '../disk.js';
import type { FailedSync } from './content.js';
import type { Machine } from './machine.js';
import type { FileNode } from './names.js';

/** All simulated files are on this one device. */
const DEVICE = 1n;

export function identityOf(node: { readonly id: number }): FileIdentity {
  return { dev: DEVICE, ino: BigInt(node.id) };
}

/** The part of a disk that an open file uses. */
export interface FileHost {
  readonly machine: Machine;
  readonly failedSync: FailedSync;
  /** How many of `length` bytes at `position` the capacity leaves room for. */
  roomFor(node: FileNode, position: number, length: number): number;
  forget(file: OpenFile): void;
}

/** One descriptor. It ends with the process that opened it: after the next boot it is bad. */
export class OpenFile implements DiskFile {
  readonly path: string;
  readonly fd = -1;
  readonly node: FileNode;
  readonly #host: FileHost;
  readonly #flags: OpenFlags;
  readonly #boot: number;
  #isClosed = false;

  constructor(host: FileHost, node: FileNode, path: string, flags: OpenFlags) {
    this.#host = host;
    this.node = node;
    this.path = path;
    this.#flags = flags;
    this.#boot = host.machine.counts.boots;
  }

  write(bytes: Uint8Array, from: number, to: number, position: number): number {
    const { machine } = this.#host;
    const asked = to - from;
    return machine.operate({ kind: 'write', path: this.path, position, bytes: asked }, ({ fault, at }) => {
      this.#check('write', this.#flags !== 'r');
      const happens = fault.bytes ?? (fault.crash ? machine.random.below(asked + 1) : fault.code ? 0 : asked);
      const written = this.#host.roomFor(this.node, position, Math.min(asked, happens));
      this.node.content.write(bytes.subarray(from, from + written), position, at);
      this.node.mtimeMs = machine.nowMs;
      machine.counts.writes += 1;
      machine.counts.writtenBytes += written;
      machine.fail(fault, 'write', this.path);
      if (written === 0 && happens > 0)
        throw new DiskError('ENOSPC', 'write', this.path, 'no space left on device');
      return written;
    });
  }

  read(target: Uint8Array, position: number): number {
    const bytes = target.length;
    return this.#host.machine.operate({ kind: 'read', path: this.path, position, bytes }, ({ fault }) => {
      this.#check('read', this.#flags.startsWith('r') || this.#flags.endsWith('+'));
      return this.node.content.read(target.subarray(0, fault.bytes ?? bytes), position);
    });
  }

  size(): number {
    return this.#host.machine.operate({ kind: 'size', path: this.path }, () => {
      this.#check('fstat');
      return this.node.content.size;
    });
  }

  /** Simulated files have no holes. */
  allocation(): undefined {
    return undefined;
  }

  truncate(size: number): void {
    const { machine } = this.#host;
    machine.operate({ kind: 'truncate', path: this.path, position: size }, ({ fault, at }) => {
      this.#check('ftruncate', this.#flags !== 'r');
      const growth = size - this.node.content.size;
      if (growth > 0 && this.#host.roomFor(this.node, this.node.content.size, growth) < growth) {
        throw new DiskError('ENOSPC', 'ftruncate', this.path, 'no space left on device');
      }
      if (fault.ignored !== true) this.node.content.truncate(size, at);
      this.node.mtimeMs = machine.nowMs;
    });
  }

  datasync(): void {
    this.#sync('datasync');
  }

  sync(): void {
    this.#sync('sync');
  }

  close(): void {
    const { machine } = this.#host;
    if (this.#isClosed || this.#boot !== machine.counts.boots) return;
    this.#isClosed = true;
    this.#host.forget(this);
    machine.operate({ kind: 'close', path: this.path }, () => {});
  }

  identity(): FileIdentity {
    return this.#host.machine.operate({ kind: 'identity', path: this.path }, () => {
      this.#check('fstat');
      return identityOf(this.node);
    });
  }

  #sync(kind: 'datasync' | 'sync'): void {
    const { machine, failedSync } = this.#host;
    machine.operate({ kind, path: this.path }, ({ fault }) => {
      const syscall = kind === 'sync' ? 'fsync' : 'fdatasync';
      this.#check(syscall);
      machine.counts.fileSyncs += 1;
      machine.passSyncTime();
      // A crash in the middle: the power cut decides what reached the medium.
      if (fault.code !== undefined) this.node.content.failSync(failedSync, machine.random);
      else if (fault.ignored !== true && fault.crash !== true) this.node.content.sync();
      machine.fail(fault, syscall, this.path);
    });
  }

  #check(syscall: string, allowed = true): void {
    const isOpen = !this.#isClosed && this.#boot === this.#host.machine.counts.boots;
    if (!isOpen || !allowed) throw new DiskError('EBADF', syscall, this.path, 'bad file descriptor');
  }
}
