import { type BlockFault, decodeBlock } from '../../blocks/decode-block.js';
import type { BlockCheck } from '../../format/block-check.js';
import { unreadableBlock } from '../errors/unreadable-block.js';

/** For a repair: a block that this Node cannot decode passes, since nothing shows that it is damaged. */
export const checkIfPossible: BlockCheck = (parsed) => faultOf(parsed) !== 'damaged';

/** For `verify`. @throws LogFailure ERR_WAL_UNSUPPORTED for a block that this Node cannot decode */
export function checkEvery(directory: string): BlockCheck {
  return (parsed) => {
    const fault = faultOf(parsed);
    if (fault !== 'no-zstd') return fault === undefined;
    const { lsn } = parsed.frame;
    throw unreadableBlock(fault, `Cannot verify "${directory}"`, { path: directory, lsn, offset: 0 });
  };
}

function faultOf(parsed: Parameters<BlockCheck>[0]): BlockFault | undefined {
  const { block, batchRemaining } = parsed.frame;
  if (block === undefined) return undefined;
  const decoded = decodeBlock(parsed.readData(), { block, batchRemaining });
  return typeof decoded === 'string' ? decoded : undefined;
}
