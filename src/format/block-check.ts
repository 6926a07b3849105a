import type { Frame } from './frame.js';

/**
 * Is the content of a block what its frame says? A walk that is given such a check ends at the first block of which it is not, as
 * at an invalid frame: `verify` and a repair read so. What `open` does must not depend on it: there a walk has none.
 *
 * @param parsed the frame, which is valid, and its data
 * @throws what keeps it from being answered
 */
export type BlockCheck = (parsed: { readonly frame: Frame; readData(): Uint8Array }) => boolean;

/** Whether the frame that was parsed last is no block, or one that passes; `undefined`: nothing is checked. */
export function passesCheck(check: BlockCheck | undefined, parsed: Parameters<BlockCheck>[0]): boolean {
  return check === undefined || parsed.frame.block === undefined || check(parsed);
}
