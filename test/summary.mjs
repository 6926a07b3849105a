/**
 * A reporter of node:test beside the one that prints the results: once all files have ended, what was skipped and what took
 * long, as comments of TAP. One for both: the stream of events warns of more listeners than two reporters have.
 */
import { SkippedTests } from './skipped-tests.mjs';
import { SlowFiles } from './slow-files.mjs';

export default async function* summary(events) {
  const parts = [new SkippedTests(), new SlowFiles()];
  for await (const event of events) for (const part of parts) part.take(event);
  for (const part of parts) for (const line of part.lines()) yield `# ${line}\n`;
}
