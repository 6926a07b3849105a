import { Wal } from 'ringwal';

/** Every log that was opened or is being opened. */
const logs = [];
let isOver = false;

/** As `Wal.open`, until [closeLogs] was called: then it never resolves. */
export function openLog(directory, options) {
  if (isOver) return new Promise(() => {});
  const log = Wal.open(directory, options);
  logs.push(log);
  return log;
}

/** Resolves once no log has a thread or an open file, also if it has failed: its directory can then be removed. */
export async function closeLogs() {
  isOver = true;
  await Promise.allSettled(logs.map(async (log) => (await log).close()));
}
