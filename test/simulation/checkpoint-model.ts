import assert from 'node:assert/strict';
import type { NamedCheckpoints } from '../../src/format/state-file.js';
import type { ChangeResult, CheckpointChange } from '../../src/protocol/checkpoint-changes.js';

interface Place {
  readonly lsn: number;
  readonly data: Uint8Array;
}

/**
 * The named checkpoints that a log must have: those that were acknowledged, or those of a change that was asked for and not answered.
 * A place comes with the data that it was set with, always.
 */
export class CheckpointModel {
  #places = new Map<string, Place>();
  readonly #pending = new Map<number, readonly CheckpointChange[]>();
  /** Segments with lower numbers may have been said to be archived. */
  #archivedMost = 0;

  noteAsked(id: number, changes: readonly CheckpointChange[]): void {
    this.#pending.set(id, changes);
    for (const change of changes)
      if (change.kind === 'archived') this.#archivedMost = Math.max(this.#archivedMost, change.before);
  }

  noteDone(id: number, results: readonly ChangeResult[]): void {
    const changes = this.#pending.get(id);
    assert.ok(changes !== undefined, `the change ${id} was answered twice`);
    this.#pending.delete(id);
    for (const [at, change] of changes.entries()) {
      if (results[at]?.failure !== undefined) continue;
      if (change.kind === 'set') this.#places.set(change.name, change);
      else if (change.kind === 'remove') this.#places.delete(change.name);
    }
  }

  noteRefused(id: number): void {
    assert.ok(this.#pending.delete(id), `the change ${id} was answered twice`);
  }

  get isAllAnswered(): boolean {
    return this.#pending.size === 0;
  }

  /** The log was cut after entry `lsn`. */
  lower(lsn: number): void {
    for (const [name, place] of this.#places)
      this.#places.set(name, { ...place, lsn: Math.min(place.lsn, lsn) });
  }

  /**
   * Entries up to this LSN may be released, at the most. `unnamed`: what the unnamed checkpoint may be.
   */
  releasedAtMost(unnamed: readonly number[]): number {
    const sets = this.#pendingSets();
    const removed = new Set(
      [...this.#pending.values()].flat().flatMap((each) => (each.kind === 'remove' ? each.name : [])),
    );
    const highest = (name: string, lsn: number) =>
      Math.max(lsn, ...sets.filter((each) => each.name === name).map((each) => each.lsn));
    const certain = [...this.#places].filter(([name]) => !removed.has(name));
    const unnamedMost = Math.max(...unnamed);
    if (certain.length === 0)
      return Math.max(
        unnamedMost,
        ...sets.map(({ lsn }) => lsn),
        ...[...this.#places].map(([name, { lsn }]) => highest(name, lsn)),
      );
    const named = Math.min(...certain.map(([name, { lsn }]) => highest(name, lsn)));
    return unnamed.includes(0) ? named : Math.min(named, unnamedMost);
  }

  /** `cuts`: where a cut that was asked for may have ended the log. `isLost`: the state file was damaged. */
  noteRecovered(found: NamedCheckpoints, cuts: readonly number[], isLost: boolean): void {
    const removals = [...this.#pending.values()].flat();
    const lowered = (lsn: number) => [lsn, ...cuts.map((cut) => Math.min(lsn, cut))];
    for (const [name, { lsn, data }] of found) {
      const candidates = [
        this.#places.get(name),
        ...this.#pendingSets().filter((each) => each.name === name),
      ];
      const isKnown = candidates.some(
        (each) =>
          each !== undefined && lowered(each.lsn).includes(lsn) && Buffer.compare(each.data, data) === 0,
      );
      assert.ok(isKnown, `checkpoint ${name} is ${lsn} with ${data.length} bytes, which it never was`);
    }
    for (const name of this.#places.keys()) {
      const isRemoved = removals.some((change) => change.kind === 'remove' && change.name === name);
      assert.ok(found.has(name) || isRemoved || (isLost && found.size === 0), `checkpoint ${name} is gone`);
    }
    this.#places = new Map(found);
    this.#pending.clear();
  }

  /** Segments below `first` went otherwise than by retention. */
  noteGivenUp(first: number): void {
    this.#archivedMost = Math.max(this.#archivedMost, first);
  }

  /** The log begins with segment `first`, and no repair has taken any. */
  assertArchived(first: number): void {
    assert.ok(first <= this.#archivedMost, `wal-${first - 1} was removed and never archived`);
  }

  #pendingSets(): Extract<CheckpointChange, { kind: 'set' }>[] {
    return [...this.#pending.values()].flat().filter((change) => change.kind === 'set');
  }
}
