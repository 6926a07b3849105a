import { Argument } from 'commander';
import { Wal } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import { expectReplica, logIdOption, replicaOption } from '../look/replica-adapter.js';
import { defineCommand } from '../program/definition.js';
import { integer } from '../text/text.js';

interface Options {
  readonly replica?: string;
  readonly logId?: string;
}

export const takeover = defineCommand<Options>({
  name: 'takeover',
  summary: 'make a directory the newest writer of a replicated log',
  details: [
    'Fences every earlier writer, and makes the log in the directory that of the replica: it fetches the entries that are missing, and sets aside those that the replica does not hold. If there is no log in the directory, it is restored. Then the command closes the log; the program that opens it next with the option replica goes on at the end.',
    'Run it once the earlier writer is to be replaced: if that one still runs, it can replicate nothing from then on.',
  ],
  arguments: [new Argument('<dir>', "the log's directory; it may be missing")],
  options: [replicaOption(), logIdOption()],
  examples: [{ command: 'ringwal takeover ./log --replica ./replica.mjs', what: 'Continue the log here.' }],
  json: 'An object with directory, firstLsn, lastLsn and epoch.',
  async run(context, { replica, logId, json = false }, [directory = '']) {
    const adapter = await expectReplica(replica);
    const taken = Wal.takeOver(directory, { replica: adapter, logId, signal: context.signal });
    const log = await context.waitFor('taking over', taken);
    const { firstLsn, lastLsn } = log;
    const epoch = log.replica?.epoch ?? 0;
    await log.close();
    if (json) context.out.json({ directory, firstLsn, lastLsn, epoch });
    else
      context.out.sentence(
        `Took over "${directory}" under epoch ${integer(epoch)}: the log ends with entry ${integer(lastLsn)}.`,
      );
    return ExitCode.ok;
  },
});
