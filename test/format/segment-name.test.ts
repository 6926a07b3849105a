import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  classifyName,
  cutFileName,
  LOCK_FILE,
  NEXT_FILE,
  parseCutLsn,
  parseSegmentName,
  SPARE_FILE,
  STATE_FILE,
  STATE_FILE_ASIDE,
  segmentName,
} from '../../src/format/segment-name.js';

test('segments are named by their number', () => {
  for (const number of [0, 1, 10, 907, Number.MAX_SAFE_INTEGER]) {
    assert.equal(parseSegmentName(segmentName(number)), number);
    assert.equal(classifyName(segmentName(number)), 'segment');
  }
});

test('names that only look like segments are foreign', () => {
  const names = [
    'wal-',
    'wal-00',
    'wal-01',
    'wal--1',
    'wal-1.bak',
    'xwal-1',
    'WAL-1',
    'wal-1 ',
    'wal-1\n',
    'wal-٣',
    'wal-1e3',
  ];
  for (const name of [...names, 'wal-9007199254740992', `wal-${'9'.repeat(400)}`]) {
    assert.equal(parseSegmentName(name), undefined, name);
    assert.equal(classifyName(name), 'foreign', name);
  }
});

test('side files are ours and never segments', () => {
  const names = [STATE_FILE, STATE_FILE_ASIDE, LOCK_FILE, NEXT_FILE, SPARE_FILE, cutFileName(3, 41, '0f9k')];
  for (const name of names) assert.equal(classifyName(name), 'ours', name);
  for (const name of [
    'ringwal',
    'ringwal.lock.1',
    'ringwal.cut-3',
    'ringwal.cut-3-4-',
    'notes.txt',
    '.DS_Store',
  ]) {
    assert.equal(classifyName(name), 'foreign', name);
  }
});

test("the name of a cut's side file tells the first entry that went, no other name does", () => {
  for (const lsn of [1, 41, Number.MAX_SAFE_INTEGER])
    assert.equal(parseCutLsn(cutFileName(3, lsn, 'a1')), lsn);
  for (const name of [
    'ringwal.cut-3-04-a',
    'ringwal.cut-3-4',
    'ringwal.cut-3-9007199254740992-a',
    'wal-3',
    LOCK_FILE,
  ])
    assert.equal(parseCutLsn(name), undefined, name);
});
