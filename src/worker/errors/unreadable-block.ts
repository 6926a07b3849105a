import { type BlockFault, NO_ZSTD, NO_ZSTD_WAY_OUT } from '../../blocks/decode-block.js';
import { LogFailure } from './failure.js';

/** The failure of a job that needs the entries of a block. `doing`: the beginning of a sentence, "Cannot …". */
export function unreadableBlock(
  fault: BlockFault,
  doing: string,
  place: { readonly path: string; readonly offset: number; readonly lsn: number },
): LogFailure {
  const { path, offset, lsn } = place;
  const where = `the block of entry ${lsn} in "${path}" at byte ${offset}`;
  return fault === 'no-zstd'
    ? new LogFailure('ERR_WAL_UNSUPPORTED', `${doing}: ${where}: ${NO_ZSTD}. ${NO_ZSTD_WAY_OUT}`, place)
    : new LogFailure(
        'ERR_WAL_CORRUPT',
        `${doing}: ${where} cannot be read: its content is damaged. Wal.repair with dryRun says what can be kept.`,
        place,
      );
}
