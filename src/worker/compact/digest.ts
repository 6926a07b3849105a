/**
 * A digest over the LSNs and checksums of entries, in order. It finds what a program got wrong, an entry that is missing, doubled or
 * changed; it is no defence against an attacker, who could change both sides.
 */
export class EntryDigest {
  #one = 0x811c9dc5;
  #other = 0x1b873593;
  entries = 0;

  /** `crc`: field 3 as it is, or would be, in a frame of its own. */
  add(lsn: number, crc: number): void {
    this.entries += 1;
    const high = Math.floor(lsn / 2 ** 32);
    this.#one = Math.imul(this.#one ^ crc, 0x01000193) ^ lsn;
    this.#other = Math.imul(this.#other ^ (lsn | 0) ^ high, 0xcc9e2d51) + crc;
    this.#other = (this.#other << 13) | (this.#other >>> 19);
  }

  get value(): string {
    return `${this.entries}/${this.#one >>> 0}/${this.#other >>> 0}`;
  }
}
