import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import { PAGE_COUNT_MAX, PAGE_SET_BYTES_MAX } from '../../../src/limits.js';
import { decodePageSet, encodePageSet } from '../../../src/store/page-set.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';
import { pageNumber } from '../../support/stores.js';

test('lists come back, and runs are short', () => {
  for (const numbers of [
    [],
    [1],
    [1, 2, 3],
    [5],
    [1, 3, 5],
    [127, 128, 129, 16_384],
    [PAGE_COUNT_MAX - 1, PAGE_COUNT_MAX],
  ]) {
    assert.deepEqual(decodePageSet(encodePageSet(numbers.map(pageNumber))!), numbers);
  }
  const run = Array.from({ length: 10_000 }, (_, index) => pageNumber(index + 1));
  assert.equal(encodePageSet(run)!.length, 3);
});

test('random lists come back', () => {
  const random = seededRandom(chooseSeed('page sets'));
  for (let round = 0; round < 300; round++) {
    const numbers: number[] = [];
    for (let next = 1; numbers.length < 50; ) {
      next += random() < 0.5 ? 1 : randomInteger(random, 1, 2 ** randomInteger(random, 1, 24));
      numbers.push(next);
    }
    assert.deepEqual(decodePageSet(encodePageSet(numbers.map(pageNumber))!), numbers);
  }
});

test('a list that would not fit in a value is not kept', () => {
  const scattered = Array.from({ length: PAGE_SET_BYTES_MAX }, (_, index) => pageNumber(1 + 2 * index));
  assert.equal(encodePageSet(scattered), undefined);
  assert.ok(encodePageSet(scattered.slice(0, PAGE_SET_BYTES_MAX / 2 - 1))!.length <= PAGE_SET_BYTES_MAX);
});

test('a list that was cut is damaged', () => {
  assert.throws(
    () => decodePageSet(Buffer.of(0)),
    (error) => isMvfuseError(error, 'CORRUPT'),
  );
  assert.throws(
    () => decodePageSet(Buffer.of(0x80)),
    (error) => isMvfuseError(error, 'CORRUPT'),
  );
});
