import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

/*
 * Node's timers and clock, as they are when the package is loaded.
 *
 * A program may replace them: by the fake timers of a test (sinon, jest, vitest), which run only when the test says so, or by a
 * DOM, whose timers are numbers. A log that looked them up at each call would stop with them. The log's threads and the command
 * have globals of their own.
 *
 * They are taken out of the module by assignment, since its named exports would follow later replacements.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

export const { AbortController } = globalThis;

/** The wall clock, milliseconds since 1970. */
export const wallMs: () => number = Date.now.bind(Date);

/** Milliseconds of a clock that never goes back. */
export const nowMs: () => number = performance.now.bind(performance);
