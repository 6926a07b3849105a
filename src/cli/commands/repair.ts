import { basename } from 'node:path';
import { Argument, Option } from 'commander';
import { Wal, type WalRepair } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import { expectLog } from '../look/log-directory.js';
import { colored } from '../look/verdict-text.js';
import { defineCommand } from '../program/definition.js';
import type { Output } from '../terminal/output.js';
import { confirm } from '../terminal/question.js';
import { integer, lsnRange, plural } from '../text/text.js';

interface Options {
  readonly mode: 'truncate' | 'salvage';
  readonly dryRun?: true;
  readonly yes?: true;
}

export const repair = defineCommand<Options>({
  name: 'repair',
  summary: 'make a damaged log one that opens, with what can be kept',
  details: [
    'Shows first what it will do, and asks. With the mode truncate the log ends before the first entry that cannot be read; with salvage every entry and every whole batch that can be read is kept, with its LSN. Every byte that is taken out stays beside the log in a file ringwal.cut-….',
    'A log that is clean or merely torn is left as it is. Interrupted, it can be run again and comes to the same end.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-m, --mode <mode>', 'what is kept').choices(['truncate', 'salvage']).default('truncate'),
    new Option('-n, --dry-run', 'only show what would be done'),
    new Option('-y, --yes', 'do it without asking'),
  ],
  examples: [
    { command: 'ringwal repair ./log --dry-run', what: 'What would be lost?' },
    { command: 'ringwal repair ./log --mode salvage --dry-run', what: 'And what the other way?' },
    { command: 'ringwal repair ./log --mode salvage --yes', what: 'Do that.' },
  ],
  json: 'The report of Wal.repair: mode, dryRun, row, verdict, watermark, firstLsn, lastLsn, lostLsns, changedSegments, removedSegments, sideFiles.',
  async run(context, { mode, dryRun = false, yes = false, json = false }, [directory = '']) {
    expectLog(directory);
    const { out } = context;
    const plan = await context.waitFor('reading the log', Wal.repair(directory, { mode, dryRun: true }));
    const isNeeded = hasWork(plan);
    if (dryRun || !isNeeded) {
      if (json) out.json(plan);
      else printPlan(out, plan, dryRun ? 'It would' : 'It will');
      return ExitCode.ok;
    }
    if (!yes) {
      if (!json) printPlan(out, plan, 'It will');
      if (!(await confirm(context, 'Go ahead?'))) {
        context.error('Nothing was changed.');
        return ExitCode.no;
      }
    }
    const done = await context.waitFor('repairing the log', Wal.repair(directory, { mode }));
    if (json) out.json(done);
    else printDone(out, done);
    return ExitCode.ok;
  },
});

/** A salvage that was interrupted is finished whatever the verdict is by now. */
function hasWork({ verdict, changedSegments, removedSegments }: WalRepair): boolean {
  return verdict === 'corrupt' || changedSegments.length + removedSegments.length > 0;
}

function printPlan(out: Output, plan: WalRepair, it: string): void {
  const { colors } = out;
  const { mode, verdict, row, firstLsn, lastLsn, lostLsns, watermark } = plan;
  out.sentence(`The log is ${colors.bold(colored(colors, verdict))} (row ${row} of docs/format.md).`);
  if (!hasWork(plan)) {
    out.sentence('There is nothing to repair: it opens as it is.');
    return;
  }
  const kept = lastLsn === 0 ? 'keep no entry' : `keep entries ${lsnRange(firstLsn, lastLsn)}`;
  const gaps = mode === 'salvage' ? ', those among them that can be read,' : '';
  out.sentence(`Mode ${colors.bold(mode)}. ${it}`);
  out.sentence(`  ${kept}${gaps} and give up ${colors.red(plural(lostLsns, 'entry', 'entries'))};`);
  out.sentence(
    `  acknowledged as durable were entries up to ${integer(watermark)}, as far as the files show it.`,
  );
  printFiles(out, mode === 'salvage' ? 'write anew' : 'cut', plan.changedSegments);
  printFiles(out, 'remove', plan.removedSegments);
  out.sentence('  Every byte that is taken out is kept beside the log, in a file ringwal.cut-….');
}

function printDone(out: Output, { firstLsn, lastLsn, lostLsns, sideFiles }: WalRepair): void {
  out.sentence(
    `${out.colors.green('Repaired.')} The log holds entries ${lsnRange(firstLsn, lastLsn)}; ${plural(lostLsns, 'entry was', 'entries were')} given up.`,
  );
  printFiles(out, 'taken out, and kept in', sideFiles);
}

function printFiles(out: Output, what: string, paths: readonly string[]): void {
  if (paths.length > 0) out.sentence(`  ${what} ${paths.map((path) => basename(path)).join(', ')}`);
}
