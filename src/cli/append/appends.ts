/** A number of input entries, and their bytes. */
export interface Taken {
  readonly entries: number;
  readonly bytes: number;
}

/** Appends the input to the log, one record at a time, with bounded memory. It takes nothing after the first failure. */
export interface Appends {
  /** The part of the input, from its beginning and without a gap, that is known to be in the log. */
  readonly prefix: Taken;
  /** False = no room now. `record` is not used after the next [mark]. */
  tryTake(record: Uint8Array): boolean;
  /** Resolves once there is room for a record of `length` bytes. @throws the first append that failed */
  room(length: number): Promise<void>;
  /** Resolves once the caller may reuse the memory of the taken records. @throws the first append that failed */
  mark(): Promise<void>;
  /** Resolves once all appends are settled. @throws the first append that failed */
  idle(): Promise<void>;
}
