import { WalError } from '../index.js';
import type { SnapshotJobs, SnapshotSink } from '../main/jobs/snapshot-jobs.js';
import { snapshotLsns } from '../worker/directory/snapshot-listing.js';
import { failureOf } from '../worker/errors/failure.js';
import { checkSnapshot } from '../worker/snapshot/check-snapshot.js';
import { type BegunSnapshot, beginSnapshot, removeSnapshotFiles } from '../worker/snapshot/snapshot-jobs.js';
import type { Boot } from './boot.js';

/** The jobs about snapshots on a simulated machine: the code of the real ones, each call an event of the machine's timeline. */
export function simulatedSnapshotJobs(boot: Boot): SnapshotJobs {
  const run = <T>(directory: string, doing: string, act: () => T): Promise<T> =>
    boot.later(() => {
      try {
        return act();
      } catch (error) {
        const { code, message, path, lsn, cause } = failureOf(error, `${doing} "${directory}"`, directory);
        const system = cause && Object.assign(new Error(cause.message), cause);
        throw new WalError(code, message, { path, lsn, cause: system });
      }
    });
  return {
    write: async (request) => {
      const { directory } = request;
      const step = <T>(act: () => T) => run(directory, 'write a snapshot of', act);
      return new SteppedSink(await step(() => beginSnapshot(boot.disk, request)), step);
    },
    find: (directory) => run(directory, 'read', () => snapshotLsns(boot.disk.list(directory))),
    verify: (request) =>
      run(request.directory, 'read a snapshot of', () => checkSnapshot(boot.disk, request)),
    remove: (request) =>
      run(request.directory, 'remove snapshots of', () => removeSnapshotFiles(boot.disk, request)),
  };
}

/** Carries the calls out in order, however long each takes. */
class SteppedSink implements SnapshotSink {
  readonly #begun: BegunSnapshot;
  readonly #step: <T>(act: () => T) => Promise<T>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(begun: BegunSnapshot, step: <T>(act: () => T) => Promise<T>) {
    this.#begun = begun;
    this.#step = step;
  }

  write(buffer: ArrayBuffer, dataBytes: number): Promise<ArrayBuffer> {
    return this.#inTurn(() => {
      const { writer } = this.#begun;
      if (writer.isSyncDue) writer.sync();
      writer.write(new Uint8Array(buffer), dataBytes);
      return buffer;
    });
  }

  finish(): ReturnType<SnapshotSink['finish']> {
    return this.#inTurn(() => this.#begun.finish());
  }

  abort(): Promise<void> {
    return this.#inTurn(() => this.#begun.writer.abort());
  }

  close(): void {}

  #inTurn<T>(act: () => T): Promise<T> {
    const step = () => this.#step(act);
    const done = this.#last.then(step, step);
    this.#last = done.catch(() => {
      // The caller has it.
    });
    return done;
  }
}
