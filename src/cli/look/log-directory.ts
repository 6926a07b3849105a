import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { classifyName, STATE_FILE } from '../../format/segment-name.js';
import { decodeState, type LogState } from '../../format/state-file.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { readSmallFile } from './small-file.js';

/** What a path on the command line leads to. @throws where it leads to nothing, or to what is neither */
export function kindOf(path: string): 'directory' | 'file' {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new CliError(ExitCode.io, `There is no "${path}".`);
  if (found.isDirectory()) return 'directory';
  if (found.isFile()) return 'file';
  throw new CliError(ExitCode.usage, `"${path}" is neither a directory nor a regular file.`);
}

/**
 * For what only makes sense of a log that is there: a directory that holds none of a log's files holds no log, and every command
 * but `append`, which makes one, says so. A log that nothing was appended to yet has files.
 *
 * @throws where `directory` is no log's
 */
export function expectLog(directory: string): void {
  if (kindOf(directory) === 'file') {
    throw new CliError(ExitCode.usage, `"${directory}" is a file: the log's directory is wanted here.`);
  }
  if (readdirSync(directory).some((name) => classifyName(name) !== 'foreign')) return;
  throw new CliError(
    ExitCode.io,
    `There is no log in "${directory}": no wal-0, wal-1, … and no ${STATE_FILE}. \`ringwal append\` makes one.`,
  );
}

/** More than any state file has. */
const STATE_BYTES_MAX = 4096;

/** What the state file says; `undefined` where it is missing or cannot be read, which loses only what it knew. */
export function readStateFile(directory: string): LogState | undefined {
  const bytes = readSmallFile(join(directory, STATE_FILE), STATE_BYTES_MAX);
  if (bytes === undefined || bytes === 'no file') return undefined;
  const state = decodeState(bytes);
  return 'fault' in state ? undefined : state;
}
