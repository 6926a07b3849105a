const SHOWN = 10;

/** The files of a run that took longest: the time of their processes, which on a busy machine wait for each other. */
export class SlowFiles {
  #files = new Map();

  take({ type, data }) {
    if (data?.nesting !== 0 || data.file === undefined) return;
    const file = this.#files.get(data.file) ?? { processMs: undefined, testsMs: 0 };
    this.#files.set(data.file, file);
    // The runner takes each file for a test, whose name is the path.
    if (type === 'test:complete' && data.file.endsWith(data.name)) file.processMs = data.details.duration_ms;
    else if (type === 'test:pass' || type === 'test:fail') file.testsMs += data.details.duration_ms;
  }

  *lines() {
    // Helpers that call `test` are files, too, and have no process. A Node may not tell of processes at all: then the tests
    // of a file, which come one after the other, make up its time.
    const hasProcesses = [...this.#files.values()].some(({ processMs }) => processMs !== undefined);
    const all = [...this.#files]
      .map(([path, { processMs, testsMs }]) => ({ path, ms: hasProcesses ? processMs : testsMs }))
      .filter(({ ms }) => ms !== undefined)
      .sort((a, b) => b.ms - a.ms);
    const sumMs = all.reduce((sum, { ms }) => sum + ms, 0);
    yield `the slowest of ${all.length} files, which took ${seconds(sumMs)} s one by one:`;
    for (const { path, ms } of all.slice(0, SHOWN)) {
      yield `${seconds(ms).padStart(8)} s  ${path.replace(`${process.cwd()}/`, '')}`;
    }
  }
}

function seconds(ms) {
  return (ms / 1000).toFixed(1);
}
