import { basename } from 'node:path';
import type { Wal } from '../../index.js';
import type { Context } from '../terminal/context.js';
import { bytes, integer, plural } from '../text/text.js';

/** Tells the user what recovery removed when a command opened the log for writing. */
export function tellOfRecovery(context: Context, { recovery }: Wal): void {
  const { cut, repair, lastLsn } = recovery;
  if (cut !== undefined) {
    const kept = cut.sideFiles.map((path) => basename(path)).join(', ');
    context.error(
      `An interrupted write was cut off after entry ${integer(lastLsn)}: ${bytes(cut.bytes)}, kept in ${kept}.`,
    );
  }
  if (repair !== undefined) {
    context.error(
      `The log was corrupt, and was repaired (${repair.mode}): ${plural(repair.lostLsns, 'entry', 'entries')} of it ${repair.lostLsns === 1 ? 'is' : 'are'} gone, the last one kept is ${integer(repair.lastLsn)}.`,
    );
  }
}
