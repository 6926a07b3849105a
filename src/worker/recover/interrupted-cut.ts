import type { Disk } from '../../files/disk.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { listLog, pendingCutOf } from '../directory/log-listing.js';
import type { readState } from '../directory/state-store.js';
import { type Cut, cutLog } from '../directory/tail-cut.js';

/**
 * A cut that was interrupted after its intent was recorded, of `truncateAfter` or of a repair, is finished before anything
 * is judged.
 */
export function finishCut(
  disk: Disk,
  home: LogDirectory,
  fileMode: number,
  state: ReturnType<typeof readState>,
): void {
  const { directory } = home;
  const { segments } = listLog(disk, directory);
  const pendingCut = pendingCutOf(segments, state);
  if (pendingCut === undefined || state === undefined || 'fault' in state) return;
  const { segment, offset, lsn } = pendingCut;
  const cut: Cut = {
    directory,
    segments: segments.map(({ number }) => number),
    place: { segment, offset },
    lsn: lsn + 1,
    fileMode,
    logId: state.logId,
    keepsTail: false,
    checkPlace: () => home.check(),
    // As the repair that was interrupted: see there.
    emptiesFirst: offset === 0,
  };
  cutLog(disk, cut, () => {});
}
