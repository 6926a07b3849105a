import { betterSqlite3 } from './better-sqlite3.js';
import { classicLevel } from './classic-level.js';
import type { Contender } from './contender.js';
import { fsPromises } from './fs-promises.js';
import { lmdb } from './lmdb.js';
import { noLog } from './no-log.js';
import { rawAppend, rawBlocks, rawOtherThread, rawRead, rawRewrite } from './raw.js';
import {
  ringwal,
  ringwalBusyPoll,
  ringwalGrowing,
  ringwalLz4,
  ringwalRecycle,
  ringwalReopened,
  ringwalTuned,
  ringwalZero,
  ringwalZstd,
} from './ringwal.js';
import { ringwalLanes } from './ringwal-lanes.js';
import { pinoTransport, sonicBoom, writeStream } from './streams.js';

/** All contenders, in the order of the reports. */
export const CONTENDERS: readonly Contender[] = [
  ringwal,
  ringwalGrowing,
  ringwalLz4,
  ringwalZstd,
  ringwalZero,
  ringwalBusyPoll,
  ringwalRecycle,
  ringwalReopened,
  ...ringwalTuned,
  ...ringwalLanes,
  rawBlocks,
  rawRewrite,
  rawOtherThread,
  rawAppend,
  rawRead,
  noLog,
  writeStream,
  pinoTransport,
  sonicBoom,
  lmdb,
  classicLevel,
  betterSqlite3,
  fsPromises,
];

export function contenderNamed(name: string): Contender | undefined {
  return CONTENDERS.find((contender) => contender.name === name);
}
