/**
 * Compiles assembly/kernel.ts and writes kernel-wasm.ts, the module as a literal:
 *
 *     node src/ring/kernel/build.mjs
 *
 * A literal, since a `.wasm` file beside the code would have to be found again from ESM, from CommonJS and from
 * whatever a bundler makes of either. It is generated, hence neither committed nor formatted.
 */

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const flags = [
  '-O3',
  // Array and null checks of the language; the kernel has neither, only raw loads and stores.
  '--noAssert',
  // Nothing is allocated, so there is no heap and no collector.
  ...['--runtime', 'stub'],
  // The lane's memory comes from outside. Any size must match the import: its own limits lie within these.
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'threads', '--enable', 'bulk-memory'],
];

export async function buildKernel() {
  const wasm = await compile();
  // Lines that a person can scroll past.
  const lines = Array.from({ length: Math.ceil(wasm.length / 32) }, (_, line) =>
    wasm.subarray(line * 32, line * 32 + 32).join(','),
  );
  const source = [
    '/** Generated from assembly/kernel.ts by build.mjs: do not edit. */',
    `export const KERNEL_WASM = new Uint8Array([\n${lines.join(',\n')},\n]);`,
    '',
  ];
  await writeFile(new URL('kernel-wasm.ts', import.meta.url), source.join('\n'));
}

async function compile() {
  let wasm;
  const files = [
    'kernel.ts',
    '--baseDir',
    fileURLToPath(new URL('assembly', import.meta.url)),
    '--outFile',
    'kernel.wasm',
  ];
  const { error, stderr } = await asc.main([...files, ...flags], {
    writeFile(name, contents) {
      if (name === 'kernel.wasm') wasm = contents;
    },
  });
  if (error || wasm === undefined)
    throw new Error(`asc refused assembly/kernel.ts\n${stderr}`, { cause: error });
  return wasm;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernel();
