import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DiskError, isOutOfDescriptors, systemCode } from './disk.js';
import { loadModule, resolveModule } from './package-modules.js';

/** The system's locks on a range of a file's bytes. Node itself has none: an addon provides them. */
export interface NativeLocks {
  /** False: a conflicting lock is held. @throws the system's error */
  tryLock(fd: number, offset: number, length: number, options: { shared: boolean }): boolean;
  unlock(fd: number, offset: number, length: number): void;
}

/** The exports of the addon's binary. The JavaScript of its package wraps them as [NativeLocks]. */
interface Binding {
  /** @throws EAGAIN while a conflicting lock is held */
  tryLock(fd: number, offset: number, length: number, isExclusive: boolean): void;
  unlock(fd: number, offset: number, length: number): void;
}

const PACKAGE = 'fs-native-extensions';

let loaded: NativeLocks | undefined;

/**
 * Loads the addon when the first lock is taken, not at import: if the package has no binary for the platform, reading a log still
 * works.
 *
 * @param path the file to lock, for the error
 * @throws ENOTSUP: there is no binary for this platform, or it does not load; EMFILE, ENFILE: no descriptor is free
 */
export function nativeLocks(path: string): NativeLocks {
  loaded ??= load(path);
  return loaded;
}

function load(path: string): NativeLocks {
  try {
    return loadModule(PACKAGE) as NativeLocks;
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    // The code of the package's loader if it finds no binary for the platform.
    const isMissing = systemCode(error) === 'ADDON_NOT_FOUND';
    const file = isMissing ? glibcBinary() : undefined;
    if (file === undefined)
      throw unsupported(path, isMissing ? 'has no build for' : 'does not load on', '', error);
    try {
      return locksOf(loadModule(file) as Binding);
    } catch (second) {
      if (isOutOfDescriptors(second)) throw second;
      throw unsupported(path, 'has no build for', ', and the one for glibc does not load', second);
    }
  }
}

/**
 * The addon's build for Linux with glibc. On Alpine, whose C library is musl, the package's loader looks for a build named for
 * musl, and the package has none. The glibc build works there as well: it needs a libc named `libc.so.6`, which musl's loader
 * takes for itself, and a dozen of its functions, which musl has too (test/files/musl.test.ts). So the lock is the same, and
 * processes of both C libraries that share a directory exclude each other.
 *
 * The locks of `node:sqlite`, which need no addon, are no substitute. They belong to the process: the system drops them as soon
 * as any descriptor of the file is closed anywhere in the process, for example by code that copies the directory.
 */
function glibcBinary(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const folder = `${process.platform}-${process.arch}`;
  const file = join(dirname(resolveModule(PACKAGE)), 'prebuilds', folder, `${PACKAGE}.node`);
  return existsSync(file) ? file : undefined;
}

function locksOf(binding: Binding): NativeLocks {
  return {
    tryLock(fd, offset, length, { shared }) {
      try {
        binding.tryLock(fd, offset, length, !shared);
        return true;
      } catch (error) {
        if (systemCode(error) === 'EAGAIN') return false;
        throw error;
      }
    },
    unlock: (fd, offset, length) => binding.unlock(fd, offset, length),
  };
}

/** ENOTSUP: the addon `lacks`, a verb, this platform; `more` explains that before the reason, which is `cause`. */
function unsupported(path: string, lacks: string, more: string, cause: unknown): DiskError {
  const isOnMusl = isMusl();
  const platform = `${process.platform}-${process.arch}${isOnMusl ? ' with musl (Alpine)' : ''}`;
  // The rest of a "cannot find" message is a list of files.
  const reason = (cause as Error).message.split('\n', 1)[0] as string;
  const wayOut = isOnMusl
    ? '. To write, run where the C library is glibc (Debian); reading needs no lock'
    : '';
  const error = new DiskError(
    'ENOTSUP',
    'lock',
    path,
    `${PACKAGE} ${lacks} ${platform}${more}: ${reason}${wayOut}`,
  );
  error.cause = cause;
  return error;
}

/** Only glibc reports its version, of all C libraries on Linux. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header !== undefined && header.glibcVersionRuntime === undefined;
}
