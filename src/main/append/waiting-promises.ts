import { checkSignal } from '../options/checks.js';
import type { LaneLife } from './lane-life.js';

/**
 * Gets the functions of a new promise. Returns a function that forgets them, or `undefined` if the promise is settled already.
 */
type Start<T> = (resolve: (value: T) => void, reject: (error: unknown) => void) => (() => void) | undefined;

/** Makes the promises of a lane that a signal may abandon: of `ready`, `sync` and commands. Appends are not among them. */
export class WaitingPromises {
  readonly #life: LaneLife;
  readonly #onChange: () => void;

  /** `onChange` is called when a promise begins to wait, and when a signal has abandoned one. */
  constructor(life: LaneLife, onChange: () => void) {
    this.#life = life;
    this.#onChange = onChange;
  }

  create<T>(signal: AbortSignal | undefined, start: Start<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      checkSignal(signal);
      signal?.throwIfAborted();
      this.#life.assertTaking();
      let onAbort = () => {};
      const stopListening = () => signal?.removeEventListener('abort', onAbort);
      const forget = start(
        (value) => {
          stopListening();
          resolve(value);
        },
        (error) => {
          stopListening();
          reject(error);
        },
      );
      onAbort = () => {
        forget?.();
        this.#onChange();
        reject(signal?.reason);
      };
      if (forget !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
      this.#onChange();
    });
  }
}
