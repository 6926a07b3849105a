const LINE_FEED = 0x0a;

/**
 * The lines of a file, as bytes. A line keeps its line break, so the lines put together equal any file.
 */
export class Lines {
  /** Where each line starts, and the end of the file: line n is [starts[n], starts[n + 1]). */
  #starts = [0];

  constructor(bytes) {
    this.bytes = bytes;
    for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1))
      this.#starts.push(at + 1);
    // The rest without a line break is a line too.
    if (this.#starts.at(-1) < bytes.length) this.#starts.push(bytes.length);
  }

  get count() {
    return this.#starts.length - 1;
  }

  at(line) {
    return this.slice(line, line + 1);
  }

  /** Does the line consist of these bytes? */
  equals(line, data) {
    return this.bytes.compare(data, 0, data.length, this.#starts[line], this.#starts[line + 1]) === 0;
  }

  /** The bytes of the lines [from, to). */
  slice(from, to) {
    return this.bytes.subarray(this.#starts[from], this.#starts[to]);
  }
}

/** Splits a stream of chunks into lines in the same way. */
export async function* linesOf(chunks) {
  let pieces = [];
  for await (const chunk of chunks) {
    const lines = new Lines(chunk);
    for (let n = 0; n < lines.count; n++) {
      pieces.push(lines.at(n));
      if (pieces.at(-1).at(-1) !== LINE_FEED) break; // its end comes with the next chunk
      yield pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
      pieces = [];
    }
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}
