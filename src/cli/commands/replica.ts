import { Argument } from 'commander';
import { type ReplicaAdapter, type ReplicatedLog, Wal } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import { expectLog, readStateFile } from '../look/log-directory.js';
import { createTables, expectReplica, replicaOf, replicaOption } from '../look/replica-adapter.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import { integer, plural } from '../text/text.js';

interface Options {
  readonly replica?: string;
}

export const replica = defineCommand<Options>({
  name: 'replica',
  summary: 'show how far a log is replicated, or make the tables for it',
  details: [
    'Shows what the files of the log say: under which epoch it was replicated last, and up to which entry. The log records that about once a second. With --replica the command asks the replica, too: where it ends, who writes there, and whether another writer has taken over.',
    '`ringwal replica init` makes the tables of the PostgreSQL adapter in the database that --replica names, where they are missing. A directory with the name init is ./init.',
  ],
  arguments: [new Argument('<dir>', "the log's directory, or init")],
  options: [replicaOption()],
  examples: [
    { command: 'ringwal replica ./log', what: 'How far is it replicated, by its own files?' },
    { command: 'RINGWAL_REPLICA=postgresql://db/wal ringwal replica init', what: 'Make the tables.' },
  ],
  json: 'An object with directory, logId, durableLsn, epoch, replicatedLsn, lagEntries, and remote: null, or an object with writer, epoch, lsn, confirmed and floor. Of init: an object with created: true.',
  async run(context, { replica: where, json = false }, [directory = '']) {
    if (directory === 'init') return init(context, await expectReplica(where), json);
    expectLog(directory);
    const adapter = await replicaOf(where);
    const log = await Wal.open(directory, { readOnly: true, signal: context.signal });
    const { durableLsn } = log;
    await log.close();
    const state = readStateFile(directory);
    const logId = (state?.logId ?? 0n).toString(16).padStart(16, '0');
    const { epoch = 0, lsn: replicatedLsn = 0 } = state?.replicated ?? {};
    const remote = adapter && (await context.waitFor('asking the replica', remoteLog(adapter, logId)));
    const found = {
      directory,
      logId,
      durableLsn,
      epoch,
      replicatedLsn,
      lagEntries: Math.max(0, durableLsn - (remote?.lsn ?? replicatedLsn)),
      remote: remote ?? null,
    };
    if (json) context.out.json(found);
    else print(context, found, adapter !== undefined);
    return ExitCode.ok;
  },
});

interface Found {
  readonly logId: string;
  readonly durableLsn: number;
  readonly epoch: number;
  readonly replicatedLsn: number;
  readonly lagEntries: number;
  readonly remote: Omit<ReplicatedLog, 'logId'> | null;
}

async function init(context: Context, adapter: ReplicaAdapter, json: boolean): Promise<ExitCode> {
  await context.waitFor('making the tables', createTables(adapter));
  if (json) context.out.json({ created: true });
  else context.out.sentence('The tables ringwal_log, ringwal_batch and ringwal_cut are there.');
  return ExitCode.ok;
}

async function remoteLog(
  adapter: ReplicaAdapter,
  logId: string,
): Promise<Omit<ReplicatedLog, 'logId'> | undefined> {
  const log = (await Wal.replicatedLogs(adapter)).find((each) => each.logId === logId);
  if (log === undefined) return undefined;
  const { logId: _, ...others } = log;
  return others;
}

function print({ out }: Context, found: Found, isAsked: boolean): void {
  const { logId, durableLsn, epoch, replicatedLsn, lagEntries, remote } = found;
  out.line(`Log ${logId}: durable up to entry ${integer(durableLsn)}.`);
  out.line(
    epoch === 0
      ? 'Its files say that it was never replicated.'
      : `Its files say: replicated up to entry ${integer(replicatedLsn)}, under epoch ${integer(epoch)}.`,
  );
  if (!isAsked) return;
  if (remote === null) {
    out.line('The replica does not hold this log.');
    return;
  }
  out.line(
    `The replica ends with entry ${integer(remote.lsn)}, confirmed up to ${integer(remote.confirmed)}; ${plural(lagEntries, 'entry', 'entries')} behind.`,
  );
  out.line(
    remote.epoch > epoch
      ? `Epoch ${integer(remote.epoch)} belongs to "${remote.writer}". If that is not the process that writes this directory, another writer has taken over.`
      : `Epoch ${integer(remote.epoch)} belongs to the writer of this directory.`,
  );
}
