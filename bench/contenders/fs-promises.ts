import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommitLevel, Committer, Contender } from './contender.js';

/** A program without a log: each entry has its own write, and its own fdatasync if it must be durable. */
export const fsPromises: Contender = {
  name: 'fs.promises',
  kind: 'peer',
  note: '`write`, durable = `datasync` after it; no frame, no checksum',
  openCommitter,
};

async function openCommitter(directory: string, level: CommitLevel): Promise<Committer> {
  const file = await open(join(directory, 'file'), 'a');
  const write = (entry: Buffer) => file.write(entry);
  const writeAndSync = async (entry: Buffer) => {
    await file.write(entry);
    await file.datasync();
  };
  return { commit: level === 'durable' ? writeAndSync : write, close: () => file.close() };
}
