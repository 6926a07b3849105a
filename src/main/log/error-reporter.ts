import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import { nowMs, setImmediate } from '../../files/node-globals.js';
import { pause } from '../../files/pause.js';
import type { WalError } from '../errors/wal-error.js';

/** If standard error is a full pipe, its reader has this long to make room. */
const STDERR_WAIT_MS = 1000;

/** Passes on the errors that no promise reports. */
export class ErrorReporter {
  readonly #onError: ((error: WalError) => void) | undefined;
  readonly #publish: (error: WalError) => void;
  #isExiting = false;

  /** `publish` gets each error too, before `onError`. */
  constructor(
    onError: ((error: WalError) => void) | undefined,
    publish: (error: WalError) => void = () => {},
  ) {
    this.#onError = onError;
    this.#publish = publish;
  }

  report(error: WalError): void {
    this.#publish(error);
    if (this.#isExiting) {
      if (this.#onError === undefined) writeToStderr(`${error.stack}\n`);
      else this.#onError(error);
      return;
    }
    if (this.#onError === undefined) process.emitWarning(error);
    else this.#call(this.#onError, error);
  }

  /** The process is exiting: work that is left for a later tick, as warnings are, is not done any more. */
  startExit(): void {
    this.#isExiting = true;
  }

  /** The reporting code is in the middle of other work, which an error of the callback must not interrupt. */
  #call(onError: (error: WalError) => void, error: WalError): void {
    try {
      onError(error);
    } catch (thrown) {
      setImmediate(() => {
        throw thrown;
      });
    }
  }
}

/** Writes synchronously, since the event loop turns no more. Text that is not read within a second is lost with the process. */
function writeToStderr(text: string): void {
  const untilMs = nowMs() + STDERR_WAIT_MS;
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(process.stderr.fd, rest));
    } catch (error) {
      // A pipe that does not block fails with this code when it is full. Any other error cannot be reported any more.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || nowMs() > untilMs) return;
      pause(1);
    }
  }
}
