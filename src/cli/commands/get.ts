import { Argument, Option } from 'commander';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseLsn } from '../flags/values.js';
import { ENTRY_FORMATS, type EntryFormat, EntryWriter } from '../look/entry-format.js';
import { openEntries } from '../look/entry-source.js';
import { defineCommand } from '../program/definition.js';

interface Options {
  readonly format: EntryFormat;
}

export const get = defineCommand<Options>({
  name: 'get',
  summary: 'print one entry',
  details: [
    'Ends with 1 if the log does not contain the entry: retention removed it, its LSN was skipped, or it is not written yet.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('<lsn>', 'the entry').argParser(parseLsn),
  ],
  options: [
    new Option('-f, --format <format>', 'how to print the entry').choices(ENTRY_FORMATS).default('text'),
  ],
  examples: [{ command: 'ringwal get ./log 41207 --format raw > entry', what: 'Save the data of an entry.' }],
  json: 'As --format json: an object with lsn and text, or base64 if the data is not UTF-8.',
  async run(context, options, [directory = '', lsnText]) {
    const lsn = Number(lsnText);
    const source = await openEntries(context, directory);
    try {
      const entry = await source.get(lsn);
      if (entry === undefined) {
        const { firstLsn, lastLsn } = source;
        const holds = lastLsn === 0 ? 'it is empty' : `it holds ${firstLsn} to ${lastLsn}`;
        throw new CliError(ExitCode.no, `There is no entry ${lsn} in "${directory}": ${holds}.`);
      }
      const writer = new EntryWriter(context.out, {
        format: options.json === true ? 'json' : options.format,
      });
      writer.write(entry);
      await writer.flush();
      return ExitCode.ok;
    } finally {
      await source.close();
    }
  },
});
