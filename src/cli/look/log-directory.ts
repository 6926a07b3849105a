import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { classifyName, STATE_FILE } from '../../format/segment-name.js';
import { decodeState, type LogState, STATE_BYTES_MAX } from '../../format/state-file.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { readSmallFile } from './small-file.js';

/** The kind of a path on the command line. @throws if there is no such file, or if it is neither */
export function kindOf(path: string): 'directory' | 'file' {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new CliError(ExitCode.io, `There is no "${path}".`);
  if (found.isDirectory()) return 'directory';
  if (found.isFile()) return 'file';
  throw new CliError(ExitCode.usage, `"${path}" is neither a directory nor a regular file.`);
}

/**
 * For commands that need an existing log: all but `append`, which creates one. A directory without any of a log's
 * files contains no log. A log without entries has files.
 *
 * @throws if `directory` contains no log
 */
export function expectLog(directory: string): void {
  if (kindOf(directory) === 'file') {
    throw new CliError(ExitCode.usage, `Cannot open "${directory}": it is a file. Name the log's directory.`);
  }
  if (readdirSync(directory).some((name) => classifyName(name) !== 'foreign')) return;
  throw new CliError(
    ExitCode.io,
    `There is no log in "${directory}": no wal-0, wal-1, … and no ${STATE_FILE}. \`ringwal append\` makes one.`,
  );
}

/**
 * The content of the state file; `undefined` if it is missing or cannot be read, which loses only the information in
 * it.
 */
export function readStateFile(directory: string): LogState | undefined {
  const bytes = readSmallFile(join(directory, STATE_FILE), STATE_BYTES_MAX);
  if (bytes === undefined || bytes === 'no file') return undefined;
  const state = decodeState(bytes);
  return 'fault' in state ? undefined : state;
}
