import { DiskError } from '../files/disk.js';
import { WalError } from '../index.js';
import type { Boot } from './boot.js';
import {
  bytesOf,
  close,
  type FilePath,
  type Handle,
  list,
  makeDirectory,
  open,
  pathOf,
  read,
  readAll,
  remove,
  rename,
  runLater,
  runNow,
  type SimulatedStat,
  type Steps,
  size,
  stat,
  sync,
  truncate,
  using,
  write,
  writeAll,
} from './file-operations.js';

/** Options of reads of a whole file. A string is the encoding; with one the file is text. */
export type ReadFileOptions =
  | BufferEncoding
  | {
      /** The encoding: the file is text. */
      encoding?: BufferEncoding | null;
      /**
       * As in {@link SimulatedPromises.open}.
       *
       * @defaultValue `'r'`
       */
      flag?: string;
    }
  | null;

/** Options of writes of a whole file. A string is the encoding. */
export type WriteFileOptions =
  | BufferEncoding
  | {
      /**
       * The encoding if `data` is text.
       *
       * @defaultValue `'utf8'`
       */
      encoding?: BufferEncoding | null;
      /** As in {@link SimulatedPromises.open}. Default: `'w'` to write, `'a'` to append. */
      flag?: string;
      /** Ignored. */
      mode?: number;
      /**
       * Whether the file is synced before it is closed: its bytes, not its name.
       *
       * @defaultValue `false`
       */
      flush?: boolean;
    };

/**
 * An open file or directory, as {@link SimulatedPromises.open} returns it, with the methods of Node's `FileHandle` that a store
 * needs. For a directory (opened with `'r'`) only `sync` and `close` work.
 */
export interface SimulatedFileHandle {
  /**
   * One read, which may be short. If `position` is `null` or missing, it reads on from the end of the last read. 0 bytes read:
   * the end.
   */
  read(
    buffer: Uint8Array,
    offset?: number,
    length?: number,
    position?: number | null,
  ): Promise<{
    /** 0: the end. */
    bytesRead: number;
    /** The buffer that was passed. */
    buffer: Uint8Array;
  }>;
  /** One write, which may be short. For text `offset` is the position. */
  write(
    data: string | Uint8Array,
    offset?: number,
    length?: number,
    position?: number | null,
  ): Promise<{
    /** May be fewer bytes than were passed. */
    bytesWritten: number;
    /** The data that was passed. */
    buffer: string | Uint8Array;
  }>;
  /** Reads the rest of the file. */
  readFile(options?: ReadFileOptions): Promise<Buffer | string>;
  /** Writes all of `data`, from the end of the last write on. */
  writeFile(data: string | ArrayBufferView): Promise<void>;
  /** As `writeFile`. */
  appendFile(data: string | ArrayBufferView): Promise<void>;
  /** Makes the file's bytes and size durable, or a directory's names. */
  sync(): Promise<void>;
  /** As `sync`. */
  datasync(): Promise<void>;
  /** Cuts the file, or lengthens it with zeros. Default: 0 bytes. */
  truncate(bytes?: number): Promise<void>;
  /** Returns the file's type, size and times. */
  stat(): Promise<SimulatedStat>;
  /** Closes the handle. Syncs nothing. */
  close(): Promise<void>;
  /** For `await using`: calls `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The part of `node:fs/promises` that a store needs, on the simulated disk. Each system call takes time, by the machine's clock,
 * and a power cut may come between two calls: `writeFile` is an open, a write and a close.
 *
 * Errors are the system's, with its codes. A promise of an earlier boot stays pending.
 */
export interface SimulatedPromises {
  /**
   * Opens a file, or a directory with `'r'`. Flags: `r`, `r+`, `w`, `w+`, `wx`, `wx+`, `a`, `a+`, `ax`, `ax+`. The simulated disk
   * has no permissions: `mode` is ignored, here and elsewhere.
   */
  open(path: FilePath, flags?: string, mode?: number): Promise<SimulatedFileHandle>;
  /** Reads a whole file: bytes, or text with an encoding. */
  readFile(path: FilePath, options: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  /** Reads a whole file as bytes. */
  readFile(path: FilePath, options?: ReadFileOptions): Promise<Buffer>;
  /** Creates or replaces a file. Not durable, and not atomic. */
  writeFile(path: FilePath, data: string | ArrayBufferView, options?: WriteFileOptions): Promise<void>;
  /** Writes at the end of a file, which is created if it is missing. */
  appendFile(path: FilePath, data: string | ArrayBufferView, options?: WriteFileOptions): Promise<void>;
  /** Creates a directory; its name is durable once its parent is synced. */
  mkdir(path: FilePath, options?: { recursive?: boolean; mode?: number }): Promise<string | undefined>;
  /** Returns the names in a directory, in any order. */
  readdir(path: FilePath): Promise<string[]>;
  /** Renames a file. Atomic; durable once the directory is synced. */
  rename(from: FilePath, to: FilePath): Promise<void>;
  /** Removes a file's name; durable once the directory is synced. */
  unlink(path: FilePath): Promise<void>;
  /** As `unlink`; with `force` a missing file is not an error. Removes no directory. */
  rm(path: FilePath, options?: { force?: boolean }): Promise<void>;
  /** Returns type, size and times of the file with a name. */
  stat(path: FilePath): Promise<SimulatedStat>;
  /** Rejects with `ENOENT` if the name does not exist. */
  access(path: FilePath): Promise<void>;
  /** Cuts a file, or lengthens it with zeros. Default: 0 bytes. */
  truncate(path: FilePath, bytes?: number): Promise<void>;
}

/**
 * The files of a simulated machine, in the shape of `node:fs`: the synchronous calls that a store needs, and in `promises` those
 * of `node:fs/promises`. Paths are as in the real process: relative paths begin at its working directory. That directory and the
 * system's directory for temporary files exist.
 *
 * It belongs to one boot: after a crash {@link SimulatedMachine.fs} returns a new one. Calls of an earlier one throw
 * `ERR_SIMULATED_CRASH`, or stay pending.
 */
export class SimulatedFs {
  /** The calls that return promises. */
  readonly promises: SimulatedPromises;
  readonly #boot: Boot;
  readonly #handles = new Map<number, Handle>();
  /** As in a process: 0 to 2 are taken. */
  #nextDescriptor = 3;

  /** @internal Use `machine.fs`. */
  constructor(boot: Boot) {
    this.#boot = boot;
    this.promises = createPromises(boot);
  }

  /** Opens a file, or a directory with `'r'`; returns a descriptor. Flags as in {@link SimulatedPromises.open}. */
  openSync(path: FilePath, flags = 'r', _mode?: number): number {
    const handle = this.#now(() => open(this.#boot.disk, pathOf(path), flags));
    const descriptor = this.#nextDescriptor++;
    this.#handles.set(descriptor, handle);
    return descriptor;
  }

  /** Closes a descriptor. Syncs nothing. */
  closeSync(descriptor: number): void {
    const handle = this.#handle(descriptor, 'close');
    this.#handles.delete(descriptor);
    this.#now(() => close(handle));
  }

  /** One read, which may be short. Returns the bytes read, 0 at the end. */
  readSync(
    descriptor: number,
    buffer: Uint8Array,
    offset = 0,
    length = buffer.length - offset,
    position: number | null = null,
  ): number {
    const target = buffer.subarray(offset, offset + length);
    return this.#now(() => read(this.#handle(descriptor, 'read'), target, position));
  }

  /** One write, which may be short. Returns the bytes written. For text `offset` is the position. */
  writeSync(
    descriptor: number,
    data: string | Uint8Array,
    offset?: number | null,
    length?: number,
    position: number | null = null,
  ): number {
    const part = partOf(data, offset ?? undefined, length, position);
    return this.#now(() => write(this.#handle(descriptor, 'write'), part.bytes, part.position));
  }

  /** Makes a file's bytes and size durable, or a directory's names. */
  fsyncSync(descriptor: number): void {
    this.#now(() => sync(this.#boot.disk, this.#handle(descriptor, 'fsync'), 'sync'));
  }

  /** As `fsyncSync`. */
  fdatasyncSync(descriptor: number): void {
    this.#now(() => sync(this.#boot.disk, this.#handle(descriptor, 'fdatasync'), 'datasync'));
  }

  /** Cuts a file, or lengthens it with zeros. Default: 0 bytes. */
  ftruncateSync(descriptor: number, bytes = 0): void {
    this.#now(() => truncate(this.#handle(descriptor, 'ftruncate'), bytes));
  }

  /** Reads a whole file: bytes, or text with an encoding. */
  readFileSync(path: FilePath, options: BufferEncoding | { encoding: BufferEncoding }): string;
  /** Reads a whole file as bytes. */
  readFileSync(path: FilePath, options?: ReadFileOptions): Buffer;
  readFileSync(path: FilePath, options: ReadFileOptions = null): Buffer | string {
    return decoded(
      this.#now(() => readFile(this.#boot, path, options)),
      options,
    );
  }

  /** Creates or replaces a file. Not durable, and not atomic. */
  writeFileSync(path: FilePath, data: string | ArrayBufferView, options: WriteFileOptions = {}): void {
    this.#now(() => writeFile(this.#boot, path, data, options, 'w'));
  }

  /** Writes at the end of a file, which is created if it is missing. */
  appendFileSync(path: FilePath, data: string | ArrayBufferView, options: WriteFileOptions = {}): void {
    this.#now(() => writeFile(this.#boot, path, data, options, 'a'));
  }

  /** Creates a directory; its name is durable once its parent is synced. */
  mkdirSync(path: FilePath, options: { recursive?: boolean; mode?: number } = {}): string | undefined {
    checkKnown('mkdir', options, ['recursive', 'mode']);
    return this.#now(() => makeDirectory(this.#boot.disk, pathOf(path), options.recursive === true));
  }

  /** Returns the names in a directory, in any order. */
  readdirSync(path: FilePath): string[] {
    return this.#now(() => list(this.#boot.disk, pathOf(path)));
  }

  /** Renames a file. Atomic; durable once the directory is synced. */
  renameSync(from: FilePath, to: FilePath): void {
    this.#now(() => rename(this.#boot.disk, pathOf(from), pathOf(to)));
  }

  /** Removes a file's name; durable once the directory is synced. */
  unlinkSync(path: FilePath): void {
    this.#now(() => remove(this.#boot.disk, pathOf(path), false));
  }

  /** As `unlinkSync`; with `force` a missing file is not an error. Removes no directory. */
  rmSync(path: FilePath, options: { force?: boolean } = {}): void {
    checkKnown('rm', options, ['force']);
    this.#now(() => remove(this.#boot.disk, pathOf(path), options.force === true));
  }

  /** Returns type, size and times of the file with a name. */
  statSync(path: FilePath): SimulatedStat {
    return this.#now(() => existing(this.#boot, path, 'stat'));
  }

  /** Returns whether the name exists. */
  existsSync(path: FilePath): boolean {
    return this.#now(() => stat(this.#boot.disk, pathOf(path))) !== undefined;
  }

  /** Cuts a file, or lengthens it with zeros. Default: 0 bytes. */
  truncateSync(path: FilePath, bytes = 0): void {
    this.#now(() => truncateFile(this.#boot, path, bytes));
  }

  #handle(descriptor: number, syscall: string): Handle {
    const handle = this.#handles.get(descriptor);
    if (handle === undefined)
      throw new DiskError('EBADF', syscall, String(descriptor), 'bad file descriptor');
    return handle;
  }

  #now<T>(steps: () => Steps<T>): T {
    this.#boot.assertRunning();
    return runNow(steps());
  }
}

function createPromises(boot: Boot): SimulatedPromises {
  const { disk } = boot;
  const run = async <T>(steps: () => Steps<T>): Promise<T> => runLater(steps(), (each) => boot.later(each));
  return {
    open: async (path, flags = 'r') => createHandle(boot, await run(() => open(disk, pathOf(path), flags))),
    readFile: (async (path: FilePath, options: ReadFileOptions = null) =>
      decoded(await run(() => readFile(boot, path, options)), options)) as SimulatedPromises['readFile'],
    writeFile: (path, data, options = {}) => run(() => writeFile(boot, path, data, options, 'w')),
    appendFile: (path, data, options = {}) => run(() => writeFile(boot, path, data, options, 'a')),
    mkdir: async (path, options = {}) => {
      checkKnown('mkdir', options, ['recursive', 'mode']);
      return run(() => makeDirectory(disk, pathOf(path), options.recursive === true));
    },
    readdir: (path) => run(() => list(disk, pathOf(path))),
    rename: (from, to) => run(() => rename(disk, pathOf(from), pathOf(to))),
    unlink: (path) => run(() => remove(disk, pathOf(path), false)),
    rm: async (path, options = {}) => {
      checkKnown('rm', options, ['force']);
      return run(() => remove(disk, pathOf(path), options.force === true));
    },
    stat: (path) => run(() => existing(boot, path, 'stat')),
    access: async (path) => {
      await run(() => existing(boot, path, 'access'));
    },
    truncate: (path, bytes = 0) => run(() => truncateFile(boot, path, bytes)),
  };
}

function createHandle(boot: Boot, handle: Handle): SimulatedFileHandle {
  const run = async <T>(steps: () => Steps<T>): Promise<T> => runLater(steps(), (each) => boot.later(each));
  const closeHandle = () => run(() => close(handle));
  return {
    async read(buffer, offset = 0, length = buffer.length - offset, position = null) {
      const bytesRead = await run(() => read(handle, buffer.subarray(offset, offset + length), position));
      return { bytesRead, buffer };
    },
    async write(data, offset, length, position = null) {
      const part = partOf(data, offset, length, position);
      return { bytesWritten: await run(() => write(handle, part.bytes, part.position)), buffer: data };
    },
    readFile: async (options = null) => decoded(await run(() => readAll(handle)), options),
    writeFile: (data) => run(() => writeAll(handle, bytesOf(data))),
    appendFile: (data) => run(() => writeAll(handle, bytesOf(data))),
    sync: () => run(() => sync(boot.disk, handle, 'sync')),
    datasync: () => run(() => sync(boot.disk, handle, 'datasync')),
    truncate: (bytes = 0) => run(() => truncate(handle, bytes)),
    async stat() {
      if (handle.file === undefined) return run(() => existing(boot, handle.path, 'fstat'));
      const bytes = await run(() => size(handle));
      return { ...(await run(() => existing(boot, handle.path, 'fstat'))), size: bytes };
    },
    close: closeHandle,
    [Symbol.asyncDispose]: closeHandle,
  };
}

function readFile(boot: Boot, path: FilePath, options: ReadFileOptions): Steps<Buffer> {
  if (typeof options === 'object' && options !== null) checkKnown('readFile', options, ['encoding', 'flag']);
  const flag = (typeof options === 'object' ? options?.flag : undefined) ?? 'r';
  return using(open(boot.disk, pathOf(path), flag), readAll);
}

function writeFile(
  boot: Boot,
  path: FilePath,
  data: string | ArrayBufferView,
  options: WriteFileOptions,
  defaultFlag: string,
): Steps<void> {
  const given = typeof options === 'string' ? { encoding: options } : options;
  checkKnown('writeFile', given, ['encoding', 'flag', 'mode', 'flush']);
  const { encoding, flag = defaultFlag, flush = false } = given as Exclude<WriteFileOptions, string>;
  const bytes = typeof data === 'string' ? Buffer.from(data, encoding ?? 'utf8') : bytesOf(data);
  return using(open(boot.disk, pathOf(path), flag), function* (handle) {
    yield* writeAll(handle, bytes);
    if (flush) yield* sync(boot.disk, handle, 'sync');
  });
}

function truncateFile(boot: Boot, path: FilePath, bytes: number): Steps<void> {
  return using(open(boot.disk, pathOf(path), 'r+'), (handle) => truncate(handle, bytes));
}

function* existing(boot: Boot, path: FilePath, syscall: string): Steps<SimulatedStat> {
  const found = yield* stat(boot.disk, pathOf(path));
  if (found === undefined) throw new DiskError('ENOENT', syscall, pathOf(path), 'no such file or directory');
  return found;
}

function decoded(bytes: Buffer, options: ReadFileOptions): Buffer | string {
  const encoding = typeof options === 'string' ? options : options?.encoding;
  return encoding == null ? bytes : bytes.toString(encoding);
}

/** Resolves the arguments of a write: for bytes a part of them, for text the position. */
function partOf(
  data: string | Uint8Array,
  offset: number | undefined,
  length: number | undefined,
  position: number | null,
): { readonly bytes: Uint8Array; readonly position: number | null } {
  if (typeof data === 'string') return { bytes: bytesOf(data), position: offset ?? null };
  const from = offset ?? 0;
  return { bytes: data.subarray(from, from + (length ?? data.length - from)), position };
}

/** An option that the simulated disk does not support must not be ignored silently. */
function checkKnown(operation: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new WalError(
    'ERR_WAL_OPTION',
    `The simulated ${operation} does not know the option ${unknown}. Known: ${known.join(', ')}.`,
  );
}
