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
  summary: 'repair a damaged log so that it opens again',
  details: [
    'Shows what it will do, and asks for confirmation. With the mode truncate, the log then ends before the first unreadable entry. With salvage, it keeps every readable entry and every whole batch, with its LSN. It saves every byte that it removes in a file ringwal.cut-… beside the log.',
    'It does not change a clean or torn log. After an interruption, run it again: the result is the same.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('-m, --mode <mode>', 'which entries to keep')
      .choices(['truncate', 'salvage'])
      .default('truncate'),
    new Option('-n, --dry-run', 'only show what the command would do'),
    new Option('-y, --yes', 'do not ask for confirmation'),
  ],
  examples: [
    { command: 'ringwal repair ./log --dry-run', what: 'Show what truncate would lose.' },
    { command: 'ringwal repair ./log --mode salvage --dry-run', what: 'Show what salvage would lose.' },
    { command: 'ringwal repair ./log --mode salvage --yes', what: 'Repair without asking.' },
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

/** An interrupted salvage is finished, even if the verdict has changed. */
function hasWork({ verdict, changedSegments, removedSegments }: WalRepair): boolean {
  return verdict === 'corrupt' || changedSegments.length + removedSegments.length > 0;
}

function printPlan(out: Output, plan: WalRepair, it: string): void {
  const { colors } = out;
  const { mode, verdict, row, firstLsn, lastLsn, lostLsns, watermark } = plan;
  out.sentence(`The log is ${colors.bold(colored(colors, verdict))} (row ${row} of docs/format.md).`);
  if (!hasWork(plan)) {
    out.sentence('There is nothing to repair: the log opens as it is.');
    return;
  }
  const kept = lastLsn === 0 ? 'keep no entry' : `keep entries ${lsnRange(firstLsn, lastLsn)}`;
  const gaps = mode === 'salvage' ? ', as far as they are readable,' : '';
  out.sentence(`Mode ${colors.bold(mode)}. ${it}`);
  out.sentence(`  ${kept}${gaps} and give up ${colors.red(plural(lostLsns, 'entry', 'entries'))};`);
  out.sentence(
    `  entries up to ${integer(watermark)} were acknowledged as durable, as far as the files show.`,
  );
  printFiles(out, mode === 'salvage' ? 'rewrite' : 'cut', plan.changedSegments);
  printFiles(out, 'remove', plan.removedSegments);
  out.sentence('  Every removed byte is kept beside the log, in a file ringwal.cut-….');
}

function printDone(out: Output, { firstLsn, lastLsn, lostLsns, sideFiles }: WalRepair): void {
  out.sentence(
    `${out.colors.green('Repaired.')} The log holds entries ${lsnRange(firstLsn, lastLsn)}; ${plural(lostLsns, 'entry was', 'entries were')} given up.`,
  );
  printFiles(out, 'removed bytes are in', sideFiles);
}

function printFiles(out: Output, what: string, paths: readonly string[]): void {
  if (paths.length > 0) out.sentence(`  ${what} ${paths.map((path) => basename(path)).join(', ')}`);
}
