import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import { type ChangeRecord, decodeChange, encodeChange } from '../../../src/store/records.js';
import type { Version } from '../../../src/version.js';
import { pageNumber } from '../../support/stores.js';

const STATE = { timeMs: 1_700_000_000_000, pageBytes: 65_536, sizeBytes: 2 ** 45, pageCount: 3, bytes: 12_288 };
const ORIGIN = '0123456789abcdef0123' as Version;
const PAGES = [1, 2, 900].map(pageNumber);

const CHANGES: Record<string, ChangeRecord> = {
  listed: { ...STATE, pages: PAGES },
  unlisted: { ...STATE, pages: undefined },
  'with an empty list': { ...STATE, pages: [] },
  'listed, with an origin': { ...STATE, pages: PAGES, origin: ORIGIN },
  'unlisted, with an origin': { ...STATE, pages: undefined, origin: ORIGIN },
};

for (const [name, change] of Object.entries(CHANGES)) {
  test(`a changelog entry ${name}`, () => {
    const bytes = encodeChange(change);
    assert.deepEqual(decodeChange(bytes), change);
    assert.equal(bytes[32], (change.pages ? 1 : 0) + (change.origin ? 2 : 0));
  });
}

test('a changelog entry that was cut is damaged', () => {
  const bytes = encodeChange({ ...STATE, pages: undefined, origin: ORIGIN });
  for (const length of [0, 32, 33, 42]) {
    assert.throws(
      () => decodeChange(bytes.subarray(0, length)),
      (error) => isMvfuseError(error, 'CORRUPT'),
    );
  }
});
