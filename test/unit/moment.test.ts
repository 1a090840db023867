import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMvfuseError } from '../../src/errors.js';
import { formatDuration, formatMoment, parseMoment, parseSpan, parseTime } from '../../src/moment.js';

const refused = (parse: () => unknown, text: string): void => {
  assert.throws(parse, (error) => isMvfuseError(error, 'INVALID_ARGUMENT'), text);
};

describe('moments', () => {
  test('are versions, tags, times and spans', () => {
    assert.deepEqual(parseMoment('000660CAC64454380000'), { kind: 'version', version: '000660cac64454380000' });
    assert.deepEqual(parseMoment('latest'), { kind: 'latest' });
    assert.deepEqual(parseMoment('before-upgrade'), { kind: 'tag', name: 'before-upgrade' });
    assert.deepEqual(parseMoment('größe_2'), { kind: 'tag', name: 'größe_2' });
    assert.deepEqual(parseMoment('-2h30m'), { kind: 'ago', agoMs: 9_000_000 });
    assert.deepEqual(parseMoment('-1d'), { kind: 'ago', agoMs: 86_400_000 });
    assert.deepEqual(parseMoment('2026-11-20'), { kind: 'time', timeMs: Date.parse('2026-11-20T00:00:00Z') });
  });

  test('that are nothing of that say what a moment is', () => {
    for (const text of [
      '',
      '-',
      '-5',
      '-5x',
      '-5m ',
      '12',
      '1.0',
      '2026-13-01',
      '2026-11-31',
      '2026-11-20T25:00',
      'a b',
      'x-wal',
    ]) {
      refused(() => parseMoment(text), text);
    }
    assert.throws(() => parseMoment('-5x'), /such as -5m, -2h30m or -1d/);
  });

  test('are written as they are read', () => {
    for (const text of ['latest', '000660cac64454380000', 'tag', '2026-11-20T10:00:00.000Z', '-1d2h3m4s5ms', '-0s']) {
      assert.equal(formatMoment(parseMoment(text)), text);
    }
  });
});

describe('times', () => {
  const at = Date.parse('2026-11-20T10:30:15Z');
  for (const [text, expected] of [
    ['2026-11-20T10:30:15Z', at],
    ['2026-11-20t10:30:15z', at],
    ['2026-11-20 10:30:15', at],
    ['2026-11-20T10:30:15.25Z', at + 250],
    ['2026-11-20T10:30:15.9999Z', at + 999],
    ['2026-11-20T10:30Z', at - 15_000],
    ['2026-11-20T12:30:15+02:00', at],
    ['2026-11-20T12:30:15+02', at],
    ['2026-11-20T16:00:15+0530', at],
    ['2026-11-20T00:30:15-10:00', at],
    ['2024-02-29', Date.parse('2024-02-29')],
    ['0099-01-01', Date.parse('0099-01-01')],
  ] as const) {
    test(text, () => assert.equal(parseTime(text), expected));
  }

  test('that do not exist are refused', () => {
    for (const text of [
      '2026-02-29',
      '2026-00-10',
      '2026-11-20T10',
      '2026-11-20T10:60',
      '2026-11-20T10:00+15:00',
      '26-11-20',
    ]) {
      refused(() => parseTime(text), text);
    }
  });
});

describe('spans', () => {
  test('are sums of their parts', () => {
    assert.equal(parseSpan('1w2d3h4m5s6ms'), ((((7 + 2) * 24 + 3) * 60 + 4) * 60 + 5) * 1000 + 6);
    assert.equal(formatDuration(parseSpan('36h')), '1d12h');
    for (const text of ['', '5', 'd', '1.5h', '-1h', '1h ', '99999999999999999w']) refused(() => parseSpan(text), text);
  });
});
