import { NO_CHAIN } from '../chain.js';
import {
  type Replica,
  type ReplicaBatch,
  type ReplicaContext,
  type ReplicaCut,
  ReplicaError,
  type ReplicaHead,
  type ReplicatedLog,
} from '../replica.js';
import { checkPostgresOptions } from './options.js';
import { DURABILITY, PostgresSession, type Row } from './session.js';

const CREATE = `INSERT INTO ringwal_log VALUES ($1, 0, '', 0, $2, 0, 0, 0) ON CONFLICT DO NOTHING`;

const ACQUIRE = `UPDATE ringwal_log SET epoch = epoch + 1, writer = $2
  WHERE log_id = $1 AND ($3::bigint IS NULL OR epoch = $3) RETURNING *, ${DURABILITY}`;

const APPEND = `WITH f AS (UPDATE ringwal_log SET head = $3, chain = $6, confirmed = $2 - 1
  WHERE log_id = $1 AND epoch = $4 AND head = $2 - 1 AND chain = $5 RETURNING log_id)
  INSERT INTO ringwal_batch SELECT log_id, $2, $3, $4, $5, $6, $7 FROM f RETURNING ${DURABILITY}`;

/** `$3`: entries up to it were proved durable before, so that the row may say so even if this commit is not. */
const SETTLE = `UPDATE ringwal_log SET beat = beat + 1, confirmed = greatest(confirmed, least($3, head))
  WHERE log_id = $1 AND epoch = $2 RETURNING *, ${DURABILITY}`;

const CUT = `UPDATE ringwal_log SET epoch = epoch + 1, head = $3, chain = $4, confirmed = $3, floor = $5
  WHERE log_id = $1 AND epoch = $2 RETURNING *, ${DURABILITY}`;

const CUT_OFF = `WITH gone AS (DELETE FROM ringwal_batch WHERE log_id = $1 AND last > $3 RETURNING *)
  INSERT INTO ringwal_cut SELECT log_id, $2, first, last, epoch, prev, chain, data FROM gone`;

const KEEP_BOUNDARY = 'INSERT INTO ringwal_batch VALUES ($1, $2, $3, $4, $5, $6, $7)';

const RAISE_FLOOR = `UPDATE ringwal_log SET floor = greatest(floor,
  (SELECT coalesce(min(first), head + 1) FROM ringwal_batch WHERE log_id = $1 AND last >= $3))
  WHERE log_id = $1 AND epoch = $2 RETURNING *, ${DURABILITY}`;

const TRIM = `DELETE FROM ringwal_batch WHERE log_id = $1 AND first IN
  (SELECT first FROM ringwal_batch WHERE log_id = $1 AND last < $2 ORDER BY first LIMIT $3) RETURNING 1`;

const FIND = 'SELECT confirmed, floor FROM ringwal_log WHERE log_id = $1';

const READ = `SELECT first, last, epoch, prev, chain, data FROM ringwal_batch
  WHERE log_id = $1 AND first >= $2 AND last <= $3 ORDER BY first LIMIT $4`;

const READ_START = `SELECT max(first) AS first FROM ringwal_batch WHERE log_id = $1 AND first <= $2`;

const LIST = `SELECT encode(log_id, 'hex') AS log_id, writer, epoch, head, confirmed, floor FROM ringwal_log
  ORDER BY log_id LIMIT 1000`;

/** Rows that one statement removes: its locks and its WAL stay small. */
const TRIM_SLICE = 500;
/** Batches that one statement reads: at most 8 MiB, but for atomic batches that are larger. */
const READ_SLICE = 8;

/**
 * A log in PostgreSQL: a row that is the head, and a row for each batch. An append compares and swaps the head, so the engine's row lock
 * and its synchronous commit do everything.
 *
 * A commit counts only if its session says that the server has waited for a standby: see `PostgresSession.commit`. A SELECT proves
 * nothing: it may show a commit that is on no standby yet. So `settle` updates the row as well, and its commit, which comes after all
 * earlier ones in the server's log, proves them all.
 *
 * `confirmed` is raised only to what was proved before the statement that raises it: a follower that reads it from a server that does not
 * wait must not see what a failover takes back.
 */
export class PostgresReplica implements Replica {
  readonly limits = { maxBatch: 1024 * 1024, window: 1 };
  readonly #session: PostgresSession;
  /** Reads run beside appends. */
  readonly #reading: PostgresSession;
  #logId: Buffer = Buffer.alloc(0);
  #writer = '';
  /** Entries up to it are proved to be durable. */
  #proved = 0;

  constructor(options: unknown, { timeoutMs }: ReplicaContext) {
    const checked = checkPostgresOptions(options);
    this.#session = new PostgresSession(checked, timeoutMs);
    this.#reading = new PostgresSession(checked, timeoutMs);
  }

  async logs(): Promise<readonly ReplicatedLog[]> {
    const rows = await this.#reading.query(LIST, []);
    return rows.map((row) => ({
      logId: String(row.log_id),
      writer: String(row.writer),
      epoch: integer(row.epoch),
      lsn: integer(row.head),
      confirmed: integer(row.confirmed),
      floor: integer(row.floor),
    }));
  }

  async select(logId: string | undefined): Promise<string> {
    const logs = await this.logs();
    const found = logId === undefined ? logs : logs.filter((log) => log.logId === logId);
    const [only] = found;
    if (only === undefined || found.length > 1) throw notOne(logId, logs);
    this.#logId = Buffer.from(only.logId, 'hex');
    return only.logId;
  }

  async acquire(logId: string, writer: string, expect?: number): Promise<ReplicaHead> {
    const id = Buffer.from(logId, 'hex');
    if (expect === undefined) await this.#session.query(CREATE, [id, Buffer.from(NO_CHAIN)]);
    const [row] = await this.#session.commit(ACQUIRE, [id, writer, expect ?? null]);
    if (row === undefined) throw fenced(`it no longer has epoch ${expect}`);
    this.#logId = id;
    this.#writer = writer;
    const head = this.#headOf(row);
    this.#proved = head.lsn;
    return head.confirmed === head.lsn ? head : this.settle(head.epoch);
  }

  async append(batch: ReplicaBatch, signal: AbortSignal): Promise<void> {
    const { first, last, epoch, prev, chain, data } = batch;
    const values = [this.#logId, first, last, epoch, view(prev), view(chain), view(data)];
    const [row] = await this.#session.commit(APPEND, values, signal);
    if (row !== undefined) {
      this.#proved = last;
      return;
    }
    // Nothing was changed. Whether that is final depends on the epoch, which only a commit can tell for certain.
    const head = await this.settle(epoch);
    throw new ReplicaError(
      'ERR_WAL_REPLICA',
      `The replica ends with entry ${head.lsn}: the batch of entries ${first} to ${last} does not continue it.`,
      { lsn: head.lsn },
    );
  }

  async settle(epoch: number): Promise<ReplicaHead> {
    let head = await this.#settleOnce(epoch);
    if (head.confirmed < head.lsn) head = await this.#settleOnce(epoch);
    return head;
  }

  async #settleOnce(epoch: number): Promise<ReplicaHead> {
    const [row] = await this.#session.commit(SETTLE, [this.#logId, epoch, this.#proved]);
    if (row === undefined) throw fenced(`epoch ${epoch} is not the newest`);
    if (row.writer !== this.#writer) throw fenced(`epoch ${epoch} belongs to "${String(row.writer)}"`);
    const head = this.#headOf(row);
    this.#proved = head.lsn;
    return head;
  }

  async *read(from: number, signal: AbortSignal): AsyncIterable<ReplicaBatch> {
    const { confirmed, floor } = await this.#findLog(signal);
    if (from < floor) throw purged(from, floor);
    const [start] = await this.#reading.query(READ_START, [this.#logId, from], signal);
    let next = start?.first == null ? floor : integer(start.first);
    for (let isFirst = true; ; ) {
      const rows = await this.#reading.query(READ, [this.#logId, next, confirmed, READ_SLICE], signal);
      for (const row of rows) {
        const batch = batchOf(row);
        if (batch.last < from) {
          next = batch.last + 1;
          continue;
        }
        if (batch.first !== next && !(isFirst && floor === 0)) throw await this.#missing(next, signal);
        isFirst = false;
        next = batch.last + 1;
        yield batch;
      }
      if (rows.length < READ_SLICE) break;
    }
    if (next <= confirmed && from <= confirmed) throw await this.#missing(next, signal);
  }

  async cut(epoch: number, { lsn, chain, empties, boundary }: ReplicaCut): Promise<ReplicaHead> {
    const session = this.#session;
    const row = await session.transaction(async () => {
      const [before] = await session.query('SELECT floor FROM ringwal_log WHERE log_id = $1', [this.#logId]);
      const floor = empties ? lsn + 1 : integer(before?.floor ?? 0);
      const [cut] = await session.query(CUT, [this.#logId, epoch, lsn, view(chain), floor]);
      if (cut === undefined) return undefined;
      await session.query(CUT_OFF, [this.#logId, cut.epoch, empties ? -1 : lsn]);
      if (boundary !== undefined) {
        const { first, last, epoch: of, prev, chain: end, data } = boundary;
        await session.query(KEEP_BOUNDARY, [this.#logId, first, last, of, view(prev), view(end), view(data)]);
      }
      return cut;
    });
    if (row === undefined) throw fenced(`epoch ${epoch} is not the newest`);
    this.#proved = lsn;
    return this.#headOf(row);
  }

  async trim(epoch: number, below: number): Promise<void> {
    const [row] = await this.#session.commit(RAISE_FLOOR, [this.#logId, epoch, below]);
    if (row === undefined) throw fenced(`epoch ${epoch} is not the newest`);
    const floor = integer(row.floor);
    let removed: number;
    do {
      removed = (await this.#session.query(TRIM, [this.#logId, floor, TRIM_SLICE])).length;
    } while (removed === TRIM_SLICE);
  }

  async close(): Promise<void> {
    await Promise.all([this.#session.close(), this.#reading.close()]);
  }

  async #findLog(signal: AbortSignal): Promise<{ confirmed: number; floor: number }> {
    const [row] = await this.#reading.query(FIND, [this.#logId], signal);
    if (row === undefined) throw notOne(this.#logId.toString('hex'), []);
    return { confirmed: integer(row.confirmed), floor: integer(row.floor) };
  }

  /** Entry `lsn` should be there: it was trimmed meanwhile, or the tables contradict themselves. */
  async #missing(lsn: number, signal: AbortSignal): Promise<ReplicaError> {
    const { floor } = await this.#findLog(signal);
    if (lsn < floor) return purged(lsn, floor);
    return new ReplicaError(
      'ERR_WAL_REPLICA',
      `The replica has no batch with entry ${lsn}, which is below its head.`,
      {
        lsn,
      },
    );
  }

  #headOf(row: Row): ReplicaHead {
    return {
      epoch: integer(row.epoch),
      lsn: integer(row.head),
      chain: bytes(row.chain),
      confirmed: integer(row.confirmed),
      floor: integer(row.floor),
      incarnation: this.#session.incarnation,
    };
  }
}

function batchOf(row: Row): ReplicaBatch {
  return {
    epoch: integer(row.epoch),
    first: integer(row.first),
    last: integer(row.last),
    prev: bytes(row.prev),
    chain: bytes(row.chain),
    data: bytes(row.data),
  };
}

/** `pg` reads a bigint as text. @throws ReplicaError: it is out of range */
function integer(value: unknown): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new ReplicaError(
    'ERR_WAL_REPLICA',
    `PostgreSQL: a column holds ${String(value)}, which is out of range.`,
  );
}

function bytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new ReplicaError('ERR_WAL_REPLICA', 'PostgreSQL: a column of bytes holds something else.');
}

function view({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function fenced(why: string): ReplicaError {
  return new ReplicaError('ERR_WAL_FENCED', `Another writer has acquired the log: ${why}.`);
}

function purged(from: number, floor: number): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_PURGED',
    `Entry ${from} was removed from the replica, which begins with entry ${floor}.`,
    { lsn: from },
  );
}

function notOne(logId: string | undefined, logs: readonly ReplicatedLog[]): ReplicaError {
  const names = logs.map((log) => log.logId).join(', ');
  const message =
    logId === undefined
      ? `The database holds ${logs.length === 0 ? 'no log' : `several logs, of which one must be named: ${names}`}.`
      : `The database holds no log ${logId}.`;
  return new ReplicaError('ERR_WAL_OPTION', message);
}
