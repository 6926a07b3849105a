import { type BigIntStats, close, closeSync, constants, fstat, fstatSync, open, openSync } from 'node:fs';
import { type FileIdentity, IrregularFile, systemCode } from './disk.js';

/**
 * Every file of a log is opened here. What bears the name of one may be anything: to open a FIFO waits for somebody at its
 * other end, which no signal and no exit of the process ends, and a device has no end. So nothing is waited for, and what is no
 * regular file is refused. A symbolic link counts as what it leads to, where the flags let one be followed.
 *
 * `O_NONBLOCK` changes nothing for a regular file; `O_NOCTTY`: a terminal does not become the process's. Windows has neither,
 * and no FIFO among its files.
 */
const AT_ONCE = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** What the system says of a FIFO that nobody reads, and of a socket. */
const UNOPENABLE: readonly string[] = ['ENXIO', 'EOPNOTSUPP', 'ENODEV'];

export interface OpenedFile {
  readonly fd: number;
  readonly identity: FileIdentity;
  /** Bytes, at this moment. */
  readonly size: number;
}

/** @throws IrregularFile; as `openSync` */
export function openRegularFile(path: string, flags: number, mode?: number): OpenedFile {
  let fd: number;
  try {
    fd = openSync(path, flags | AT_ONCE, mode);
  } catch (error) {
    throw refused(path, error);
  }
  try {
    return opened(fd, path, fstatSync(fd, { bigint: true }));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** As [openRegularFile], for reading, without blocking the calling thread. */
export function openRegularFileAside(path: string): Promise<OpenedFile> {
  return new Promise((resolve, reject) => {
    open(path, constants.O_RDONLY | AT_ONCE, (refusal, fd) => {
      if (refusal !== null) {
        reject(refused(path, refusal));
        return;
      }
      fstat(fd, { bigint: true }, (failure, stats) => {
        try {
          if (failure !== null) throw failure;
          resolve(opened(fd, path, stats));
        } catch (error) {
          close(fd, () => reject(error));
        }
      });
    });
  });
}

/** A descriptor of a directory. @throws ENOTDIR; as `openSync` */
export function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | AT_ONCE);
}

function opened(fd: number, path: string, stats: BigIntStats): OpenedFile {
  if (!stats.isFile()) throw new IrregularFile(path, kindOf(stats));
  return { fd, identity: { dev: stats.dev, ino: stats.ino }, size: Number(stats.size) };
}

function kindOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFIFO()) return 'FIFO';
  return stats.isSocket() ? 'socket' : 'device';
}

function refused(path: string, error: unknown): unknown {
  const code = systemCode(error);
  if (code === 'EISDIR') return new IrregularFile(path, 'directory');
  return UNOPENABLE.includes(code) ? new IrregularFile(path, 'FIFO, socket or device') : error;
}
