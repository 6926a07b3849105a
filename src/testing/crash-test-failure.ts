/** The error of a failed {@link crashTest}: the store has broken a promise. */
export class CrashTestFailure extends Error {
  /** Distinguishes it from other errors. */
  readonly code = 'ERR_CRASH_TEST';
  /** Set `RINGWAL_SEED` to it, and the test begins with the life that failed. */
  readonly seed: number;
  /** The events of the shortest life that fails, one per line. */
  readonly history: readonly string[];

  /** For {@link crashTest}. */
  constructor(
    complaint: string,
    details: { readonly seed: number; readonly history: readonly string[]; readonly cause?: unknown },
  ) {
    const { seed, history, cause } = details;
    super(
      [complaint, '', ...history.map((line) => `  ${line}`), '', `Again: RINGWAL_SEED=${seed}`].join('\n'),
      cause === undefined ? undefined : { cause },
    );
    this.name = 'CrashTestFailure';
    this.seed = seed;
    this.history = history;
  }
}
