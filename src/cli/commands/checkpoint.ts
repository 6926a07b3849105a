import { Argument } from 'commander';
import { openForWriting } from '../append/open-for-writing.js';
import { ExitCode } from '../errors/exit-code.js';
import { parseCount } from '../flags/values.js';
import { expectLog, readStateFile } from '../look/log-directory.js';
import { defineCommand } from '../program/definition.js';
import { integer } from '../text/text.js';

export const checkpoint = defineCommand({
  name: 'checkpoint',
  summary: 'print the checkpoint, or set it',
  details: [
    'The checkpoint says up to which entry a log has been dealt with; retention can wait for it (--retain-from). Without an LSN it is printed, also of a log that another process writes. With one it is recorded durably, for which the log must not be open elsewhere; 0 takes it back.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('[lsn]', 'the last entry that was dealt with').argParser(parseCount),
  ],
  options: [],
  examples: [
    { command: 'ringwal checkpoint ./log', what: 'Where is it?' },
    { command: 'ringwal checkpoint ./log 41207', what: 'Entries up to 41207 have been dealt with.' },
  ],
  json: 'An object with checkpointLsn, 0 for none; when it was set, before too.',
  async run(context, { json = false }, [directory = '', lsnText]) {
    expectLog(directory);
    const { out } = context;
    if (lsnText === undefined) {
      const checkpointLsn = readStateFile(directory)?.checkpoint ?? 0;
      if (json) out.json({ checkpointLsn });
      else out.line(String(checkpointLsn));
      return ExitCode.ok;
    }
    const wal = await openForWriting(context, directory);
    try {
      const before = wal.checkpointLsn;
      await wal.checkpoint(Number(lsnText));
      const { checkpointLsn } = wal;
      if (json) out.json({ before, checkpointLsn });
      else out.line(`The checkpoint is ${integer(checkpointLsn)}; it was ${integer(before)}.`);
      return ExitCode.ok;
    } finally {
      await wal.close();
    }
  },
});
