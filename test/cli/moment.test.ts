import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { type MomentEdge, parseMoment } from '../../src/cli/flags/moment.js';

const zone = process.env.TZ;
afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

/** What `text` means in `timeZone` when it is `now` there, in UTC. */
function meaning(text: string, now: string, timeZone = 'UTC', edge: MomentEdge = 'since'): string {
  process.env.TZ = timeZone;
  return new Date(parseMoment(text, edge, Date.parse(now))).toISOString();
}

const NOW = '2026-12-01T12:00:00.000Z';

describe('a moment on the command line', () => {
  for (const [text, expected] of [
    ['2h', '2026-12-01T10:00:00.000Z'],
    ['30m', '2026-12-01T11:30:00.000Z'],
    ['1h30m', '2026-12-01T10:30:00.000Z'],
    ['1h 30m ago', '2026-12-01T10:30:00.000Z'],
    ['1.5h', '2026-12-01T10:30:00.000Z'],
    ['500ms', '2026-12-01T11:59:59.500Z'],
    ['7d', '2026-11-24T12:00:00.000Z'],
    ['2w', '2026-11-17T12:00:00.000Z'],
    ['now', NOW],
    ['today', '2026-12-01T00:00:00.000Z'],
    ['yesterday', '2026-11-30T00:00:00.000Z'],
    ['10:05', '2026-12-01T10:05:00.000Z'],
    ['9:05', '2026-12-01T09:05:00.000Z'],
    ['10:05:30', '2026-12-01T10:05:30.000Z'],
    ['10:05:30.25', '2026-12-01T10:05:30.250Z'],
    ['12:00', NOW],
    ['12:01', '2026-11-30T12:01:00.000Z'],
    ['2026-12-01', '2026-12-01T00:00:00.000Z'],
    ['2026-12-01T10:05', '2026-12-01T10:05:00.000Z'],
    ['2026-12-01 10:05:30', '2026-12-01T10:05:30.000Z'],
    ['2026-12-01T10:05:30.123456Z', '2026-12-01T10:05:30.123Z'],
    ['2026-12-01T10:05+02:00', '2026-12-01T08:05:00.000Z'],
    ['2026-12-01T10:05-0330', '2026-12-01T13:35:00.000Z'],
    ['2026-12-01T10:05+02', '2026-12-01T08:05:00.000Z'],
    ['0099-01-01T00:00Z', '0099-01-01T00:00:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
  ] as const) {
    test(`"${text}" is ${expected}`, () => assert.equal(meaning(text, NOW), expected));
  }

  test('a time without an offset is local', () => {
    assert.equal(meaning('10:05', NOW, 'America/New_York'), '2026-11-30T15:05:00.000Z');
    assert.equal(meaning('2026-07-01T10:05', NOW, 'Europe/Berlin'), '2026-07-01T08:05:00.000Z');
    assert.equal(meaning('today', NOW, 'Asia/Tokyo'), '2026-11-30T15:00:00.000Z');
  });

  test('a time of day that is still to come is that of yesterday, a month back as well', () => {
    assert.equal(meaning('23:00', '2026-03-01T12:00:00Z'), '2026-02-28T23:00:00.000Z');
    assert.equal(meaning('23:00', '2026-01-01T12:00:00Z'), '2025-12-31T23:00:00.000Z');
  });

  test('a local time that the clocks passed over is refused, and the message names day and zone', () => {
    // 2026-03-29 in Berlin: 02:00 became 03:00.
    const gap = /"02:30" did not exist on 2026-03-29 in Europe\/Berlin: the clocks were set forward/;
    assert.throws(() => meaning('02:30', '2026-03-29T10:00:00Z', 'Europe/Berlin'), gap);
    assert.throws(() => meaning('2026-03-29T02:30', NOW, 'Europe/Berlin'), /did not exist on 2026-03-29/);
    assert.equal(meaning('03:00', '2026-03-29T10:00:00Z', 'Europe/Berlin'), '2026-03-29T01:00:00.000Z');
    assert.equal(meaning('01:59', '2026-03-29T10:00:00Z', 'Europe/Berlin'), '2026-03-29T00:59:00.000Z');
  });

  test('on the morning of that day the missing time is the one of yesterday', () => {
    assert.equal(meaning('02:30', '2026-03-29T00:30:00Z', 'Europe/Berlin'), '2026-03-28T01:30:00.000Z');
  });

  test('a local time that comes twice is the first one for --since and the second for --until', () => {
    // 2026-10-25 in Berlin: 03:00 became 02:00.
    const at = (edge: MomentEdge) => meaning('2026-10-25T02:30', NOW, 'Europe/Berlin', edge);
    assert.equal(at('since'), '2026-10-25T00:30:00.000Z');
    assert.equal(at('until'), '2026-10-25T01:30:00.000Z');
    // Lord Howe Island goes back by half an hour.
    const there = (edge: MomentEdge) => meaning('2026-04-05T01:45', NOW, 'Australia/Lord_Howe', edge);
    assert.equal(Date.parse(there('until')) - Date.parse(there('since')), 30 * 60_000);
  });

  test('a day without midnight begins with its first moment', () => {
    // 2018-11-04 in São Paulo began at 01:00.
    assert.equal(meaning('2018-11-04', NOW, 'America/Sao_Paulo'), '2018-11-04T03:00:00.000Z');
  });

  for (const [text, message] of [
    ['', /must be a time like/],
    ['soon', /must be a time like/],
    ['10', /"10" has no unit/],
    ['1764590400000', /has no unit/],
    ['-5', /has no unit/],
    ['24:00', /There is no hour 24/],
    ['10:60', /There is no minute 60/],
    ['10:05:60', /There is no second 60/],
    ['2026-13-01', /There is no month 13/],
    ['2026-00-10', /There is no month 0/],
    ['2026-02-29', /There is no day 29 in 2026-02, which has 28 days/],
    ['2026-04-31T10:00', /There is no day 31 in 2026-04, which has 30 days/],
    ['2026-12-01T10', /must be a time like/],
    ['2026-12-01T10:05+25:00', /There is no offset "\+25:00"/],
    ['5M', /"5M" has no known unit/],
    ['5y', /"5y" has no known unit/],
    ['2h30', /must be a time like/],
    ['999999999999d', /lies before every time/],
    ['10:05 extra', /must be a time like/],
  ] as const) {
    test(`"${text}" is refused: ${message.source}`, () => {
      assert.throws(() => meaning(text, NOW), message);
    });
  }
});
