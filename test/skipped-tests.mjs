/** Each reason why tests of a run were skipped, with how many they are. `.ci/run` gathers them. */
export class SkippedTests {
  #counts = new Map();

  take({ type, data }) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) return;
    const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : `no reason: ${data.name}`;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  *lines() {
    for (const [reason, count] of this.#counts) yield `skipped: ${count} × ${reason}`;
  }
}
