import { statSync } from 'node:fs';
import { Wal, WalError, type WalOptions } from '../../index.js';
import { howToRepair, tellError } from '../errors/exit-code.js';
import { listFiles } from '../look/file-listing.js';
import { tellOfRecovery } from '../look/recovery-text.js';
import { describeTrouble } from '../look/verdict-text.js';
import { verifyWithProgress } from '../look/verify-with-progress.js';
import type { Context } from '../terminal/context.js';
import { shellPath } from '../text/shell-path.js';
import { harmless } from '../text/text.js';

/** A log that is no larger is read whole before it is written to, which takes about as long as the command takes to start. */
const CHECKED_BYTES_MAX = 64 * 2 ** 20;

/**
 * Opens a log for a command that writes to it, and says what that took out of it.
 *
 * Opening reads no more than it needs. Damage in older segments does not keep it from working, but who writes to such a log
 * should know: of a log that is not large it is looked for, and told.
 *
 * @throws the error of `Wal.open`
 */
export async function openForWriting(
  context: Context,
  directory: string,
  options: Omit<WalOptions, 'readOnly' | 'signal'> = {},
): Promise<Wal> {
  const damage = await damageIn(context, directory);
  const opening = Wal.open(directory, { ...options, readOnly: false, signal: context.signal });
  const wal = await context.waitFor('opening the log', opening);
  tellOfRecovery(context, wal);
  // A repair has read all of it.
  if (damage !== undefined && wal.recovery.repair === undefined) {
    context.warn(`${damage} The command goes on all the same; reading fails there.`);
    context.error(`  ${howToRepair(shellPath(directory))}`);
  }
  return wal;
}

/** Sentences; `undefined` where there is no damage, or where it was not looked for. */
async function damageIn(context: Context, directory: string): Promise<string | undefined> {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const { segments } = listFiles(directory);
  const total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total === 0 || total > CHECKED_BYTES_MAX) return undefined;
  try {
    const { verdict, trouble } = await verifyWithProgress(context, directory);
    if (verdict !== 'corrupt' || trouble === undefined) return undefined;
    return `"${harmless(directory)}" is damaged. ${describeTrouble(trouble)}`;
  } catch (error) {
    // Opening may not need the file that cannot be read.
    if (error instanceof WalError && error.code === 'ERR_WAL_IO') return `${tellError(error).message}.`;
    throw error;
  }
}
