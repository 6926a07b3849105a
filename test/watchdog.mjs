/**
 * Ends a file of tests that does not end, and says what holds it: else the run would wait for it, and print nothing. The
 * limit decides no test: a whole suite takes less.
 */
import { isMainThread } from 'node:worker_threads';

const MINUTES = 15;

// Only the processes of the files have it: the one that starts them lives as long as all of them together.
if (isMainThread && process.env.NODE_TEST_CONTEXT?.startsWith('child')) {
  setTimeout(() => {
    const held = process.getActiveResourcesInfo().join(', ');
    console.error(`${process.argv[1]} has not ended in ${MINUTES} minutes. What keeps it alive: ${held}`);
    process.exit(1);
  }, MINUTES * 60_000).unref();
}
