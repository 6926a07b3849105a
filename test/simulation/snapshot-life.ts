/** A life of a log with snapshots on a simulated machine, and what must hold whenever it is opened again. */
import assert from 'node:assert/strict';
import type { Wal, WalOptions } from '#ringwal';
import type { CrashKind, SimulatedMachine } from '#ringwal/testing';

export const DIRECTORY = './log';

/** So small that a handful of entries fills a segment; retention removes whatever no snapshot needs. */
export const OPTIONS: WalOptions = {
  durable: true,
  maxFileSize: 4096,
  maxFiles: 1,
  retainFrom: 'snapshot',
};

/** Snapshots that are kept. */
const KEPT = 2;

/** More than one chunk. */
export const TWO_CHUNKS = 1_200_000;

/** What a program knows of its log: what it has written, and what was acknowledged. */
export class Ledger {
  /** Entries by LSN - 1, as the program has appended them. */
  entries: string[] = [];
  /** Acknowledged entries. */
  durable = 0;
  /** LSNs of snapshots whose calls have resolved, and that no cut has taken. */
  snapshots = new Set<number>();
  /** A cut that was asked for and not acknowledged: the entries before it, and how many stay. */
  cut: { readonly before: readonly string[]; readonly durable: number; readonly to: number } | undefined;

  async append(wal: Wal, text: string): Promise<number> {
    this.entries.push(text);
    const lsn = await wal.append(text);
    assert.equal(lsn, this.entries.length);
    this.durable = lsn;
    return lsn;
  }

  async appendBatch(wal: Wal, texts: readonly string[]): Promise<number> {
    this.entries.push(...texts);
    const { last } = await wal.appendBatch(texts);
    this.durable = last;
    return last;
  }

  /** `fillBytes`: how much the snapshot is larger than its state. */
  async snapshot(wal: Wal, lsn: number, { fillBytes = 0 } = {}): Promise<void> {
    await wal.writeSnapshot(lsn, sourceOf(this.entries.slice(0, lsn), fillBytes), {
      keep: KEPT,
      format: 'list',
    });
    this.snapshots.add(lsn);
    const kept = [...this.snapshots].sort((a, b) => b - a).slice(0, KEPT);
    this.snapshots = new Set([...kept, lsn]);
  }

  async truncateAfter(wal: Wal, to: number): Promise<void> {
    this.cut = { before: this.entries, durable: this.durable, to };
    this.entries = this.entries.slice(0, to);
    this.durable = Math.min(this.durable, to);
    this.snapshots = new Set([...this.snapshots].filter((lsn) => lsn <= to));
    await wal.truncateAfter(to);
    this.cut = undefined;
  }

  /** What the log shows now is what the program goes on with. */
  settle(found: readonly string[]): void {
    this.entries = [...found];
    this.durable = found.length;
    this.cut = undefined;
  }

  /** What was recovered is all that was acknowledged, and nothing that was not appended. */
  assertExplains(found: readonly string[]): void {
    const isPrefix = (of: readonly string[], least: number) =>
      found.length >= least && found.length <= of.length && found.every((text, at) => text === of[at]);
    const { cut } = this;
    const holds =
      isPrefix(this.entries, this.durable) || (cut !== undefined && isPrefix(cut.before, cut.durable));
    assert.ok(holds, `${found.length} entries were found; ${this.durable} were acknowledged`);
  }
}

function* sourceOf(entries: readonly string[], fillBytes: number): Generator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify(entries)}\n`);
  for (let left = fillBytes; left > 0; left -= 100_000) yield Buffer.alloc(Math.min(left, 100_000), 'f');
}

/** The state that `recover` finds: the texts of all entries. */
export async function recoverTexts(wal: Wal): Promise<{
  readonly texts: string[];
  readonly snapshotLsn: number;
  readonly rejected: readonly { readonly lsn: number; readonly reason: string }[];
}> {
  let texts: string[] = [];
  const { snapshotLsn, rejected } = await wal.recover({
    load: async (stream, { lsn, format, bytes }) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      assert.equal(whole.length, bytes);
      assert.equal(format, 'list');
      texts = JSON.parse(whole.subarray(0, whole.indexOf('\n')).toString());
      assert.equal(texts.length, lsn);
    },
    apply: (batch) => {
      for (const { data } of batch) texts.push(Buffer.from(data).toString());
    },
  });
  return { texts, snapshotLsn, rejected };
}

/** Opens the log after a crash, and checks everything that was promised. Returns the open log. */
export async function openAndCheck(machine: SimulatedMachine, ledger: Ledger): Promise<Wal> {
  const wal = await machine.open(DIRECTORY, OPTIONS);
  const names = await machine.fs.promises.readdir(DIRECTORY);
  assert.deepEqual(
    names.filter((name) => name.endsWith('.aside') && name.startsWith('ringwal.snapshot')),
    [],
    'files of snapshots that were not finished',
  );
  const reports = await wal.verifySnapshots();
  for (const [at, { lsn, isValid, reason = '' }] of reports.entries()) {
    // Surplus snapshots are removed last, after the entries that they need.
    const mayLackEntries = at >= KEPT && reason.includes('are gone');
    assert.ok(isValid || mayLackEntries, `snapshot at ${lsn}: ${reason}`);
  }
  const lsns = reports.map(({ lsn }) => lsn);
  assert.deepEqual(
    wal.snapshots().map(({ lsn }) => lsn),
    lsns,
  );
  const { texts, rejected } = await recoverTexts(wal);
  assert.deepEqual(rejected, []);
  ledger.assertExplains(texts);
  assert.equal(texts.length, wal.lastLsn);
  // A newer snapshot, of which the program has not heard yet, may have taken the place of the older ones.
  for (const lsn of ledger.snapshots) {
    const newer = lsns.filter((other) => other > lsn).length;
    assert.ok(lsns.includes(lsn) || newer >= KEPT, `the snapshot at ${lsn} is gone; there are ${lsns}`);
  }
  const oldest = lsns.slice(0, KEPT).at(-1) ?? 0;
  assert.ok(
    wal.firstLsn <= oldest + 1,
    `the log begins at ${wal.firstLsn}, and the oldest kept snapshot is at ${oldest}`,
  );
  ledger.snapshots = new Set(lsns.slice(0, KEPT));
  return wal;
}

/** Runs `live`, and stops the machine: after so many operations, or at its end. True = before the end. */
export async function runUntil(
  machine: SimulatedMachine,
  operations: number,
  kind: CrashKind,
  live: () => Promise<unknown>,
): Promise<boolean> {
  const stopped = machine.crashAfter(operations, kind).then(() => true);
  const hasStopped = await Promise.race([live().then(() => false), stopped]);
  // Otherwise it would stop during the next boot.
  if (!hasStopped) kind === 'kill' ? machine.kill() : machine.powerCut();
  return hasStopped;
}
