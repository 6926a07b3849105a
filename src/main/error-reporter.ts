import { writeSync } from 'node:fs';
import type { WalError } from './wal-error.js';

/** Passes on what no promise tells. */
export class ErrorReporter {
  readonly #onError: ((error: WalError) => void) | undefined;
  readonly #publish: (error: WalError) => void;
  #isExiting = false;

  /** `publish` hears of each error too, before `onError`. */
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
      if (this.#onError === undefined) writeSync(process.stderr.fd, `${error.stack}\n`);
      else this.#onError(error);
      return;
    }
    if (this.#onError === undefined) process.emitWarning(error);
    else this.#call(this.#onError, error);
  }

  /** The process is exiting: what is left for a later tick, as warnings are, does not come any more. */
  startExit(): void {
    this.#isExiting = true;
  }

  /** Who reports is in the middle of something, which an error of the callback must not interrupt. */
  #call(onError: (error: WalError) => void, error: WalError): void {
    try {
      onError(error);
    } catch (thrown) {
      process.nextTick(() => {
        throw thrown;
      });
    }
  }
}
