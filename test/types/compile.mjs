/**
 * Compiles the files of this folder against the built package (`npm run build` first), as its users have it: by the oldest
 * TypeScript that is supported, the newest and one between them, by the ways of resolving modules that find the package's exports.
 * Nothing is skipped: `skipLibCheck` is false.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

const ALL = ['surface.ts', 'esm.mts', 'commonjs.cts'];
/** A bundler's resolution has ES modules only. */
const ESM = ['surface.ts', 'esm.mts'];
const NODENEXT = { module: 'nodenext', moduleResolution: 'nodenext', files: ALL };
const NODE16 = { module: 'node16', moduleResolution: 'node16', files: ALL };
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler', files: ESM };

/** Where each TypeScript is installed. The oldest is the one that docs/packaging.md names. */
const COMPILERS = [
  [`${root}.ci/oldest-typescript/node_modules/typescript`, [NODENEXT, NODE16, BUNDLER]],
  [`${root}docs/typedoc/node_modules/typescript`, [BUNDLER]],
  [`${root}node_modules/typescript`, [NODENEXT, NODE16, BUNDLER]],
];

const folder = `${root}node_modules/.cache/ringwal-types/`;
mkdirSync(folder, { recursive: true });
let failures = 0;
for (const [compiler, ways] of COMPILERS) {
  const { version } = JSON.parse(readFileSync(`${compiler}/package.json`, 'utf8'));
  for (const { files, ...way } of ways) {
    const config = `${folder}tsconfig-${process.pid}.json`;
    writeFileSync(
      config,
      JSON.stringify({
        extends: `${root}test/types/tsconfig.json`,
        compilerOptions: { ...way, typeRoots: [`${root}node_modules/@types`] },
        files: files.map((name) => `${root}test/types/${name}`),
        include: [],
      }),
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${compiler}/bin/tsc`, '-p', config], {
      encoding: 'utf8',
      cwd: root,
    });
    rmSync(config);
    console.log(`types: TypeScript ${version}, ${way.moduleResolution}: ${status === 0 ? 'ok' : 'failed'}`);
    if (status === 0) continue;
    failures += 1;
    console.log(stdout + stderr);
  }
}
process.exit(failures === 0 ? 0 : 1);
