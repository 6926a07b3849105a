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

/**
 * A log up to this size is read whole before it is written to. That takes about as long as the command takes to
 * start.
 */
const CHECKED_BYTES_MAX = 64 * 2 ** 20;

/**
 * Opens a log for a command that writes to it, and reports what recovery removed.
 *
 * Opening reads no more than it needs, so damage in older segments does not prevent it. The user should know about
 * such damage, so a log that is not large is checked and the damage reported.
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
  // A repair has read the whole log.
  if (damage !== undefined && wal.recovery.repair === undefined) {
    context.warn(`${damage} The command continues, but reading the damaged range fails.`);
    context.error(`  ${howToRepair(shellPath(directory))}`);
  }
  return wal;
}

/** Sentences that describe the damage; `undefined` if there is none, or if the log was not checked. */
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
    // Opening may not have needed the file that cannot be read.
    if (error instanceof WalError && error.code === 'ERR_WAL_IO') return `${tellError(error).message}.`;
    throw error;
  }
}
