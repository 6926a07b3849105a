import { type BigIntStats, close, closeSync, constants, fstat, fstatSync, open, openSync } from 'node:fs';
import { type FileIdentity, IrregularFile, systemCode } from './disk.js';

/**
 * Opens every file of a log. The name of a log's file may lead to anything: opening a FIFO waits for a process at its other end,
 * which no signal and no exit of this process ends, and reading a device may never end. So opening never waits, and anything but
 * a regular file is refused. A symbolic link counts as its target, if the flags allow following it.
 *
 * `O_NONBLOCK` changes nothing for a regular file; `O_NOCTTY` keeps a terminal from becoming the process's. Windows has neither,
 * and no FIFO among its files.
 */
const AT_ONCE = (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** The system's codes for a FIFO that no process reads, and for a socket. */
const UNOPENABLE: readonly string[] = ['ENXIO', 'EOPNOTSUPP', 'ENODEV'];

export interface OpenedFile {
  readonly fd: number;
  readonly identity: FileIdentity;
  /** The size in bytes at this moment. */
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

/** Opens a directory and returns its descriptor. @throws ENOTDIR; as `openSync` */
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
