/**
 * What the committer does next: the first row that holds. `*` matches anything.
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
 * | free        | done      | *                   | stats        | `publish`                                       |
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

/** The facts on which the choice depends. */
export interface CommitView {
  /**
   * `working`: a job is under way that a sync would have to wait for. `filling`: the job under way only prepares the next
   * segment, and the writer has so little to sync that it does it meanwhile.
   */
  readonly syncThread: 'free' | 'filling' | 'working';
  /** Recovery postponed its last steps for lack of room, and they are still to be done. */
  readonly isRecoveryPostponed: boolean;
  /** A thread has asked for a sync of entries that are not durable (`sync`, `flushSync`, `close`). */
  readonly isForced: boolean;
  /** Whole entries are written above the watermark. */
  readonly isUnsynced: boolean;
  /** The interval is over, a backlog has gathered, or a thread waits. */
  readonly isSyncDue: boolean;
  /** A thread waits for the sync. */
  readonly isAwaited: boolean;
  /** The writer thread syncs this faster than the sync thread would. */
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
