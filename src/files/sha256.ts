import { createRequire } from 'node:module';

export interface Digest {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** SHA-256. Its module is loaded on first use, since each thread that loads it needs memory for it: see `NodeDisk.random64`. */
export function createSha256(): Digest {
  const require = createRequire(import.meta.url ?? __filename);
  const { createHash } = require('node:crypto') as typeof import('node:crypto');
  return createHash('sha256');
}
