/** Entries of the input and their bytes. */
export interface Taken {
  readonly entries: number;
  readonly bytes: number;
}

/** How the input goes into the log, a record at a time, within bounds. After the first failure nothing more is taken. */
export interface Appends {
  /** So much of the input, from its beginning on and without a gap, is known to be in the log. */
  readonly prefix: Taken;
  /** False = no room now. `record` is not touched behind the next [mark]. */
  tryTake(record: Uint8Array): boolean;
  /** Resolves once there is room for one of `length` bytes. @throws the first append that failed */
  room(length: number): Promise<void>;
  /** The memory of the records that were taken is used again after it. @throws the first append that failed */
  mark(): Promise<void>;
  /** Resolves once all is settled. @throws the first append that failed */
  idle(): Promise<void>;
}
