/** `require`, as TypeScript writes it in CommonJS, and `import` in CommonJS. */
import type { WalEntry } from 'ringwal';

import ringwal = require('ringwal');
import openPinoTarget = require('ringwal/pino');
import testing = require('ringwal/testing');

const { Wal, WalError, WalLane, WalReader } = ringwal;

export async function main(): Promise<WalEntry | undefined> {
  const wal: ringwal.Wal = await Wal.open('./log', { durable: true });
  const options: ringwal.WalOptions = {};
  console.log(new testing.SimulatedMachine({ seed: 1 }).boots, testing.crashTest, testing.CrashTestFailure);
  console.log(WalLane, WalReader, new WalError('ERR_WAL_FULL', 'full').code, options);
  (await openPinoTarget.default({ directory: './log' })).end();
  return wal.get(1);
}
