import { setImmediate } from '../../files/node-globals.js';

const settled = Promise.resolve();

/**
 * Calls `callback` after the running code has returned. An error that it throws becomes an uncaught exception.
 *
 * A promise makes the call, not `process.nextTick` or a timer: fake timers (`jest.useFakeTimers()`, sinon's) replace
 * those, even before this module loads, and no test advances their clock for a log. No fake timers replace promises.
 */
export function callSoon<T extends unknown[]>(callback: (...args: T) => void, ...args: T): void {
  settled.then(() => {
    try {
      callback(...args);
    } catch (error) {
      callNextTurn(() => {
        throw error;
      });
    }
  });
}

/** Calls `callback` in the next turn of the event loop. An error that it throws becomes an uncaught exception. */
export function callNextTurn(callback: () => void): void {
  setImmediate(callback);
}
