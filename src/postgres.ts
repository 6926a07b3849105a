/**
 * `ringwal/postgres`: the adapter that replicates logs to PostgreSQL. It needs the package `pg`. docs/replication.md says what it promises and
 * what it needs.
 *
 * @module ringwal/postgres
 */
import { checkPostgresOptions, type PostgresOptions } from './replica/postgres/options.js';
import { PostgresReplica } from './replica/postgres/postgres-replica.js';
import { SCHEMA } from './replica/postgres/schema.js';
import { PostgresSession } from './replica/postgres/session.js';
import type { Replica, ReplicaAdapter, ReplicaContext } from './replica/replica.js';

export type { PostgresOptions, Replica, ReplicaAdapter, ReplicaContext };

/**
 * Names a PostgreSQL database that logs are replicated to.
 *
 * @throws ERR_WAL_OPTION: an option is unknown or wrong
 */
export function postgres(options: PostgresOptions): ReplicaAdapter {
  return { module: import.meta.url, options: checkPostgresOptions(options) };
}

/**
 * The adapter itself, as the thread that ships a log calls it.
 *
 * @param options of {@link postgres}
 */
export function connect(options: unknown, context: ReplicaContext): Replica {
  return new PostgresReplica(options, context);
}

/** The statements that make the tables: the file `sql/ringwal-replica.sql` of the package. They may be run again. */
export const schema: string = SCHEMA;

/** Makes the tables where they are missing. Needs the right to create them. */
export async function createTables(options: PostgresOptions, { timeoutMs }: ReplicaContext): Promise<void> {
  const session = new PostgresSession(checkPostgresOptions(options), timeoutMs);
  try {
    for (const statement of SCHEMA.replaceAll(/--.*$/gm, '').split(';')) {
      if (statement.trim() !== '') await session.query(statement, []);
    }
  } finally {
    await session.close();
  }
}
