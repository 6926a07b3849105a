/** No other thread has this word, so only the timeout ends the wait. */
const privateWord = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the calling thread for `ms` milliseconds. */
export function pause(ms: number): void {
  Atomics.wait(privateWord, 0, 0, ms);
}
