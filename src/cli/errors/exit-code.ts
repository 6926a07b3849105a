import { basename, dirname } from 'node:path';
import { classifyName } from '../../format/segment-name.js';
import { describeReason } from '../../format/verdict.js';
import { WalError } from '../../index.js';
import { shellPath } from '../text/shell-path.js';
import { asToldByCommand } from './library-message.js';

/**
 * Exit codes of the process. The man page and docs/cli.md have the same table: it is generated from [EXIT_CODES] or
 * checked against it.
 */
export const ExitCode = {
  ok: 0,
  no: 1,
  usage: 2,
  locked: 3,
  io: 4,
  unsupported: 5,
  internal: 70,
  hangup: 129,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export const EXIT_CODES: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [ExitCode.ok, 'Done.'],
  [ExitCode.no, 'The log is damaged, the requested entry is not in it, or the user answered no.'],
  [ExitCode.usage, 'The command line or the input is wrong.'],
  [ExitCode.locked, 'Another process has the log open for writing.'],
  [ExitCode.io, 'A system call failed: a missing file, no permission, a full disk, a failed sync.'],
  [
    ExitCode.unsupported,
    'A later version wrote the files, or their format can only be read one segment at a time.',
  ],
  [ExitCode.internal, 'A bug in ringwal.'],
  [ExitCode.hangup, 'Ended by SIGHUP, after the log was closed.'],
  [ExitCode.interrupted, 'Ended by SIGINT (Ctrl-C), after the log was closed.'],
  [ExitCode.terminated, 'Ended by SIGTERM, after the log was closed.'],
];

/** An error that ends a command, with a message for the user. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  /** @param message whole sentences: the action, the cause and the way out */
  constructor(exitCode: ExitCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** An error as the command prints it. */
export interface Told {
  readonly exitCode: ExitCode;
  readonly message: string;
  /** The way out. */
  readonly hint?: string;
  /** For `--json`. */
  readonly details: Readonly<Record<string, unknown>>;
}

export function tellError(error: unknown): Told {
  if (error instanceof CliError) {
    return { exitCode: error.exitCode, message: error.message, details: {} };
  }
  if (error instanceof WalError) return tellWalError(error);
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) {
    return { exitCode: ExitCode.io, message, details: { code } };
  }
  return {
    exitCode: ExitCode.internal,
    message: `This should not have happened: ${message ?? String(error)}`,
    hint: 'Run the command again with RINGWAL_DEBUG=1 to print the stack, and report it.',
    details: {},
  };
}

function tellWalError(error: WalError): Told {
  const { code, path, lsn, offset } = error;
  const cause = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  const hint = hintFor(error);
  return {
    exitCode: exitCodeOf(error),
    message: asToldByCommand(error.message),
    ...(hint === undefined ? {} : { hint }),
    details: { code, path, lsn, offset, ...(cause === undefined ? {} : { cause }) },
  };
}

function exitCodeOf(error: WalError): ExitCode {
  switch (error.code) {
    case 'ERR_WAL_CORRUPT':
    case 'ERR_WAL_PURGED':
    case 'ERR_WAL_TRUNCATED':
      return ExitCode.no;
    case 'ERR_WAL_OPTION':
    case 'ERR_WAL_TOO_LARGE':
      return ExitCode.usage;
    case 'ERR_WAL_LOCKED':
      return ExitCode.locked;
    case 'ERR_WAL_UNSUPPORTED':
      return ExitCode.unsupported;
    default:
      return ExitCode.io;
  }
}

function hintFor({ code, path, message }: WalError): string | undefined {
  const log = path === undefined ? 'DIR' : shellPath(logOf(path));
  switch (code) {
    case 'ERR_WAL_CORRUPT':
      return message.startsWith('The backup is damaged')
        ? `\`ringwal verify ${log}\` shows what is damaged. Use another backup.`
        : howToRepair(log);
    case 'ERR_WAL_LOCKED':
      return 'Commands that read still work: cat, tail, get, inspect, verify, stats.';
    case 'ERR_WAL_UNSUPPORTED':
      return message.includes(describeReason('walg'))
        ? "Import segments in wal-go's later format one by one, oldest first: `ringwal cat SEGMENT -f length-prefixed | ringwal append NEW_DIR -f length-prefixed`."
        : `\`ringwal inspect ${log}\` shows the place.`;
    case 'ERR_WAL_PURGED':
      if (message.startsWith('Cannot restore')) return undefined;
      return `\`ringwal stats ${log}\` shows where the log begins.`;
    case 'ERR_WAL_TRUNCATED':
      return `Another process has cut off the end of the log. \`ringwal stats ${log}\` shows where it ends now.`;
    case 'ERR_WAL_WORKER_DIED':
      return 'Run the command again. If it fails again, run it with RINGWAL_DEBUG=1 to print the stack, and report it.';
    default:
      return undefined;
  }
}

/** The next commands for a damaged log. `log`: a result of [shellPath]. */
export function howToRepair(log: string): string {
  return `\`ringwal verify ${log}\` shows what is damaged, \`ringwal repair ${log} --dry-run\` what can be saved.`;
}

/** The log's directory. An error names it, or a segment in it. */
function logOf(path: string): string {
  return classifyName(basename(path)) === 'foreign' ? path : dirname(path);
}
