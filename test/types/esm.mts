/** `import`, by name, and the target for pino. */

import * as ringwal from 'ringwal';
import { type EntryData, Wal, type WalEntry, type WalError, WalLane, type WalReader } from 'ringwal';
import openPinoTarget, { type PinoTargetOptions } from 'ringwal/pino';

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
