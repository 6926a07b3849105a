import assert from 'node:assert/strict';
import type { FrameOnDisk } from '../worker/support/segments.js';

/** What each (log, branch, LSN) was seen to name, in all lives of a log: one entry for ever, once it is durable. */
export class EntryNames {
  readonly #data = new Map<string, { readonly lsn: number; readonly data: Uint8Array }>();

  /** `frames`: of the log, in order; those up to `durableLsn` are durable. */
  note(frames: readonly FrameOnDisk[], durableLsn: number): void {
    let prefix = '';
    for (const { lsn, stamp, data } of frames) {
      if (stamp !== undefined) prefix = `${stamp.logId} ${stamp.branch}`;
      if (lsn > durableLsn) break;
      const name = `${prefix} ${lsn}`;
      const known = this.#data.get(name);
      if (known === undefined) this.#data.set(name, { lsn, data: data.slice() });
      else assert.ok(Buffer.from(known.data).equals(data), `LSN ${lsn} names two entries of one branch`);
    }
  }
}
