/**
 * Snapshots in the log's directory: `snapshot-<LSN>`, the content after that entry as JSON. The name appears only once the
 * whole file is on the disk, so every file with such a name is complete.
 *
 * `fs` is `node:fs/promises`, or in a test the files of a simulated machine.
 */
import { join } from 'node:path';

const NAME = /^snapshot-(\d+)$/;
const UNFINISHED = 'snapshot.unfinished';

export async function readNewestSnapshot(fs, directory) {
  const lsn = Math.max(0, ...(await snapshotsIn(fs, directory)));
  if (lsn === 0) return { lsn, values: [] };
  return { lsn, values: JSON.parse(await fs.readFile(join(directory, `snapshot-${lsn}`), 'utf8')) };
}

/** Resolves once the snapshot is durable under its name. */
export async function writeSnapshot(fs, directory, lsn, content) {
  const unfinished = join(directory, UNFINISHED);
  const file = await fs.open(unfinished, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(unfinished, join(directory, `snapshot-${lsn}`));
  await syncDirectory(fs, directory);
}

/** Removes the files that crashes have left, and snapshots before the one at `lsn`. */
export async function removeLeftovers(fs, directory, lsn) {
  const older = (await snapshotsIn(fs, directory))
    .filter((each) => each < lsn)
    .map((each) => `snapshot-${each}`);
  for (const name of [...older, UNFINISHED]) await fs.rm(join(directory, name), { force: true });
}

async function snapshotsIn(fs, directory) {
  const found = (await fs.readdir(directory)).map((name) => NAME.exec(name));
  return found.filter((match) => match !== null).map(([, lsn]) => Number(lsn));
}

/** Makes the new name itself durable. Windows cannot open directories, and its file systems do not need it. */
async function syncDirectory(fs, directory) {
  if (process.platform === 'win32') return;
  const handle = await fs.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
