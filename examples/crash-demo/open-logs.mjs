import { Wal } from 'ringwal';

/** Each log that was opened, or is being opened. */
const logs = [];
let isOver = false;

/** As `Wal.open`, until [closeLogs] was called: then it never resolves. */
export function openLog(directory, options) {
  if (isOver) return new Promise(() => {});
  const log = Wal.open(directory, options);
  logs.push(log);
  return log;
}

/** Resolves once no log has a thread or a file any more, whatever became of it: its directory can be removed. */
export async function closeLogs() {
  isOver = true;
  await Promise.allSettled(logs.map(async (log) => (await log).close()));
}
