import { crc32 } from 'node:zlib';
import { loadModule } from './package-modules.js';

/** Tools for the files besides segments that are read and written as protobuf messages. */
export interface CodecTools {
  /** The writer and the reader only: they need no code that is generated at run time. */
  readonly protobuf: Pick<typeof import('protobufjs/minimal.js'), 'Writer' | 'Reader'>;
  readonly crc32: (bytes: Uint8Array, seed?: number) => number;
}

let loaded: CodecTools | undefined;

/** protobufjs is loaded on first use: most logs have no such file. @throws as [loadModule] */
export function codecTools(): CodecTools {
  loaded ??= { protobuf: loadModule('protobufjs/minimal') as CodecTools['protobuf'], crc32 };
  return loaded;
}
