import { SHARED_RAW_BYTES_MAX } from '../block.js';
import { compressLz4, decompressLz4 } from './lz4-reference.js';
import { LZ4_WASM } from './lz4-wasm.js';

/** The exports of assembly/lz4.ts. */
interface Lz4Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly buffersStart: Global;
  readonly slack: Global;
  compress(from: number, n: number, out: number, outMax: number): number;
  /** 1 = done, 0 = refused. */
  decompress(from: number, n: number, out: number, outBytes: number): number;
}

interface Global {
  readonly value: number;
}

/** The part of `WebAssembly` that is used here; pure folders have no type for it. */
interface WebAssemblyNamespace {
  readonly validate: (bytes: Uint8Array) => boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}

const PAGE_BYTES = 65_536;

/** LZ4 blocks. Both implementations give the same bytes (test/format/kernel/lz4.test.ts). */
export interface Lz4 {
  readonly name: 'wasm' | 'reference';
  /** The block of `input`; `undefined` = it is longer than `maxBytes`. Valid until the next call of any method. */
  compress(input: Uint8Array, maxBytes: number): Uint8Array | undefined;
  /** Fills `output`; false = `input` is not a block of exactly so many bytes, and `output` holds nothing of use. */
  decompress(input: Uint8Array, output: Uint8Array): boolean;
}

export const referenceLz4: Lz4 = {
  name: 'reference',
  compress(input, maxBytes) {
    const output = new Uint8Array(maxBytes);
    const bytes = compressLz4(input, output);
    return bytes === 0 ? undefined : output.subarray(0, bytes);
  },
  decompress: decompressLz4,
};

let compiled: object | undefined;
let shared: Lz4 | undefined;

/**
 * The LZ4 of this thread for input and output of so many bytes. One serves all calls up to the size of a block of many entries. A
 * larger one is made for the call, because wasm memory never shrinks.
 */
export function lz4For(bytes: number): Lz4 {
  if (bytes > SHARED_RAW_BYTES_MAX) return createLz4();
  shared ??= createLz4();
  return shared;
}

/** The wasm kernel, or the reference if the engine has no WebAssembly (`--jitless`) or no address space left for it. */
function createLz4(): Lz4 {
  const wasm = (globalThis as { WebAssembly?: WebAssemblyNamespace }).WebAssembly;
  return (wasm && createWasmLz4(wasm)) ?? referenceLz4;
}

/** `undefined` if the engine has no vectors (x64 without SSE4.1), or no room for a memory. */
export function createWasmLz4(wasm: WebAssemblyNamespace): Lz4 | undefined {
  if (compiled === undefined && !wasm.validate(LZ4_WASM)) return undefined;
  compiled ??= new wasm.Module(LZ4_WASM);
  try {
    return new WasmLz4(new wasm.Instance(compiled, {}).exports as Lz4Exports);
  } catch {
    // A limit of the process (`ulimit -v`) refuses the address space of a memory. The reference needs none.
    return undefined;
  }
}

class WasmLz4 implements Lz4 {
  readonly name = 'wasm';
  readonly #exports: Lz4Exports;
  readonly #inputStart: number;
  readonly #slack: number;
  #memory: Uint8Array;

  constructor(exports: Lz4Exports) {
    this.#exports = exports;
    this.#inputStart = exports.buffersStart.value;
    this.#slack = exports.slack.value;
    this.#memory = new Uint8Array(exports.memory.buffer);
  }

  compress(input: Uint8Array, maxBytes: number): Uint8Array | undefined {
    const outputStart = this.#load(input, maxBytes);
    if (outputStart === 0) return referenceLz4.compress(input, maxBytes);
    const bytes = this.#exports.compress(this.#inputStart, input.length, outputStart, maxBytes);
    return bytes === 0 ? undefined : this.#memory.subarray(outputStart, outputStart + bytes);
  }

  decompress(input: Uint8Array, output: Uint8Array): boolean {
    const outputStart = this.#load(input, output.length);
    if (outputStart === 0) return referenceLz4.decompress(input, output);
    if (!this.#exports.decompress(this.#inputStart, input.length, outputStart, output.length)) return false;
    output.set(this.#memory.subarray(outputStart, outputStart + output.length));
    return true;
  }

  /** Takes the input; returns where the output goes, 0 = there is no room for both. */
  #load(input: Uint8Array, outputBytes: number): number {
    const outputStart = this.#inputStart + input.length + this.#slack;
    if (!this.#reserve(outputStart + outputBytes + this.#slack)) return 0;
    this.#memory.set(input, this.#inputStart);
    return outputStart;
  }

  #reserve(bytes: number): boolean {
    const missing = bytes - this.#memory.length;
    if (missing <= 0) return true;
    const { memory } = this.#exports;
    try {
      memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch {
      return false;
    }
    this.#memory = new Uint8Array(memory.buffer);
    return true;
  }
}
