/**
 * Compiles the kernels, which are written in AssemblyScript, each to a module as a literal beside its wrapper:
 *
 *     node src/build-kernels.mjs
 *
 * A literal, since a `.wasm` file beside the code would have to be found again from ESM, from CommonJS and from
 * whatever a bundler makes of either. They are generated, hence neither committed nor formatted.
 */

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const KERNELS = [
  {
    name: 'KERNEL_WASM',
    source: 'ring/kernel/assembly/kernel.ts',
    target: 'ring/kernel/kernel-wasm.ts',
    // The lane's memory comes from outside. Any size must match the import: its own limits lie within these.
    memory: ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  },
  {
    name: 'PLAIN_FRAMES_WASM',
    source: 'format/kernel/assembly/plain-frames.ts',
    target: 'format/kernel/plain-frames-wasm.ts',
    memory: ['--initialMemory', '8', '--maximumMemory', '8'],
  },
  {
    name: 'LZ4_WASM',
    source: 'format/kernel/assembly/lz4.ts',
    target: 'format/kernel/lz4-wasm.ts',
    // Grows with the buffers, which are at most a few megabytes unless a single entry is larger.
    memory: ['--initialMemory', '2'],
  },
];

const FLAGS = [
  '-O3',
  // Array and null checks of the language; the kernels have neither, only raw loads and stores.
  '--noAssert',
  // Nothing is allocated, so there is no heap and no collector.
  ...['--runtime', 'stub'],
  ...['--enable', 'threads', '--enable', 'bulk-memory', '--enable', 'simd'],
];

const root = fileURLToPath(new URL('.', import.meta.url));

export async function buildKernels() {
  for (const { name, source, target, memory } of KERNELS) {
    const wasm = await compile(source, memory);
    // Lines that a person can scroll past.
    const lines = Array.from({ length: Math.ceil(wasm.length / 32) }, (_, line) =>
      wasm.subarray(line * 32, line * 32 + 32).join(','),
    );
    const text = [
      `/** Generated from ${source} by build-kernels.mjs: do not edit. */`,
      `export const ${name} = new Uint8Array([\n${lines.join(',\n')},\n]);`,
      '',
    ];
    await writeFile(`${root}${target}`, text.join('\n'));
  }
}

async function compile(source, memory) {
  let wasm;
  const files = [source, '--baseDir', root, '--outFile', 'kernel.wasm'];
  const { error, stderr } = await asc.main([...files, ...FLAGS, ...memory], {
    writeFile(name, contents) {
      if (name === 'kernel.wasm') wasm = contents;
    },
  });
  if (error || wasm === undefined) throw new Error(`asc refused ${source}\n${stderr}`, { cause: error });
  return wasm;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernels();
