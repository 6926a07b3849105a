import type { CheckpointChange, NamedCheckpoint } from '../../protocol/checkpoint-changes.js';

/** The named checkpoints of the log that this process writes, as they are durable. */
export class CheckpointList {
  readonly #checkpoints: Map<string, NamedCheckpoint>;

  constructor(checkpoints: ReadonlyMap<string, NamedCheckpoint>) {
    this.#checkpoints = new Map(checkpoints);
  }

  /** A copy, data included: the caller may change it. */
  copy(): Map<string, NamedCheckpoint> {
    return copyCheckpoints(this.#checkpoints);
  }

  get size(): number {
    return this.#checkpoints.size;
  }

  /** [name, lsn, bytes of data], in no particular order. */
  *places(): Iterable<{ readonly name: string; readonly lsn: number; readonly dataBytes: number }> {
    for (const [name, { lsn, data }] of this.#checkpoints) yield { name, lsn, dataBytes: data.length };
  }

  /** A change is durable. */
  apply(change: CheckpointChange): void {
    if (change.kind === 'set') this.#checkpoints.set(change.name, { lsn: change.lsn, data: change.data });
    else if (change.kind === 'remove') this.#checkpoints.delete(change.name);
  }

  /** The log was cut after entry `lsn`: no checkpoint stays above it. The data stay. */
  lower(lsn: number): void {
    for (const [name, checkpoint] of this.#checkpoints) {
      if (checkpoint.lsn > lsn) this.#checkpoints.set(name, { ...checkpoint, lsn });
    }
  }
}

/** Sorted by name. */
export function copyCheckpoints(
  checkpoints: ReadonlyMap<string, NamedCheckpoint>,
): Map<string, NamedCheckpoint> {
  const sorted = [...checkpoints].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([name, { lsn, data }]) => [name, { lsn, data: data.slice() }]));
}
