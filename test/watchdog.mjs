/**
 * Ends a file of tests in which no test ends any more, and says what holds it: else the run would wait for it, and print nothing. The
 * limit decides no test: each ends in less, also on a busy machine. A main thread that is blocked does not hear of it.
 */
import { writeSync } from 'node:fs';
import { afterEach } from 'node:test';
import { isMainThread } from 'node:worker_threads';

const MINUTES = 15;

// Only the processes of the files have it: the one that starts them lives as long as all of them together.
if (isMainThread && process.env.NODE_TEST_CONTEXT?.startsWith('child')) {
  const limit = setTimeout(end, MINUTES * 60_000).unref();
  afterEach(() => {
    limit.refresh();
  });
}

function end() {
  const held = process.getActiveResourcesInfo().join(', ');
  writeSync(
    2,
    `${process.argv[1]}: no test has ended for ${MINUTES} minutes. What keeps it alive: ${held}\n`,
  );
  // Not by `exit`: a log that is open would flush, and may be what hangs.
  process.kill(process.pid, 'SIGKILL');
}
