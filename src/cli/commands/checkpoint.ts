import { Argument } from 'commander';
import { openForWriting } from '../append/open-for-writing.js';
import { ExitCode } from '../errors/exit-code.js';
import { parseCount } from '../flags/values.js';
import { expectLog, readStateFile } from '../look/log-directory.js';
import { defineCommand } from '../program/definition.js';
import { integer } from '../text/text.js';

export const checkpoint = defineCommand({
  name: 'checkpoint',
  summary: 'print or set the checkpoint',
  details: [
    'The checkpoint is the last entry that the application has processed; retention can wait for it (--retain-from). Without an LSN the command prints it, also while another process writes the log. With an LSN it records it durably; no other process may have the log open for writing. 0 removes the checkpoint.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('[lsn]', 'the last processed entry').argParser(parseCount),
  ],
  options: [],
  examples: [
    { command: 'ringwal checkpoint ./log', what: 'Print the checkpoint.' },
    { command: 'ringwal checkpoint ./log 41207', what: 'Record that all entries up to 41207 are processed.' },
  ],
  json: 'An object with checkpointLsn, 0 for none; after setting it, also before, the previous checkpoint.',
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
