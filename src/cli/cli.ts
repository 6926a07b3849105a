#!/usr/bin/env node
import { ExitCode } from './errors/exit-code.js';
import { reportError, runProgram } from './program.js';
/** The command `ringwal`: dist/cli.js starts here. */
import { Context } from './terminal/context.js';

const context = new Context(process);
const argv = process.argv.slice(2);
process.on('uncaughtException', (error) => {
  process.exit(reportError(context, error, argv));
});
runProgram(context, argv).then(async (exitCode) => {
  await context.out.flush();
  const { outputFailure } = context;
  // What was printed last may have been too much: the command could not know.
  if (exitCode === ExitCode.ok && outputFailure !== undefined) {
    process.exit(reportError(context, outputFailure, argv));
  }
  // Whatever is still under way, an interrupted verification or an unread standard input, nobody waits for.
  process.exit(exitCode);
});
