/**
 * What the committer does next: the first row that holds. `*` = whatever it is.
 *
 * | sync thread | recovery  | written, not synced | else due     | does                                            |
 * | ----------- | --------- | ------------------- | ------------ | ----------------------------------------------- |
 * | working     | *         | *                   | *            | nothing: what is due waits for the job          |
 * | *           | postponed | asked for           | *            | `recover`: recovery comes to its end, or rejects |
 * | *           | postponed | *                   | *            | nothing                                         |
 * | filling     | done      | due                 | *            | `sync-here`: the filling goes on meanwhile      |
 * | free        | done      | due                 | filling      | `fill-and-sync-here`                            |
 * | free        | done      | due, awaited, quick | *            | `sync-here`: no thread switch                   |
 * | free        | done      | due                 | *            | `sync`                                          |
 * | filling     | done      | *                   | *            | nothing                                         |
 * | free        | done      | nothing             | housekeeping | `keep-house`                                    |
 * | free        | done      | *                   | publication  | `publish`                                       |
 * | free        | done      | *                   | filling      | `fill`                                          |
 * | free        | done      | *                   | *            | nothing                                         |
 */
export type CommitJob =
  | 'nothing'
  | 'recover'
  | 'sync-here'
  | 'fill-and-sync-here'
  | 'sync'
  | 'keep-house'
  | 'publish'
  | 'fill';

/** What the choice depends on. */
export interface CommitView {
  /**
   * `working`: a job is under way that a sync would have to wait for. `filling`: the one under way only makes the next segment ready, and so
   * little is to be synced that the writer does it meanwhile.
   */
  readonly syncThread: 'free' | 'filling' | 'working';
  /** What recovery put off for lack of room is still to be done. */
  readonly isRecoveryPostponed: boolean;
  /** Somebody has asked for a sync of what is not durable (`sync`, `flushSync`, `close`). */
  readonly isForced: boolean;
  /** Whole entries are written above the watermark. */
  readonly isUnsynced: boolean;
  /** By the interval, by a backlog, or because somebody waits. */
  readonly isSyncDue: boolean;
  /** Somebody waits for it. */
  readonly isAwaited: boolean;
  /** The writer thread has it synced sooner than the sync thread would. */
  readonly isQuick: boolean;
  readonly isHousekeepingDue: boolean;
  readonly isStatsDue: boolean;
  readonly isFillingDue: boolean;
}

export function chooseJob(view: CommitView): CommitJob {
  const { syncThread } = view;
  if (syncThread === 'working') return 'nothing';
  if (view.isRecoveryPostponed) return view.isForced ? 'recover' : 'nothing';
  const isSyncDue = view.isUnsynced && (view.isForced || view.isSyncDue);
  if (syncThread === 'filling') return isSyncDue ? 'sync-here' : 'nothing';
  if (isSyncDue) {
    if (view.isFillingDue) return 'fill-and-sync-here';
    return view.isAwaited && view.isQuick ? 'sync-here' : 'sync';
  }
  if (!view.isUnsynced && view.isHousekeepingDue) return 'keep-house';
  if (view.isStatsDue) return 'publish';
  return view.isFillingDue ? 'fill' : 'nothing';
}
