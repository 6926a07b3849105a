import { join } from 'node:path';
import type { Archive, CommitLevel, Committer, Contender, Sink } from './contender.js';

/** Entries to a transaction: a transaction for each entry would be several times slower. */
const TRANSACTION_ENTRIES = 1_000;

/**
 * Not a dev dependency: some versions of npm compile it at every install, although it comes with binaries. To include
 * it in the comparison, install it separately: `npm install --no-save --ignore-scripts better-sqlite3`.
 */
export const betterSqlite3: Contender = {
  name: 'better-sqlite3',
  package: 'better-sqlite3',
  kind: 'peer',
  note: `SQLite in WAL mode, on the calling thread; fire-and-forget in transactions of ${TRANSACTION_ENTRIES.toLocaleString('en')}; durable = \`synchronous = FULL\``,
  openSink,
  openCommitter,
  openArchive,
};

/** The part of the package that is used here; the package has no types. */
interface Database {
  pragma(source: string): unknown;
  exec(source: string): unknown;
  prepare(source: string): Statement;
  transaction<A extends unknown[]>(run: (...args: A) => void): (...args: A) => void;
  close(): void;
}
interface Statement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): { data: Buffer } | undefined;
  iterate(): Iterable<{ data: Buffer }>;
}

async function open(directory: string) {
  const name: string = 'better-sqlite3';
  const { default: Sqlite } = (await import(name)) as { default: new (path: string) => Database };
  const database = new Sqlite(join(directory, 'sqlite.db'));
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.exec('CREATE TABLE entries (lsn INTEGER PRIMARY KEY, data BLOB NOT NULL)');
  const insert = database.prepare('INSERT INTO entries (data) VALUES (?)');
  const insertMany = database.transaction((entry: Buffer, count: number) => {
    for (let at = 0; at < count; at++) insert.run(entry);
  });
  return { database, insert, insertMany };
}

async function openSink(directory: string): Promise<Sink> {
  const { database, insert, insertMany } = await open(directory);
  return {
    push(entry, count) {
      for (let left = count; left > 0; left -= TRANSACTION_ENTRIES) {
        insertMany(entry, Math.min(left, TRANSACTION_ENTRIES));
      }
      return count;
    },
    async room() {},
    async sync() {
      // The commit of a full-sync transaction fsyncs SQLite's log, and with it all that was committed before.
      database.pragma('synchronous = FULL');
      insert.run(Buffer.alloc(1));
      database.pragma('synchronous = NORMAL');
    },
    async close() {
      database.close();
    },
  };
}

async function openCommitter(directory: string, level: CommitLevel): Promise<Committer> {
  const { database, insert } = await open(directory);
  if (level === 'durable') database.pragma('synchronous = FULL');
  return {
    blocks: true,
    async commit(entry) {
      insert.run(entry);
    },
    async close() {
      database.close();
    },
  };
}

async function openArchive(directory: string): Promise<Archive> {
  const { database, insertMany } = await open(directory);
  const one = database.prepare('SELECT data FROM entries WHERE lsn = ?');
  const all = database.prepare('SELECT data FROM entries ORDER BY lsn');
  return {
    async fill(entry, count) {
      insertMany(entry, count);
    },
    async readEntries() {
      let bytes = 0;
      for (const { data } of all.iterate()) bytes += data.length;
      return bytes;
    },
    async readOne(index) {
      return one.get(index + 1)?.data.length ?? 0;
    },
    async close() {
      database.close();
    },
  };
}
