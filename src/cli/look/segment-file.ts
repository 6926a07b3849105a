import { createNodeDisk } from '../../files/node-disk.js';
import { WindowedSource } from '../../files/windowed-source.js';
import type { Frame, SegmentStamp } from '../../format/frame.js';
import { FrameCursor } from '../../format/frame-cursor.js';

/** A first frame is small, except for its data, which is not read. */
const FIRST_FRAME_BYTES = 4096;

/** The bytes of a segment file while `use` runs, through one window of memory. */
export function* withSegment<T>(path: string, use: (source: WindowedSource) => Iterable<T>): Generator<T> {
  const file = createNodeDisk().open(path, 'r');
  try {
    yield* use(new WindowedSource(file));
  } finally {
    file.close();
  }
}

/** The Segment in the first frame of a segment; `undefined` if it cannot be read, or if there is none, as in wal-go's files. */
export function readStamp(path: string): SegmentStamp | undefined {
  return readFirstFrame(path)?.segment;
}

/** The first frame of a segment, without its data; `undefined` if it is not valid. */
export function readFirstFrame(path: string): Frame | undefined {
  const file = createNodeDisk().open(path, 'r');
  try {
    const cursor = new FrameCursor(FIRST_FRAME_BYTES);
    const fault = cursor.enter(new WindowedSource(file, FIRST_FRAME_BYTES), -1).check();
    return fault === undefined ? { ...cursor.frame } : undefined;
  } finally {
    file.close();
  }
}
