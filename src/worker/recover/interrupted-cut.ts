import type { Disk } from '../../files/disk.js';
import { surveyLog } from '../../format/survey.js';
import type { LogDirectory } from '../directory/log-directory.js';
import { setAllAside } from '../directory/log-emptying.js';
import { listLog, pendingCutOf } from '../directory/log-listing.js';
import type { readState } from '../directory/state-store.js';
import { type Cut, cutLog } from '../directory/tail-cut.js';
import { removeShortened, useShortened } from '../rewrite/shortened-segment.js';

/**
 * Finishes a cut (of `truncateAfter`, `reset` or a repair) that was interrupted after its intent was recorded. Runs before
 * anything is judged.
 */
export function finishCut(
  disk: Disk,
  home: LogDirectory,
  fileMode: number,
  state: ReturnType<typeof readState>,
): void {
  const { directory } = home;
  const listing = listLog(disk, directory);
  const pendingCut = pendingCutOf(listing, state);
  if (pendingCut === undefined || state === undefined || 'fault' in state) {
    // A cut that did not begin has left the file. It must be gone before another cut records its intent.
    if (listing.shortenedFile !== undefined) removeShortened(disk, directory);
    return;
  }
  const { segment, offset, lsn, empties, shortened } = pendingCut;
  const segments = listing.segments.map(({ number }) => number);
  const checkPlace = () => home.check();
  if (empties) {
    // The side files are named for the first entry that is cut, as the cut itself would have named them.
    const first = surveyLog(listing.segments, undefined).starts.find((start) => start.lsn > 0);
    const firstLsn = first === undefined ? lsn + 1 : first.lsn;
    setAllAside(disk, { directory, segments, keep: segment, lsn: firstLsn, fileMode, checkPlace });
  }
  if (shortened !== undefined) {
    checkPlace();
    useShortened(disk, directory, segment);
  }
  const cut: Cut = {
    directory,
    segments: empties ? segments.filter((number) => number === segment) : segments,
    place: { segment, offset },
    lsn: lsn + 1,
    fileMode,
    logId: state.logId,
    keepsTail: false,
    checkPlace,
    // As in the repair that was interrupted: repair.ts says why.
    emptiesFirst: offset === 0,
  };
  cutLog(disk, cut, () => {});
}
