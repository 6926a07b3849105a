/** `import`, by name, and the target for pino. */

import * as ringwal from 'ringwal';
import { type EntryData, Wal, type WalEntry, type WalError, WalLane, type WalReader } from 'ringwal';
import openPinoTarget, { type PinoTargetOptions } from 'ringwal/pino';
import { type CrashTestReport, crashTest, SimulatedMachine } from 'ringwal/testing';

/** A store is inferred from `boot`, an operation from `draw`. */
export async function crash(): Promise<CrashTestReport> {
  const machine = new SimulatedMachine({ seed: 1, failedSync: 'xfs' });
  const opened: Promise<Wal> = machine.open('./log', { durable: true });
  const text: Promise<string> = machine.fs.promises.readFile('f', 'utf8');
  // @ts-expect-error there is no such operation
  machine.failNext('fsync', 'EIO');
  // @ts-expect-error without a seed nothing can be found again
  console.log(opened, text, new SimulatedMachine({}));
  return crashTest({
    boot: ({ open }) => open('./log'),
    close: (wal) => wal.close(),
    empty: [0],
    draw: (random, number) => ({ n: number + random.below(3) }),
    act: (wal, { n }) => wal.append(String(n)),
    apply: (list, { n }) => [...list, n],
    observe: (wal) => [wal.lastLsn],
  });
}

export async function main(): Promise<void> {
  const wal: ringwal.Wal = await Wal.open(new URL('file:///tmp/log'));
  const entry: WalEntry | undefined = await wal.get(1);
  const data: EntryData = entry?.data ?? '';
  wal.tryAppend(data);
  const reader: WalReader = wal;
  await reader.close();
  const isLane = (lane: unknown): lane is WalLane => lane instanceof WalLane;
  const isError = (error: unknown): error is WalError => error instanceof ringwal.WalError;
  console.log(isLane, isError);

  const options: PinoTargetOptions = { directory: './log', onFull: 'drop', emptyLines: 'skip', maxFiles: 10 };
  (await openPinoTarget(options)).end();
  // @ts-expect-error the directory is what it cannot do without
  await openPinoTarget({ onFull: 'drop' });
  // @ts-expect-error a function does not cross to the transport's thread
  await openPinoTarget({ directory: './log', onError: () => {} });
  // @ts-expect-error there is no default export
  console.log(ringwal.default);
}
