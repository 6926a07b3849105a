import { checksum } from '../functions/checksum.js';
import { copy } from '../functions/copy.js';
import { encode } from '../functions/encode.js';
import { figures } from '../functions/figures.js';
import { kernel } from '../functions/kernel.js';
import { backup } from './backup.js';
import { compression, incompressible } from './compression.js';
import { durableLatency } from './durable-latency.js';
import { eventLoop } from './event-loop.js';
import { fewInFlight } from './few-in-flight.js';
import { fireAndForget, preallocated, tuned } from './fire-and-forget.js';
import { idle } from './idle.js';
import { durableInFlight, writtenInFlight } from './in-flight.js';
import { lanes } from './lanes.js';
import { manyLogs } from './many-logs.js';
import { manySegments } from './many-segments.js';
import { memory, memoryInFlight } from './memory.js';
import { open } from './open.js';
import { overrun } from './overrun.js';
import { paced } from './paced.js';
import { replay } from './replay.js';
import { scavenges } from './scavenges.js';
import { snapshot } from './snapshot.js';
import { start } from './start.js';
import { tail } from './tail.js';
import { times } from './times.js';
import { verify } from './verify.js';
import type { Workload } from './workload.js';

/** All workloads, in the order of the runs and of the reports. */
export const WORKLOADS: readonly Workload[] = [
  fireAndForget,
  preallocated,
  tuned,
  compression,
  incompressible,
  lanes,
  scavenges,
  durableLatency,
  ...paced,
  tail,
  ...fewInFlight,
  durableInFlight,
  writtenInFlight,
  overrun,
  replay,
  open,
  start,
  manyLogs,
  manySegments,
  times,
  verify,
  backup,
  snapshot,
  eventLoop,
  memory,
  memoryInFlight,
  idle,
  kernel,
  checksum,
  copy,
  encode,
  figures,
];
