import timers from 'node:timers';

// Bound when this module loads, and not the global one: jsdom has none, and fake timers replace it.
const { setImmediate } = timers;
const settled = Promise.resolve();

/**
 * Calls `callback` once the code that runs now has returned. What it throws is an uncaught exception.
 *
 * The reaction of a promise carries the call, and not `process.nextTick` or a timer: fake timers (`jest.useFakeTimers()`, sinon's) replace those,
 * also before this module loads, and nobody would advance their clock for a log. No fake timers replace the reactions of promises.
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

/** Calls `callback` in the next turn of the event loop. What it throws is an uncaught exception. */
export function callNextTurn(callback: () => void): void {
  setImmediate(callback);
}
