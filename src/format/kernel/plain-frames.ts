import { PLAIN_FRAMES_WASM } from './plain-frames-wasm.js';

/** The exports of assembly/plain-frames.ts. */
interface ScanExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly indexStart: Global;
  readonly bytesStart: Global;
  readonly bytesMax: Global;
  readonly framesMax: Global;
  readonly stoppedAt: Global;
  fillTables(): void;
  scan(
    from: number,
    until: number,
    to: number,
    firstLsn: number,
    wantedLsn: number,
    framesWanted: number,
  ): number;
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

/**
 * The reading kernel: goes over plain frames (fields 1 to 3 alone) without a JS call for each. Bet: a frame of 100 bytes
 * of data costs a fraction of the parser (bench/workloads/replay.ts), copying a piece of a segment into the kernel's memory
 * included.
 *
 * It only accepts. A frame at which it stops, extended or damaged, is left to the parser in TypeScript, which alone knows the
 * rules for it. So the two cannot disagree about validity, only about which of them checks a frame.
 */
export class PlainFrames {
  /** Bytes that [load] can take. */
  readonly bytesMax: number;
  /** For each frame of the last [scan] that was wanted: start and end of its data, offsets in the bytes that were loaded. */
  readonly index: Uint32Array;
  readonly #exports: ScanExports;
  readonly #bytes: Uint8Array;
  readonly #framesMax: number;

  private constructor(exports: ScanExports) {
    const { memory, bytesStart, bytesMax, indexStart, framesMax } = exports;
    this.bytesMax = bytesMax.value;
    this.index = new Uint32Array(memory.buffer, indexStart.value, 2 * framesMax.value);
    this.#exports = exports;
    this.#bytes = new Uint8Array(memory.buffer, bytesStart.value, this.bytesMax);
    this.#framesMax = framesMax.value;
    exports.fillTables();
  }

  /** `undefined` if the engine has no WebAssembly (`--jitless`), or none with vectors (x64 without SSE4.1). */
  static create(): PlainFrames | undefined {
    const wasm = (globalThis as { WebAssembly?: WebAssemblyNamespace }).WebAssembly;
    if (!wasm?.validate(PLAIN_FRAMES_WASM)) return undefined;
    const instance = new wasm.Instance(new wasm.Module(PLAIN_FRAMES_WASM), {});
    return new PlainFrames(instance.exports as ScanExports);
  }

  /** Takes a piece of a segment, at most `bytesMax` bytes, in place of the one before. */
  load(bytes: Uint8Array): void {
    this.#bytes.set(bytes);
  }

  /**
   * Goes over valid plain frames from offset `from` of the loaded bytes on, of which `length` count, as long as they start
   * before `until`. Their LSNs are `firstLsn` and so on, at most up to `lastLsn`. Those from `wantedLsn` on have their
   * data's checksum verified and are in [index]. Returns how many frames it went over.
   */
  scan(
    from: number,
    until: number,
    length: number,
    firstLsn: number,
    wantedLsn: number,
    lastLsn: number,
  ): number {
    const most = Math.min(this.#framesMax, lastLsn - firstLsn + 1);
    return this.#exports.scan(from, until, length, firstLsn, wantedLsn, most);
  }

  /** Where the first frame that the last [scan] did not go over starts. */
  get stoppedAt(): number {
    return this.#exports.stoppedAt.value;
  }
}
