import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

/*
 * What Node gives to every program, as it is when the package is loaded.
 *
 * A program may put others in their place: the fake timers of a test (sinon, jest, vitest), which run only when the test says so; a DOM, whose
 * timers are numbers. A log that looked for them at each call would stop with them. The threads of the log and the command have
 * their globals to themselves.
 *
 * Taken out of the module by assignment: its named exports would follow what is put into it.
 */
export const { setInterval, clearInterval, setImmediate, clearImmediate } = timers;

export const { AbortController } = globalThis;

/** Milliseconds of a clock that never goes back. */
export const nowMs: () => number = performance.now.bind(performance);
