/**
 * The two words between the writer thread and the sync thread, in a SharedArrayBuffer of their own.
 *
 *   byte  word  name       written by   meaning
 *      0     0  requested  writer       messages posted; stored after the postMessage, so that who sees the count finds
 *                                       the message. The sync thread sleeps on it
 *    128    32  done       sync thread  messages dealt with; stored after the watermark, the acknowledgements and the report
 *                                       were sent. The writer sleeps on it when it cannot go on without
 *
 * One is under way at a time: `requested - done` is 0 or 1 (modulo 2^32). The ports of new lanes, and word of those that are
 * gone, come with a job: only jobs speak to lanes.
 */
export const SyncWord = { requested: 0, done: 32 } as const;

export function createSyncWords(): SharedArrayBuffer {
  return new SharedArrayBuffer(256);
}
