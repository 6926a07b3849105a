import { maxRecordPayload } from '../../src/ring/layout.js';

/** The same entries on both sides: whoever knows the seed knows every byte that must come. */
export class Canaries {
  #state: number;
  #entry = 0;
  readonly #payloadMax: number;

  constructor(seed: number, ringBytes: number) {
    this.#state = seed | 0 || 1;
    this.#payloadMax = maxRecordPayload(ringBytes);
  }

  /** Entries that are pushed together: mostly one, now and then a batch, which takes half of the ring at most. */
  nextGroup(entriesMax: number): Uint8Array[] {
    const size = this.#below(20) === 0 ? Math.min(2 + this.#below(6), entriesMax) : 1;
    const payloadMax = size === 1 ? this.#payloadMax : this.#payloadMax / 4;
    return Array.from({ length: size }, () => this.#nextEntry(payloadMax));
  }

  #nextEntry(payloadMax: number): Uint8Array {
    // Mostly small; now and then as large as a record may be.
    const limit = this.#below(500) === 0 ? payloadMax : this.#below(4) === 0 ? 1000 : 40;
    const data = new Uint8Array(this.#below(Math.min(limit, payloadMax) + 1));
    this.#entry = (this.#entry + 1) | 0;
    for (let i = 0; i < data.length; i++) data[i] = (this.#entry * 31 + i * 7) & 0xff;
    return data;
  }

  /** xorshift32. */
  #below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }
}
