import assert from 'node:assert/strict';
import { SECTOR_BYTES } from '../../src/files/simulation/simulated-disk.js';

/**
 * Naive: keeps a whole copy of the file for every moment since the last sync, the first being that sync's. What a power
 * cut leaves must be, sector by sector (or byte by byte), some copy's; its size some copy's too; and what never was
 * durable may be stale.
 */
export class FileHistory {
  readonly #tearsSectors: boolean;
  #copies: Uint8Array[] = [new Uint8Array(0)];

  constructor(tearsSectors: boolean) {
    this.#tearsSectors = tearsSectors;
  }

  changed(contents: Uint8Array): void {
    this.#copies.push(contents);
  }

  synced(): void {
    this.#copies = this.#copies.slice(-1);
  }

  restart(contents: Uint8Array): void {
    this.#copies = [contents];
  }

  check(found: Uint8Array): void {
    const sizes = this.#copies.map((copy) => copy.length);
    assert.ok(sizes.includes(found.length), `size ${found.length} was never one of ${sizes.join()}`);
    const durableSize = (this.#copies[0] as Uint8Array).length;
    const unit = this.#tearsSectors ? 1 : SECTOR_BYTES;
    for (let from = 0; from < found.length; from += unit) {
      const sectorStart = from - (from % SECTOR_BYTES);
      if (sectorStart >= durableSize && this.#isWritten(sectorStart)) continue;
      const to = Math.min(from + unit, found.length);
      const isKnown = this.#copies.some((copy) => isSame(found, copy, from, to));
      assert.ok(isKnown, `bytes ${from} to ${to} were never so`);
    }
  }

  /** A block that was given to the file since: until its data are written it may show anything. */
  #isWritten(sectorStart: number): boolean {
    return this.#copies.some((copy) => copy.length > sectorStart);
  }
}

/** Behind a copy's end lie zeros. */
function isSame(found: Uint8Array, copy: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) if (found[at] !== (copy[at] ?? 0)) return false;
  return true;
}

type Names = ReadonlyMap<string, bigint>;

/** Naive: keeps all names (and whose they are) for every moment since the last sync. */
export class NameHistory {
  #moments: Names[] = [new Map()];

  changed(names: Names): void {
    this.#moments.push(names);
  }

  synced(): void {
    this.#moments = this.#moments.slice(-1);
  }

  restart(names: Names): void {
    this.#moments = [names];
  }

  check(found: Names): void {
    const everyName = new Set(this.#moments.flatMap((names) => [...names.keys()]));
    for (const name of [...everyName, ...found.keys()]) {
      const isKnown = this.#moments.some((names) => names.get(name) === found.get(name));
      assert.ok(isKnown, `"${name}" never led to ${found.get(name)}`);
    }
    const files = [...found.values()];
    assert.equal(new Set(files).size, files.length, 'a file has two names');
    for (const file of this.#moments[0]?.values() ?? []) {
      const wasAlwaysNamed = this.#moments.every((names) => [...names.values()].includes(file));
      assert.ok(!wasAlwaysNamed || files.includes(file), `file ${file} lost its last name`);
    }
  }
}
