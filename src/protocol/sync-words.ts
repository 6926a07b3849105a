/**
 * The two words between the writer thread and the sync thread, in a SharedArrayBuffer of their own.
 *
 *   byte  word  name       written by   meaning
 *      0     0  requested  writer       messages posted; stored after the postMessage, so that a thread that sees the
 *                                       count finds the message. The sync thread sleeps on it
 *    128    32  done       sync thread  messages finished; stored after the watermark, the acknowledgements and the report
 *                                       were sent. The writer sleeps on it when it needs the outcome to continue
 *
 * At most one message is under way: `requested - done` is 0 or 1 (modulo 2^32). A job also brings the ports of new lanes and the
 * numbers of removed ones, since only jobs post to lanes.
 */
export const SyncWord = { requested: 0, done: 32 } as const;

export function createSyncWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(256);
}
