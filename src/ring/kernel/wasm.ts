import { CRC_TABLES_START, type LaneMemory, type LaneViews, type SharedMemory } from '../layout.js';
import { brokenRecords, type Kernel, type Pack, type Run, type RunStop } from './kernel.js';
import { KERNEL_WASM } from './kernel-wasm.js';
import { createReferenceKernel } from './reference.js';

/**
 * Chooses the kernel of a lane: the wasm kernel, or the reference kernel if the engine has no WebAssembly (`--jitless`), has none
 * with vectors (x64 processors without SSE4.1), or had no wasm memory left for the lane. Both write the same bytes; the reference
 * kernel is only slower.
 */
export function chooseKernel(lane: LaneMemory, views: LaneViews): Kernel {
  const wasm = webAssembly();
  if (wasm === undefined || lane.memory === undefined) return createReferenceKernel(views);
  return new WasmKernel(wasm, lane.memory);
}

/**
 * Creates the wasm kernel over a lane's memory, synchronously: the writer thread has no event loop to await in.
 *
 * @throws Error if the engine has no WebAssembly, or none with vectors
 */
export function createWasmKernel(memory: SharedMemory): Kernel {
  const wasm = webAssembly();
  if (wasm === undefined) throw new Error('this engine has no WebAssembly, or none with vectors');
  return new WasmKernel(wasm, memory);
}

/** Indexed by the return value of `frameRun` in assembly/kernel.ts. Its fourth value has no entry here: it means broken records. */
const STOPS: readonly RunStop[] = ['end', 'max-entries', 'out-full'];

/**
 * One instance for each lane, since a module's memory is bound when it is instantiated. Numbers below 2^53 cross as f64, which is
 * exact for them and needs no BigInt. The results are read from exported globals, which costs calls: once for a run, not for an
 * entry.
 */
class WasmKernel implements Kernel {
  readonly name = 'wasm';
  readonly #exports: KernelExports;

  constructor(wasm: WebAssemblyNamespace, memory: SharedMemory) {
    const instance = new wasm.Instance(compiledModule(wasm), { env: { memory } });
    this.#exports = instance.exports as KernelExports;
    if (this.#exports.tablesStart.value !== CRC_TABLES_START) {
      throw new Error('kernel-wasm.ts was built for another lane layout: run src/build-kernels.mjs');
    }
    this.#exports.fillTables();
  }

  frameRun(run: Run): void {
    const kernel = this.#exports;
    const stop = kernel.frameRun(
      run.from,
      run.to,
      run.maxEntries,
      run.out,
      run.outEnd,
      run.lsn,
      run.fileOffset,
      run.checksumSeed,
      run.syncedLsn,
      run.segmentFieldAt,
      run.segmentFieldBytes,
      run.batchRemaining,
    );
    run.consumedTo = kernel.consumedTo.value;
    if (stop >= STOPS.length) throw brokenRecords(run, run.consumedTo);
    run.batchRemaining = kernel.batchRemaining.value;
    run.outTo = kernel.outTo.value;
    run.entries = kernel.entries.value;
    run.payloadBytes = kernel.payloadBytes.value;
    run.wholeBatchEntries = kernel.wholeBatchEntries.value;
    run.wholeBatchOutTo = kernel.wholeBatchOutTo.value;
    run.stop = STOPS[stop];
  }

  packRun(pack: Pack): void {
    const kernel = this.#exports;
    const isPacked = kernel.packRun(
      pack.from,
      pack.to,
      pack.maxEntries,
      pack.out,
      pack.outEnd,
      pack.targetBytes,
      pack.batchRemaining,
    );
    pack.consumedTo = kernel.consumedTo.value;
    if (!isPacked) throw brokenRecords(pack, pack.consumedTo);
    pack.batchRemaining = kernel.batchRemaining.value;
    pack.outTo = kernel.outTo.value;
    pack.entries = kernel.entries.value;
    pack.payloadBytes = kernel.payloadBytes.value;
  }
}

let compiled: object | undefined;

/** Compiled once for each thread, however many lanes it drains. */
function compiledModule(wasm: WebAssemblyNamespace): object {
  compiled ??= new wasm.Module(KERNEL_WASM);
  return compiled;
}

/** `undefined` if it cannot run the kernel. */
function webAssembly(): WebAssemblyNamespace | undefined {
  const wasm = (globalThis as { WebAssembly?: WebAssemblyNamespace }).WebAssembly;
  return compiled === undefined && wasm?.validate(KERNEL_WASM) === false ? undefined : wasm;
}

/** The part of `WebAssembly` that is used here; pure folders have no type for it. */
interface WebAssemblyNamespace {
  readonly validate: (bytes: Uint8Array) => boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { env: { memory: object } },
  ) => { readonly exports: object };
}

interface Global {
  readonly value: number;
}

/** The exports of assembly/kernel.ts. */
interface KernelExports {
  readonly tablesStart: Global;
  fillTables(): void;
  frameRun(
    from: number,
    to: number,
    maxEntries: number,
    out: number,
    outEnd: number,
    lsn: number,
    fileOffset: number,
    checksumSeed: number,
    syncedLsn: number,
    segmentFieldAt: number,
    segmentFieldBytes: number,
    batchRemaining: number,
  ): number;
  /** 0 = broken records. */
  packRun(
    from: number,
    to: number,
    maxEntries: number,
    out: number,
    outEnd: number,
    targetBytes: number,
    batchRemaining: number,
  ): number;
  readonly batchRemaining: Global;
  readonly consumedTo: Global;
  readonly outTo: Global;
  readonly entries: Global;
  readonly payloadBytes: Global;
  readonly wholeBatchEntries: Global;
  readonly wholeBatchOutTo: Global;
}
