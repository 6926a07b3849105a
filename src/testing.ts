/**
 * `ringwal/testing`: a simulated machine on which stores that keep their data in a log are crash-tested.
 *
 * ```js
 * await crashTest({
 *   boot: (machine) => Store.open('./data', { open: machine.open, fs: machine.fs.promises }),
 *   empty: new Map(),
 *   draw: (random, number) => ({ key: `k${random.below(5)}`, value: number }),
 *   act: (store, { key, value }) => store.put(key, value),
 *   apply: (map, { key, value }) => map.set(key, value),
 *   observe: (store) => new Map(store.entries()),
 * });
 * ```
 *
 * docs/testing-your-store.md says how to go about it.
 *
 * @module ringwal/testing
 */
export { type CrashTestOptions, type CrashTestReport, crashTest } from './testing/crash-test.js';
export { CrashTestFailure } from './testing/crash-test-failure.js';
export type { FilePath, SimulatedStat } from './testing/file-operations.js';
export type { CrashTestFault, CrashTestRandom } from './testing/script.js';
export type {
  ReadFileOptions,
  SimulatedFileHandle,
  SimulatedFs,
  SimulatedPromises,
  WriteFileOptions,
} from './testing/simulated-fs.js';
export {
  type CrashKind,
  type DiskOperation,
  type FaultScope,
  type SimulatedDamage,
  SimulatedMachine,
  type SimulatedMachineOptions,
} from './testing/simulated-machine.js';
