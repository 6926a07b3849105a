/** Why {@link crashTest} fails: a promise of the store that it did not keep. */
export class CrashTestFailure extends Error {
  /** Tells it from other errors. */
  readonly code = 'ERR_CRASH_TEST';
  /** With it as `RINGWAL_SEED` the test begins with the life that failed. */
  readonly seed: number;
  /** What happened in the shortest life that fails, one event in a line. */
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
