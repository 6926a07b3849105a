import { Argument, Option } from 'commander';
import { type SnapshotInfo, type SnapshotReport, Wal, type WalReader } from '../../index.js';
import { openForWriting } from '../append/open-for-writing.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseLsn } from '../flags/values.js';
import { expectLog } from '../look/log-directory.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import { confirm } from '../terminal/question.js';
import { progressBar } from '../terminal/status-line.js';
import { shellPath } from '../text/shell-path.js';
import { bytes, harmless, integer, plural, table, time } from '../text/text.js';

interface Options {
  readonly yes?: true;
  readonly json?: boolean | undefined;
}

const ACTIONS = ['list', 'cat', 'verify', 'rm'] as const;

export const snapshot = defineCommand<Options>({
  name: 'snapshot',
  summary: 'list, print, check or remove the snapshots of a log',
  details: [
    '`list` prints the snapshots whose first and last bytes are intact, newest first. `verify` reads all of them, compares them with the log, and ends with 1 if one cannot be used. `cat` prints the data of one, by default of the newest; each chunk is checked before it is printed. `rm` removes one, also one that cannot be used.',
    'All but `rm` also work while another process writes the log.',
  ],
  arguments: [
    new Argument('<do>', 'what to do').choices(ACTIONS),
    new Argument('<dir>', "the log's directory"),
    new Argument('[lsn]', 'the snapshot at this entry').argParser(parseLsn),
  ],
  options: [new Option('-y, --yes', 'with rm: do not ask for confirmation')],
  examples: [
    { command: 'ringwal snapshot list ./log', what: 'Which snapshots are there?' },
    { command: 'ringwal snapshot verify ./log || alert', what: 'Can all of them be used?' },
    { command: 'ringwal snapshot cat ./log > state', what: 'Write the data of the newest one to a file.' },
    { command: 'ringwal snapshot rm ./log 41207', what: 'Remove one.' },
  ],
  json: 'list: an object with snapshots, each with lsn, format, bytes, createdMs and path. verify: the same, each also with isValid, and reason if it is false. rm: an object with lsn and removed. cat: the data, as without --json.',
  async run(context, options, [action = '', directory = '', lsnText]) {
    expectLog(directory);
    const lsn = lsnText === undefined ? undefined : Number(lsnText);
    switch (action as (typeof ACTIONS)[number]) {
      case 'list':
        return withReader(context, directory, async (log) => list(context, options, log.snapshots(), lsn));
      case 'verify':
        return withReader(context, directory, (log) => verify(context, options, log, lsn));
      case 'cat':
        return withReader(context, directory, (log) => cat(context, directory, log, lsn));
      case 'rm':
        return remove(context, options, directory, lsn);
    }
  },
});

async function withReader(
  context: Context,
  directory: string,
  act: (log: WalReader) => Promise<ExitCode>,
): Promise<ExitCode> {
  const opening = Wal.open(directory, { readOnly: true, signal: context.signal });
  const log = await context.waitFor('opening the log', opening);
  try {
    return await act(log);
  } finally {
    await log.close();
  }
}

function list(
  { out }: Context,
  { json = false }: Options,
  all: readonly SnapshotInfo[],
  lsn: number | undefined,
): ExitCode {
  const snapshots = all.filter((each) => lsn === undefined || each.lsn === lsn);
  if (json) out.json({ snapshots });
  else if (snapshots.length === 0) out.line('no snapshots');
  else for (const line of table(snapshots.map(cells), [0, 1])) out.line(line);
  return lsn !== undefined && snapshots.length === 0 ? ExitCode.no : ExitCode.ok;
}

function cells({ lsn, format = '', bytes: size = 0, createdMs = 0 }: Partial<SnapshotInfo>): string[] {
  return [integer(lsn ?? 0), bytes(size), time(createdMs), harmless(format)];
}

async function verify(
  context: Context,
  { json = false }: Options,
  log: WalReader,
  lsn: number | undefined,
): Promise<ExitCode> {
  const { out, signal } = context;
  const status = context.statusLine();
  let all: readonly SnapshotReport[];
  try {
    all = await log.verifySnapshots({
      signal,
      onProgress: ({ bytesRead, bytesTotal }) =>
        status.update(() => `reading ${progressBar(bytesRead, bytesTotal)} of ${bytes(bytesTotal)}`),
    });
  } finally {
    status.clear();
  }
  const snapshots = all.filter((each) => lsn === undefined || each.lsn === lsn);
  const bad = snapshots.filter(({ isValid }) => !isValid);
  if (json) out.json({ snapshots });
  else {
    const rows = snapshots.map((each) => [
      integer(each.lsn),
      each.isValid ? out.colors.green('valid') : out.colors.red('unusable'),
      each.isValid ? cells(each).slice(1).join('  ') : harmless(each.reason ?? ''),
    ]);
    for (const line of table(rows, [0])) out.line(line);
    out.line(
      bad.length === 0
        ? `${plural(snapshots.length, 'snapshot')}, all valid`
        : `${plural(bad.length, 'snapshot')} of ${integer(snapshots.length)} cannot be used`,
    );
  }
  return bad.length > 0 || (lsn !== undefined && snapshots.length === 0) ? ExitCode.no : ExitCode.ok;
}

async function cat(
  { out, signal }: Context,
  directory: string,
  log: WalReader,
  lsn: number | undefined,
): Promise<ExitCode> {
  const wanted = lsn ?? log.snapshots()[0]?.lsn;
  if (wanted === undefined) throw new CliError(ExitCode.no, `"${directory}" has no snapshot.`);
  for await (const chunk of log.readSnapshot(wanted, { signal })) {
    out.write(chunk);
    await out.room();
  }
  await out.flush();
  return ExitCode.ok;
}

async function remove(
  context: Context,
  { yes, json = false }: Options,
  directory: string,
  lsn: number | undefined,
): Promise<ExitCode> {
  if (lsn === undefined)
    throw new CliError(
      ExitCode.usage,
      `Cannot remove a snapshot: its LSN is missing. \`ringwal snapshot list ${shellPath(directory)}\` shows them.`,
    );
  const { out } = context;
  const log = await openForWriting(context, directory);
  try {
    const all = await log.verifySnapshots({ signal: context.signal });
    const found = all.find((each) => each.lsn === lsn);
    if (found === undefined) throw new CliError(ExitCode.no, `"${directory}" has no snapshot at ${lsn}.`);
    const others = all.filter((each) => each.isValid && each.lsn !== lsn);
    const isLast = found.isValid && others.length === 0 && log.firstLsn > 1;
    if (isLast)
      context.warn(
        `It is the only one that can be used, and the log begins at entry ${integer(log.firstLsn)}: the state before it will be lost.`,
      );
    if (yes !== true && !(await confirm(context, `Remove the snapshot at ${integer(lsn)}?`))) {
      context.error('Nothing was changed.');
      return ExitCode.no;
    }
    await log.removeSnapshot(lsn);
    if (json) out.json({ lsn, removed: true });
    else out.line(`The snapshot at ${integer(lsn)} is removed.`);
    return ExitCode.ok;
  } finally {
    await log.close();
  }
}
