/**
 * `ringwal/testing`: a simulated machine for crash tests of stores that keep their data in a log, and a conformance suite for
 * adapters of replication, with a fake engine.
 *
 * ```js
 * await crashTest({
 *   boot: (machine) => machine.open('./counter'),
 *   empty: 0,
 *   draw: (random, number) => `entry ${number}`,
 *   act: (wal, entry) => wal.append(entry, { durable: true }),
 *   apply: (count) => count + 1,
 *   observe: (wal) => wal.durableLsn,
 * });
 * ```
 *
 * docs/testing-your-store.md explains how to use it.
 *
 * @module ringwal/testing
 */

export type {
  ConnectReplica,
  Replica,
  ReplicaAdapter,
  ReplicaBatch,
  ReplicaContext,
  ReplicaCut,
  ReplicaErrorCode,
  ReplicaHead,
  ReplicaPosition,
  ReplicatedLog,
} from './replica/replica.js';
export { ReplicaError } from './replica/replica.js';
export { type CrashTestOptions, type CrashTestReport, crashTest } from './testing/crash-test.js';
export { CrashTestFailure } from './testing/crash-test-failure.js';
export {
  type FakeLog,
  FakeReplicaEngine,
  type FakeReplicaFaults,
  type FakeReplicaOptions,
} from './testing/fake-replica.js';
export type { FilePath, SimulatedStat } from './testing/file-operations.js';
export {
  type ReplicaCheck,
  type ReplicaConformanceOptions,
  replicaConformance,
} from './testing/replica-conformance.js';
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
