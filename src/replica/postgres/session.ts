import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Client, ClientConfig, QueryResult } from 'pg';
import { clearTimeout, setTimeout } from '../../files/node-globals.js';
import { ReplicaError } from '../replica.js';
import type { CheckedPostgresOptions } from './options.js';

/** Warnings of a server that did not wait for the standby: a wait that was cancelled, and one that ended with the session. */
const NOT_WAITED = ['01000', '57P01'];

/** A row, its columns as `pg` reads them. */
export type Row = Record<string, unknown>;

/**
 * One connection to PostgreSQL, which is replaced when it breaks. A statement runs alone, and within the deadline: when that passes, the
 * socket is destroyed. No statement is ever cancelled, since a cancelled wait for the standby looks like a commit.
 */
export class PostgresSession {
  /** Identifies the server's life: its system identifier and timeline. `''` = no connection was made yet. */
  incarnation = '';
  readonly #options: CheckedPostgresOptions;
  readonly #timeoutMs: number;
  #client: Client | undefined;
  #warnings: string[] = [];
  #secrets: string[] = [];
  #isClosed = false;

  constructor(options: CheckedPostgresOptions, timeoutMs: number) {
    this.#options = options;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs a statement of its own transaction, or one of several in the transaction that the caller began.
   *
   * @throws ReplicaError ERR_WAL_REPLICA: it failed, or its outcome is not known
   */
  async query(text: string, values: readonly unknown[], signal?: AbortSignal): Promise<Row[]> {
    return this.#guarded(signal, async () => {
      const client = await this.#connected();
      this.#warnings = [];
      const result = (await client.query(text, [...values])) as QueryResult<Row>;
      return result.rows;
    });
  }

  /**
   * As [query], for a statement that commits: resolves only if the commit is durable beyond the server. The rows have to have the
   * columns of [DURABILITY].
   */
  async commit(text: string, values: readonly unknown[], signal?: AbortSignal): Promise<Row[]> {
    const rows = await this.query(text, values, signal);
    if (rows.length > 0) await this.#proveDurable(rows[0] as Row, signal);
    return rows;
  }

  /** Statements in one transaction, of which `act` returns the row with the columns of [DURABILITY]; `undefined`: it is rolled back. */
  async transaction(act: () => Promise<Row | undefined>): Promise<Row | undefined> {
    try {
      await this.query('BEGIN', []);
      const row = await act();
      await this.query(row === undefined ? 'ROLLBACK' : 'COMMIT', []);
      if (row !== undefined) await this.#proveDurable(row, undefined);
      return row;
    } catch (error) {
      // A transaction that is still open must not receive the next statement.
      this.#drop();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#drop();
  }

  /**
   * Has the commit waited for a standby? `row` says how the server was set up when the statement ran. A server that is told to stop
   * waiting (`synchronous_standby_names` emptied, a reload) lets waiting commits go without a word: so the setup must not have been
   * loaded anew since.
   */
  async #proveDurable(row: Row, signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.durability === 'storage') return;
    if (this.#warnings.some((code) => NOT_WAITED.includes(code)))
      throw this.#broken('the server did not wait for its standby: the wait was cancelled');
    this.#checkSettings(row);
    const [now] = await this.query(`SELECT ${DURABILITY}`, [], signal);
    this.#checkSettings(now as Row);
    if (now?.loaded !== row.loaded) throw this.#broken('the server has loaded its settings anew meanwhile');
  }

  #checkSettings({ standbys, commit }: Row): void {
    if (standbys === '' || standbys === undefined)
      throw this.#broken('the server has no synchronous standby: synchronous_standby_names is empty');
    if (commit !== 'on' && commit !== 'remote_apply')
      throw this.#broken(`synchronous_commit is ${String(commit)}, and not on`);
  }

  async #guarded<T>(signal: AbortSignal | undefined, act: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new ReplicaError('ERR_WAL_REPLICA', 'The connection to PostgreSQL was closed.');
    let giveUp: (why: string) => void = () => {};
    const given = new Promise<never>((_, reject) => {
      giveUp = (why) => {
        this.#drop();
        reject(this.#broken(why));
      };
    });
    given.catch(() => {});
    const timer = setTimeout(() => giveUp(`no answer within ${this.#timeoutMs} ms`), this.#timeoutMs);
    const onAbort = () => giveUp('the request was given up');
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted === true) onAbort();
      const done = act();
      done.catch(() => {});
      return await Promise.race([given, done]);
    } catch (error) {
      if (error instanceof ReplicaError) throw error;
      throw this.#wrap(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client;
    const { Client } = await loadPg();
    const config = await this.#config();
    const client = new Client({ application_name: 'ringwal', keepAlive: true, ...config });
    this.#client = client;
    client.on('error', () => this.#forget(client));
    client.on('end', () => this.#forget(client));
    client.on('notice', ({ code }) => {
      if (code !== undefined) this.#warnings.push(code);
    });
    try {
      await client.connect();
      await client.query('SET synchronous_commit = on');
      const { rows } = (await client.query(INCARNATION)) as QueryResult<Row>;
      this.incarnation = String(rows[0]?.incarnation);
    } catch (error) {
      this.#forget(client);
      destroy(client);
      throw error;
    }
    if (this.#client !== client) throw this.#broken('the connection ended as soon as it was made');
    return client;
  }

  async #config(): Promise<ClientConfig> {
    const { connectionString, module } = this.#options;
    const config = module === undefined ? { connectionString } : await configOf(module);
    const fromUrl = /^[a-z]+:\/\/[^/@]*?:([^/@]+)@/i.exec(config.connectionString ?? '')?.[1];
    this.#secrets = [
      config.connectionString,
      fromUrl,
      fromUrl && decodeURIComponent(fromUrl),
      config.password,
    ]
      .filter((secret): secret is string => typeof secret === 'string' && secret !== '')
      .sort((a, b) => b.length - a.length);
    return config;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) destroy(client);
  }

  #forget(client: Client): void {
    if (this.#client === client) this.#client = undefined;
  }

  /** The outcome of the last statement is not known, and the connection is not to be used again. */
  #broken(why: string): ReplicaError {
    this.#drop();
    return new ReplicaError('ERR_WAL_REPLICA', `PostgreSQL: ${why}.`);
  }

  /** Neither the message nor a cause shows a password. */
  #wrap(error: unknown): ReplicaError {
    const { message, code } = error as { message?: unknown; code?: unknown };
    let text = String(message ?? error) || 'the connection failed';
    for (const secret of this.#secrets) text = text.replaceAll(secret, '***');
    const state = typeof code === 'string' ? ` (${code})` : '';
    return new ReplicaError(
      'ERR_WAL_REPLICA',
      `PostgreSQL: ${text.replace(/\.$/, '')}${state}.${wayOut(code)}`,
    );
  }
}

/** Columns that say how durable the statement's commit is. */
export const DURABILITY = `current_setting('synchronous_standby_names') AS standbys,
  current_setting('synchronous_commit') AS commit, pg_conf_load_time()::text AS loaded`;

const INCARNATION = `SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' ||
  CASE WHEN pg_is_in_recovery() THEN 'recovery' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS incarnation`;

function wayOut(code: unknown): string {
  switch (code) {
    case '42P01':
      return ' The tables are missing: run `ringwal replica init`, or sql/ringwal-replica.sql.';
    case '53100':
      return ' The disk of the server is full.';
    case '28P01':
    case '28000':
      return ' The server refuses the credentials.';
    case '25006':
      return ' The server is read only: it is a standby. Connect to the primary.';
    default:
      return '';
  }
}

async function loadPg(): Promise<Pick<typeof import('pg'), 'Client'>> {
  try {
    const pg = await import('pg');
    return pg.default ?? pg;
  } catch (error) {
    throw new ReplicaError('ERR_WAL_OPTION', 'ringwal/postgres needs the package "pg": npm install pg', {
      cause: error,
    });
  }
}

async function configOf(module: string): Promise<ClientConfig> {
  const url = isAbsolute(module) ? pathToFileURL(module).href : module;
  const loaded: { default?: unknown } = await import(url);
  // An ES module that was made of a CommonJS one has its exports one level down.
  const exported = loaded.default;
  const inner =
    typeof exported === 'object' && exported !== null && 'default' in exported ? exported.default : exported;
  if (typeof inner !== 'function') {
    throw new ReplicaError(
      'ERR_WAL_OPTION',
      `The module "${module}" of postgres() has no function as its default export.`,
    );
  }
  return (await inner()) as ClientConfig;
}

/** At once, without a word to the server: it finds out by itself. */
function destroy(client: Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}
