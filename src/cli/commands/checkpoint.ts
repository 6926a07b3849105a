import { Argument, Option } from 'commander';
import type { Wal } from '../../index.js';
import { openForWriting } from '../append/open-for-writing.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseCount } from '../flags/values.js';
import { expectLog, readStateFile } from '../look/log-directory.js';
import { describeData, namedCheckpoints } from '../look/named-checkpoints.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import { harmless, integer } from '../text/text.js';

interface Options {
  readonly name?: string;
  readonly data?: string;
  readonly remove?: true;
}

export const checkpoint = defineCommand<Options>({
  name: 'checkpoint',
  summary: 'print, set or remove a checkpoint',
  details: [
    'The checkpoint is the last entry that the application has processed; retention can wait for it (--retain-from). Without an LSN the command prints it, also while another process writes the log. With an LSN it records that LSN durably; no other process may have the log open for writing. 0 removes the checkpoint.',
    'With --name it is the checkpoint of one of several consumers. Setting one without --data keeps its data. `ringwal inspect` lists all of them.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('[lsn]', 'the last processed entry').argParser(parseCount),
  ],
  options: [
    new Option('--name <name>', 'the checkpoint of this consumer'),
    new Option('--data <text>', 'with --name and an LSN: data of the consumer, at most 4096 bytes of text'),
    new Option('--remove', 'with --name: remove it; its consumer is gone for ever'),
  ],
  examples: [
    { command: 'ringwal checkpoint ./log', what: 'Print the checkpoint.' },
    { command: 'ringwal checkpoint ./log 41207', what: 'Record that all entries up to 41207 are processed.' },
    { command: 'ringwal checkpoint ./log --name mailer', what: 'How far has the mailer come?' },
    {
      command: 'ringwal checkpoint ./log --name mailer --remove',
      what: 'The mailer holds nothing back any more.',
    },
  ],
  json: 'An object with checkpointLsn, 0 for none; after setting it, also before, the previous checkpoint. With --name: name, checkpointLsn (null for none), data in base64; with --remove: name, removed.',
  async run(context, { json = false, name, data, remove = false }, [directory = '', lsnText]) {
    expectLog(directory);
    expectFitting({ name, data, remove, lsnText });
    const lsn = lsnText === undefined ? undefined : Number(lsnText);
    if (name === undefined) return unnamed(context, directory, json, lsn);
    if (!remove && lsn === undefined) return printNamed(context, directory, json, name);
    const wal = await openForWriting(context, directory);
    try {
      if (remove) await removeNamed(context, wal, json, name);
      else await setNamed(context, wal, json, { name, lsn: lsn as number, data });
    } finally {
      await wal.close();
    }
    return ExitCode.ok;
  },
});

function expectFitting(given: {
  readonly name: string | undefined;
  readonly data: string | undefined;
  readonly remove: boolean;
  readonly lsnText: string | undefined;
}): void {
  const { name, data, remove, lsnText } = given;
  const usage = (message: string) => new CliError(ExitCode.usage, message);
  if (name === undefined && (data !== undefined || remove))
    throw usage('--data and --remove are for a named checkpoint: use --name.');
  if (remove && (lsnText !== undefined || data !== undefined))
    throw usage('--remove takes neither an LSN nor --data.');
  if (data !== undefined && lsnText === undefined) throw usage('--data needs an LSN, which it belongs to.');
}

async function unnamed(
  context: Context,
  directory: string,
  json: boolean,
  lsn: number | undefined,
): Promise<ExitCode> {
  const { out } = context;
  if (lsn === undefined) {
    const checkpointLsn = readStateFile(directory)?.checkpoint ?? 0;
    if (json) out.json({ checkpointLsn });
    else out.line(String(checkpointLsn));
    return ExitCode.ok;
  }
  const wal = await openForWriting(context, directory);
  try {
    const before = wal.checkpointLsn;
    await wal.checkpoint(lsn);
    const { checkpointLsn } = wal;
    if (json) out.json({ before, checkpointLsn });
    else out.line(`The checkpoint is ${integer(checkpointLsn)}; it was ${integer(before)}.`);
    return ExitCode.ok;
  } finally {
    await wal.close();
  }
}

function printNamed({ out }: Context, directory: string, json: boolean, name: string): ExitCode {
  const found = namedCheckpoints(readStateFile(directory)).find((each) => each.name === name);
  if (json)
    out.json({
      name,
      checkpointLsn: found?.lsn ?? null,
      data: Buffer.from(found?.data ?? []).toString('base64'),
    });
  else if (found === undefined) throw new CliError(ExitCode.no, `There is no checkpoint "${name}".`);
  else out.line(found.data.length === 0 ? String(found.lsn) : `${found.lsn}  ${describeData(found.data)}`);
  return found === undefined ? ExitCode.no : ExitCode.ok;
}

async function setNamed(
  { out }: Context,
  wal: Wal,
  json: boolean,
  { name, lsn, data }: { readonly name: string; readonly lsn: number; readonly data: string | undefined },
): Promise<void> {
  const before = wal.checkpoints.get(name);
  await wal.checkpoint(lsn, { name, data: data ?? before?.data });
  if (json) out.json({ name, before: before?.lsn ?? null, checkpointLsn: lsn });
  else {
    const was = before === undefined ? 'there was none' : `it was ${integer(before.lsn)}`;
    out.line(`The checkpoint "${harmless(name)}" is ${integer(lsn)}; ${was}.`);
  }
}

async function removeNamed({ out }: Context, wal: Wal, json: boolean, name: string): Promise<void> {
  const removed = await wal.removeCheckpoint(name);
  if (json) out.json({ name, removed });
  else out.line(`${removed ? 'Removed' : 'There is no'} checkpoint "${harmless(name)}".`);
}
