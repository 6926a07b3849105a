import { createSha256 } from '../files/sha256.js';
import type { ReplicaPosition } from './replica.js';

export const CHAIN_BYTES = 32;

/** The chain before the first batch. */
export const NO_CHAIN: Uint8Array = new Uint8Array(CHAIN_BYTES);

/** The chain after a batch with these bytes. */
export function nextChain(prev: Uint8Array, data: Uint8Array): Uint8Array {
  const hash = createSha256();
  hash.update(prev);
  hash.update(data);
  return Uint8Array.from(hash.digest());
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

export function samePosition(a: ReplicaPosition, b: ReplicaPosition): boolean {
  return a.lsn === b.lsn && sameBytes(a.chain, b.chain);
}
