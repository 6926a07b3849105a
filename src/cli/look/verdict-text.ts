import { basename } from 'node:path';
import { describeReason } from '../../format/verdict.js';
import type { LsnRange, VerifyReport, VerifyTrouble } from '../../index.js';
import { ExitCode } from '../errors/exit-code.js';
import type { Colors } from '../terminal/output.js';
import { shellPath } from '../text/shell-path.js';
import { harmless, integer, lsnRange, plural } from '../text/text.js';

export type Verdict = VerifyReport['verdict'];

/** A torn log is well: whoever opens it cuts what no one was promised. */
export function exitCodeFor(verdict: Verdict): ExitCode {
  if (verdict === 'corrupt') return ExitCode.no;
  return verdict === 'unsupported' ? ExitCode.unsupported : ExitCode.ok;
}

export function colored(colors: Colors, verdict: Verdict, text: string = verdict): string {
  if (verdict === 'clean') return colors.green(text);
  return verdict === 'torn' ? colors.yellow(text) : colors.red(text);
}

const MEANING: Readonly<Record<Verdict, string>> = {
  clean: 'All is well.',
  torn: 'A write was interrupted. The next open cuts it; nothing that was acknowledged as durable is lost.',
  corrupt:
    'Entries that were acknowledged cannot be read. Opening the log, or reading the damaged range, fails.',
  unsupported: 'It was written by a later version, or is in a format that is only read segment by segment.',
};

/** What a report comes to, in words. */
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
      `  No repair keeps: ${ranges(lost)}. Behind the damaged one some may be readable still, with --from.`,
    );
  }
  if (inDoubt.length > 0) {
    lines.push(
      verdict === 'corrupt'
        ? `  Behind the damage, and readable: ${ranges(inDoubt)}.`
        : `  Not finished, and never acknowledged as durable: ${ranges(inDoubt)}.`,
    );
  }
  if (verdict === 'corrupt') {
    lines.push(
      `  Acknowledged as durable were entries up to ${integer(watermark)}, as far as the files show it.`,
    );
    const log = shellPath(report.directory);
    lines.push(`  \`ringwal repair ${log} --dry-run\` shows what can be saved, in either of two ways.`);
  }
  if (stateFault !== undefined)
    lines.push(`  ringwal.state cannot be read: ${stateFault}. Losing it loses only what it knew.`);
  if (foreignFiles.length > 0) {
    lines.push(`  Not of the log, and left alone: ${foreignFiles.map(harmless).join(', ')}.`);
  }
  return lines;
}

/** A sentence: which entry cannot be read, where and why. */
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
