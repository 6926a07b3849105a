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
  // The last write to standard output may have failed after the command had finished.
  if (exitCode === ExitCode.ok && outputFailure !== undefined) {
    process.exit(reportError(context, outputFailure, argv));
  }
  // The process does not wait for unfinished work: an interrupted verification, or unread standard input.
  process.exit(exitCode);
});
