/**
 * A reporter of node:test beside the one that prints the results: once all files have ended, the ten that took longest, as
 * comments of TAP. A file's time is that of its process; of a run in which files wait for a processor, that of a busy machine.
 */
const SHOWN = 10;

export default async function* slowFiles(events) {
  const files = new Map();
  for await (const { type, data } of events) {
    if (data?.nesting !== 0 || data.file === undefined) continue;
    const file = entryOf(files, data.file);
    if (type === 'test:complete' && isFile(data)) file.processMs = data.details.duration_ms;
    else if (type === 'test:pass' || type === 'test:fail') file.testsMs += data.details.duration_ms;
  }
  // Helpers that call `test` are files, too, and have no process. A Node may not tell of processes at all: then the tests
  // of a file, which come one after the other, make up its time.
  const hasProcesses = [...files.values()].some(({ processMs }) => processMs !== undefined);
  const all = [...files]
    .map(([path, { processMs, testsMs }]) => ({ path, seconds: (hasProcesses ? processMs : testsMs) / 1000 }))
    .filter(({ seconds }) => !Number.isNaN(seconds))
    .sort((a, b) => b.seconds - a.seconds);
  const sum = all.reduce((seconds, file) => seconds + file.seconds, 0);
  yield `# the slowest of ${all.length} files, which took ${sum.toFixed(0)} s one by one:\n`;
  for (const { path, seconds } of all.slice(0, SHOWN))
    yield `# ${seconds.toFixed(1).padStart(7)} s  ${path.replace(`${process.cwd()}/`, '')}\n`;
}

function entryOf(files, path) {
  const file = files.get(path) ?? { processMs: undefined, testsMs: 0 };
  files.set(path, file);
  return file;
}

/** The runner takes each file for a test, whose name is the path. */
function isFile({ name, file }) {
  return file.endsWith(name);
}
