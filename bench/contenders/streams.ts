/**
 * Contenders that write lines to a file and have no entries: no frame, no checksum, no recovery, and no report when
 * an entry is durable. One fsync of the file makes everything durable.
 */
import { once } from 'node:events';
import { closeSync, createWriteStream, fsyncSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Committer, Contender, Sink } from './contender.js';

const HIGH_WATER_MARK = 2 ** 20;

export const writeStream: Contender = {
  name: 'createWriteStream',
  kind: 'peer',
  note: '`highWaterMark` 1 MiB, which serves it better than its default; no frame, no checksum; one fsync at the end',
  openSink: openWriteStream,
  openCommitter: openWriteStreamCommitter,
};

export const sonicBoom: Contender = {
  name: 'sonic-boom',
  package: 'sonic-boom',
  kind: 'peer',
  note: 'text, `minLength` 4,096, asynchronous; no frame, no checksum; one fsync at the end',
  openSink: openSonicBoom,
};

export const pinoTransport: Contender = {
  name: 'pino transport',
  package: 'pino',
  kind: 'peer',
  note: "ready-made lines to `pino.transport` with target `pino/file`, without the logger's own formatting; one fsync at the end",
  openSink: openPinoTransport,
};

async function openWriteStream(directory: string): Promise<Sink> {
  const path = join(directory, 'stream');
  const stream = createWriteStream(path, { highWaterMark: HIGH_WATER_MARK });
  await once(stream, 'open');
  let isFull = false;
  return {
    push(entry, count) {
      for (let taken = 0; taken < count; taken++) {
        if (isFull) return taken;
        isFull = !stream.write(entry);
      }
      return count;
    },
    async room() {
      if (stream.writableNeedDrain) await once(stream, 'drain');
      isFull = false;
    },
    async sync() {
      await new Promise((resolve) => stream.write(Buffer.alloc(0), resolve));
      fsyncFile(path);
    },
    async close() {
      stream.end();
      await once(stream, 'close');
    },
  };
}

async function openWriteStreamCommitter(directory: string): Promise<Committer> {
  const stream = createWriteStream(join(directory, 'stream'), { highWaterMark: HIGH_WATER_MARK });
  await once(stream, 'open');
  return {
    commit: (entry) => new Promise((resolve) => stream.write(entry, resolve)),
    async close() {
      stream.end();
      await once(stream, 'close');
    },
  };
}

async function openSonicBoom(directory: string): Promise<Sink> {
  const path = join(directory, 'sonic');
  const {
    default: { SonicBoom },
  } = await import('sonic-boom');
  const stream = new SonicBoom({ dest: path, sync: false, minLength: 4096 });
  await once(stream, 'ready');
  return lineSink({
    write: (line) => stream.write(line),
    onDrain: (listener) => stream.on('drain', listener),
    // Its own flush ends with an fsync.
    sync: () => promisify(stream.flush).call(stream),
    async close() {
      stream.end();
      await once(stream, 'close');
    },
  });
}

async function openPinoTransport(directory: string): Promise<Sink> {
  const path = join(directory, 'pino');
  const { default: pino } = await import('pino');
  const stream = pino.transport({ target: 'pino/file', options: { destination: path } });
  await once(stream, 'ready');
  let pushedBytes = 0;
  return lineSink({
    write(line) {
      pushedBytes += line.length;
      return stream.write(line);
    },
    onDrain: (listener) => stream.on('drain', listener),
    async sync() {
      // Its flush waits until the thread has taken everything, not until the file has it.
      await promisify(stream.flush).call(stream);
      while (statSync(path).size < pushedBytes) await sleep(1);
      fsyncFile(path);
    },
    async close() {
      stream.end();
      await once(stream, 'close');
    },
  });
}

interface LineStream {
  /** False: full until it drains. */
  write(line: string): boolean;
  onDrain(listener: () => void): void;
  sync(): Promise<void>;
  close(): Promise<void>;
}

function lineSink(stream: LineStream): Sink {
  let line = '';
  let isFull = false;
  let drained = () => {};
  stream.onDrain(() => {
    isFull = false;
    drained();
  });
  return {
    push(entry, count) {
      if (line.length !== entry.length) line = entry.toString('latin1');
      for (let taken = 0; taken < count; taken++) {
        if (isFull) return taken;
        isFull = !stream.write(line);
      }
      return count;
    },
    async room() {
      await new Promise<void>((resolve) => {
        drained = resolve;
        if (!isFull) resolve();
      });
    },
    sync: () => stream.sync(),
    close: () => stream.close(),
  };
}

function fsyncFile(path: string): void {
  const fd = openSync(path, 'r+');
  fsyncSync(fd);
  closeSync(fd);
}
