#!/usr/bin/env node
/** The command `ringwal`: dist/cli.js starts here. */
import { Context } from './context.js';
import { reportError, runProgram } from './program.js';

const context = new Context(process);
const argv = process.argv.slice(2);
process.on('uncaughtException', (error) => {
  process.exit(reportError(context, error, argv));
});
runProgram(context, argv).then(async (exitCode) => {
  await context.out.flush();
  // Whatever is still under way, an interrupted verification or an unread standard input, nobody waits for.
  process.exit(exitCode);
});
