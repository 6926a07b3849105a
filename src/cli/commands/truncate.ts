import { Argument, Option } from 'commander';
import { type SegmentInfo, Wal } from '../../index.js';
import { openForWriting } from '../append/open-for-writing.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { parseLsn } from '../flags/values.js';
import { expectLog } from '../look/log-directory.js';
import { defineCommand } from '../program/definition.js';
import { confirm } from '../terminal/question.js';
import { bytes, integer, lsnRange, plural } from '../text/text.js';

interface Options {
  readonly before?: number;
  readonly after?: number;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly splitBatch?: true;
}

export const truncate = defineCommand<Options>({
  name: 'truncate',
  summary: 'remove entries from the beginning or the end of a log',
  details: [
    '--before makes the LSN the first entry. It removes the segments that contain only lower ones, which frees disk space; the entries cannot be recovered. --after makes the LSN the last entry. It keeps all later entries in side files, ringwal.cut-…, and their LSNs are assigned again. --split-batch lets it cut inside an atomic batch.',
    'Shows what it will remove, and asks for confirmation. No other process may have the log open for writing.',
  ],
  arguments: [new Argument('<dir>', "the log's directory")],
  options: [
    new Option('--before <lsn>', 'make this the first entry').argParser(parseLsn),
    new Option('--after <lsn>', 'make this the last entry').argParser(parseLsn).conflicts('before'),
    new Option('--split-batch', 'with --after: cut inside an atomic batch too'),
    new Option('-n, --dry-run', 'only show what the command would do'),
    new Option('-y, --yes', 'do not ask for confirmation'),
  ],
  examples: [
    { command: 'ringwal truncate ./log --before 1000000', what: 'Free the disk space of old segments.' },
    { command: 'ringwal truncate ./log --after 41206', what: 'Remove all entries from 41207 on.' },
  ],
  json: 'An object with before and after, each with firstLsn, lastLsn, segments and bytes; done is false after --dry-run.',
  async run(
    context,
    { before, after, splitBatch = false, dryRun = false, yes = false, json = false },
    [directory = ''],
  ) {
    if (before === undefined && after === undefined) {
      throw new CliError(
        ExitCode.usage,
        'Cannot truncate: the place is missing. Use --before LSN or --after LSN.',
      );
    }
    expectLog(directory);
    const { out, signal } = context;
    const log = dryRun
      ? await context.waitFor('opening the log', Wal.open(directory, { readOnly: true, signal }))
      : await openForWriting(context, directory);
    try {
      const was = extentOf(log.segments(), log.firstLsn, log.lastLsn);
      checkRange(directory, was, before, after);
      const going =
        before === undefined
          ? { entries: Math.max(0, was.lastLsn - (after as number)), segments: [] }
          : { entries: Math.max(0, before - was.firstLsn), segments: goingBefore(log.segments(), before) };
      if (!json) {
        out.sentence(`The log holds entries ${describe(was)}.`);
        out.sentence(
          before === undefined
            ? `${plural(going.entries, 'entry', 'entries')} after ${integer(after as number)} ${dryRun ? 'would be' : 'will be'} cut off, and kept in side files.`
            : `${plural(going.entries, 'entry', 'entries')} below ${integer(before)} ${dryRun ? 'would be' : 'will be'} removed for good, and ${plural(going.segments.length, 'segment')} with them.`,
        );
      }
      if (!(log instanceof Wal)) {
        if (json) out.json({ done: false, before: was, after: was });
        return ExitCode.ok;
      }
      if (going.entries > 0 && !yes && !(await confirm(context, 'Go ahead?'))) {
        context.error('Nothing was changed.');
        return ExitCode.no;
      }
      if (before === undefined) await log.truncateAfter(after as number, { splitBatch });
      else await log.truncateBefore(before);
      const is = extentOf(log.segments(), log.firstLsn, log.lastLsn);
      if (json) out.json({ done: true, before: was, after: is });
      else out.sentence(`Now it holds entries ${describe(is)}.`);
      return ExitCode.ok;
    } finally {
      await log.close();
    }
  },
});

/** Refuses the same arguments as the log does, also with --dry-run, and before the confirmation. */
function checkRange(
  directory: string,
  { firstLsn, lastLsn }: Extent,
  before: number | undefined,
  after: number | undefined,
): void {
  const isWithin =
    // One below the first entry empties the log.
    before === undefined ? Number(after) >= firstLsn - 1 && Number(after) <= lastLsn : before <= lastLsn + 1;
  if (isWithin) return;
  const where = before === undefined ? `--after ${after}` : `--before ${before}`;
  const holds =
    firstLsn > lastLsn || lastLsn === 0
      ? 'the log is empty'
      : `the log holds entries ${firstLsn} to ${lastLsn}`;
  throw new CliError(ExitCode.usage, `Cannot truncate ${where} on "${directory}": ${holds}.`);
}

interface Extent {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly segments: number;
  readonly bytes: number;
}

function extentOf(segments: readonly SegmentInfo[], firstLsn: number, lastLsn: number): Extent {
  const size = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  return { firstLsn, lastLsn, segments: segments.length, bytes: size };
}

function describe({ firstLsn, lastLsn, segments, bytes: size }: Extent): string {
  return `${lsnRange(firstLsn, lastLsn)} in ${plural(segments, 'segment')}, ${bytes(size)}`;
}

/** The newest segment always stays. */
function goingBefore(segments: readonly SegmentInfo[], lsn: number): readonly SegmentInfo[] {
  return segments.slice(0, -1).filter(({ lastLsn }) => lastLsn < lsn);
}
