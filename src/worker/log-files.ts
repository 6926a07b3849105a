import { join } from 'node:path';
import type { Disk } from '../files/disk.js';
import { WindowedSource } from '../files/windowed-source.js';
import type { ByteSource, SegmentFile } from '../format/bytes.js';
import { classifyName, parseSegmentName, segmentName } from '../format/segment-name.js';

export interface LogListing {
  /** Ascending by number. */
  readonly segments: readonly SegmentFile[];
  readonly foreignFiles: readonly string[];
}

/** What lies in a log's directory. */
export function listLog(disk: Disk, directory: string): LogListing {
  const names = disk.list(directory);
  const numbers = names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a - b);
  return {
    segments: numbers.map((number) => segmentFile(disk, directory, number)),
    foreignFiles: names.filter((name) => classifyName(name) === 'foreign').sort(),
  };
}

/** A file's bytes for the scanner. */
export function openSource(disk: Disk, path: string): ByteSource {
  const file = disk.open(path, 'r');
  try {
    return new WindowedSource(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

function segmentFile(disk: Disk, directory: string, number: number): SegmentFile {
  return { number, open: () => openSource(disk, join(directory, segmentName(number))) };
}
