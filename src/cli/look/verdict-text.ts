import { basename } from 'node:path';
import { describeReason } from '../../format/verdict.js';
import type { LsnRange, VerifyReport, VerifyTrouble } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import type { Colors } from '../terminal/output.js';
import { shellPath } from '../text/shell-path.js';
import { harmless, integer, lsnRange, plural } from '../text/text.js';

export type Verdict = VerifyReport['verdict'];

/** A torn log is intact: the next open cuts only entries that were never acknowledged. */
export function exitCodeFor(verdict: Verdict): ExitCode {
  if (verdict === 'corrupt') return ExitCode.no;
  return verdict === 'unsupported' ? ExitCode.unsupported : ExitCode.ok;
}

export function colored(colors: Colors, verdict: Verdict, text: string = verdict): string {
  if (verdict === 'clean') return colors.green(text);
  return verdict === 'torn' ? colors.yellow(text) : colors.red(text);
}

const MEANING: Readonly<Record<Verdict, string>> = {
  clean: 'The log is intact.',
  torn: 'A write was interrupted. The next open cuts it; nothing that was acknowledged as durable is lost.',
  corrupt:
    'Entries that were acknowledged cannot be read. Opening the log, or reading the damaged range, fails.',
  unsupported: 'A later version wrote the log, or its format can only be read one segment at a time.',
};

/** The summary of a report, in words. */
export function describeVerdict(report: VerifyReport, colors: Colors): string[] {
  const { verdict, row, trouble, lost, inDoubt, watermark, stateFault, foreignFiles } = report;
  const lines = [
    `${colors.bold(colored(colors, verdict))} (row ${row} of docs/format.md)  ${MEANING[verdict]}`,
  ];
  if (trouble !== undefined) {
    lines.push(`  ${describeTrouble(trouble)}`);
  }
  if (lost.length > 0) {
    lines.push(
      `  No repair keeps: ${ranges(lost)}. Some of the entries after the damaged one may still be readable: use --from.`,
    );
  }
  if (inDoubt.length > 0) {
    lines.push(
      verdict === 'corrupt'
        ? `  Readable entries after the damage: ${ranges(inDoubt)}.`
        : `  Unfinished, and never acknowledged as durable: ${ranges(inDoubt)}.`,
    );
  }
  if (verdict === 'corrupt') {
    lines.push(
      `  Entries up to ${integer(watermark)} were acknowledged as durable, as far as the files show.`,
    );
    const log = shellPath(report.directory);
    lines.push(`  \`ringwal repair ${log} --dry-run\` shows what can be saved, in each of two modes.`);
  }
  if (stateFault !== undefined)
    lines.push(`  ringwal.state cannot be read: ${stateFault}. Only the information in it is lost.`);
  if (foreignFiles.length > 0) {
    lines.push(
      `  These files do not belong to the log and are ignored: ${foreignFiles.map(harmless).join(', ')}.`,
    );
  }
  return lines;
}

/** A sentence that names the unreadable entry, its place and the reason. */
export function describeTrouble({ lsn, path, offset, reason }: VerifyTrouble): string {
  const entry = lsn === 0 ? 'An entry' : `Entry ${integer(lsn)}`;
  const at = reason === describeReason('missing-segment') ? '' : ` at byte ${integer(offset)}`;
  return `${entry} in ${basename(path)}${at}: ${reason}.`;
}

export function ranges(of: readonly LsnRange[]): string {
  const count = of.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const shown = of.slice(0, 8).map(({ first, last }) => lsnRange(first, last));
  const more = of.length > shown.length ? `, and ${plural(of.length - shown.length, 'range')} more` : '';
  return `${shown.join(', ')}${more} (${plural(count, 'entry', 'entries')})`;
}
