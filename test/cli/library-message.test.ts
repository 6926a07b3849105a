import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asToldByCommand } from '../../src/cli/errors/library-message.js';

for (const [message, told] of [
  [
    'Cannot read entry 4 in "/logs/aWal.d/wal-0" at byte 194: it is bad. Wal.repair with dryRun says what can be kept.',
    'Cannot read entry 4 in "/logs/aWal.d/wal-0" at byte 194: it is bad.',
  ],
  [
    'Cannot open "/a. Log (b)": process 7 has it open. Close it there first. Reading needs no lock (readOnly, Wal.follow); other threads attach.',
    'Cannot open "/a. Log (b)": process 7 has it open. Close it there first.',
  ],
  [
    'maxFileSize must be an integer from 4096 to 1073741824, in bytes, not 5.',
    '--max-file-size must be an integer from 4096 to 1073741824, in bytes, not 5.',
  ],
  [
    'Entry 3 of "/log" is gone; the log begins at 9. Begin there, or keep more (options maxFiles, maxAge).',
    'Entry 3 of "/log" is gone; the log begins at 9. Begin there, or keep more (options --max-files, --max-age).',
  ],
  [
    'Cannot truncateAfter(5) on "/log": the log holds entries 1 to 2.',
    'Cannot truncate --after 5 on "/log": the log holds entries 1 to 2.',
  ],
  [
    'Cannot checkpoint(9) on "/log": the log holds entries 1 to 2.',
    'Cannot set the checkpoint to 9 on "/log": the log holds entries 1 to 2.',
  ],
  [
    'Cannot read "/log": it is in wal-go\'s later format. Use Wal.readSegment. It is not this log\'s.',
    'Cannot read "/log": it is in wal-go\'s later format. It is not this log\'s.',
  ],
  [
    `Cannot read "/log": EACCES: permission denied, open '/myLog/wal-0'`,
    `Cannot read "/log": EACCES: permission denied, open '/myLog/wal-0'`,
  ],
] as const) {
  test(`"${message.slice(0, 40)}…" is told without the names of the API`, () => {
    assert.equal(asToldByCommand(message), told);
  });
}
