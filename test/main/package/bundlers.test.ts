import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { APP, installed, says, written } from './installed-package.js';

const isPackage = process.env.RINGWAL_TEST_KIND === 'package';
const skip = isPackage ? false : 'of the built package only';
const BUNDLED_APP = `${APP}\nimport { Wal } from 'ringwal';\nmain(Wal, process.argv[2]);\n`;

/** A bundler that is not there, or not for this Node, is said to be skipped. */
async function load<T>(name: string): Promise<T | string> {
  try {
    const module = await import(name);
    return (module.default ?? module) as T;
  } catch (error) {
    return `${name} cannot be loaded here: ${(error as Error).message}`;
  }
}

test('an application that webpack has bundled works, its worker file beside it', { skip }, async (t) => {
  const webpack = await load<typeof import('webpack')>('webpack');
  if (typeof webpack === 'string') return t.skip(webpack);
  const project = installed(t);
  written(project, 'app.mjs', BUNDLED_APP);
  const configuration = configurationOf('webpack', project) as import('webpack').Configuration;
  const stats = await new Promise<import('webpack').Stats | undefined>((resolve, reject) => {
    webpack(
      { ...configuration, context: project },
      (error: Error | null, result?: import('webpack').Stats) =>
        error === null ? resolve(result) : reject(error),
    );
  });
  assert.ok(stats !== undefined && !stats.hasErrors(), stats?.toString('errors-warnings'));
  await says(project, [join(project, 'out/app.js')]);
});

for (const format of ['cjs', 'es'] as const) {
  test(`an application that Vite has bundled as ${format} works, its worker file beside it`, {
    skip,
  }, async (t) => {
    const vite = await load<typeof import('vite')>('vite');
    if (typeof vite === 'string') return t.skip(vite);
    const project = installed(t);
    written(project, 'app.mjs', BUNDLED_APP);
    written(project, 'package.json', JSON.stringify({ type: format === 'es' ? 'module' : 'commonjs' }));
    const configuration = configurationOf('vite', project, format) as import('vite').InlineConfig;
    await vite.build({ ...configuration, root: project, configFile: false, logLevel: 'error' });
    await says(project, [join(project, 'out/app.js')]);
  });
}

/** As docs/packaging.md has it: the object literal of that bundler's section. */
function configurationOf(bundler: 'webpack' | 'vite', project: string, format?: 'cjs' | 'es'): unknown {
  const document = readFileSync(
    fileURLToPath(new URL('../../../docs/packaging.md', import.meta.url)),
    'utf8',
  );
  const literal = new RegExp(`// ${bundler}\\.config\\.js\\nexport default (\\{[\\s\\S]*?\\n\\});\\n`).exec(
    document,
  )?.[1];
  assert.ok(literal !== undefined, bundler);
  const code = literal.replaceAll('import.meta.dirname', JSON.stringify(project));
  const configuration = new Function(`return (${code});`)();
  if (format === 'es') {
    const banner = /js: `([^`]+)`/.exec(document)?.[1];
    Object.assign(configuration.build.rolldownOptions.output, { format, banner });
  }
  return configuration;
}
