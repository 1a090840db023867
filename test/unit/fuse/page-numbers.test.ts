// Sets and tables of pages and blocks, at the largest numbers that SQLite's files have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangesOfPages } from '../../../src/fuse/kernel-cache.js';
import { PageBitmap } from '../../../src/fuse/page-bitmap.js';
import { PlaceTable } from '../../../src/fuse/place-table.js';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN, PAGE_COUNT_MAX } from '../../../src/limits.js';
import { lockBytePage, PENDING_BYTE } from '../../../src/sqlite/lock-bytes.js';

const PAGES = [1, 7, 8, 32_767, 32_768, 2 ** 31 - 1, 2 ** 31, PAGE_COUNT_MAX - 1, PAGE_COUNT_MAX];

test('a set of pages', () => {
  const set = new PageBitmap();
  for (const page of [...PAGES].reverse()) set.add(page);
  assert.deepEqual([...set], PAGES);
  for (const page of PAGES) {
    assert.ok(set.has(page) && !set.has(page + 2 ** 32));
    set.delete(page);
    assert.ok(!set.has(page));
  }
  assert.equal(set.size, 0);
});

test('places of blocks up to the last one of the largest file', () => {
  const table = new PlaceTable();
  const last = (PAGE_COUNT_MAX * PAGE_BYTES_MAX) / 4096 - 1;
  const blocks = [0, 1023, 1024, 2 ** 32 - 1, 2 ** 32, last];
  for (const [place, block] of blocks.entries()) table.set(block, place);
  assert.deepEqual(
    [...table.blocks()].sort((a, b) => a - b),
    blocks,
  );
  assert.deepEqual(
    blocks.map((block) => table.get(block)),
    [...blocks.keys()],
  );
  assert.equal(table.take(last), blocks.length - 1);
  assert.equal(table.get(last), undefined);
});

test('pages as ranges of bytes', () => {
  const offset = (PAGE_COUNT_MAX - 2) * PAGE_BYTES_MAX;
  assert.deepEqual(rangesOfPages([PAGE_COUNT_MAX, 1, PAGE_COUNT_MAX - 1], PAGE_BYTES_MAX), [
    { offset: 0, length: PAGE_BYTES_MAX },
    { offset, length: 2 * PAGE_BYTES_MAX },
  ]);
  assert.ok(Number.isSafeInteger(PAGE_COUNT_MAX * PAGE_BYTES_MAX));
});

test('the page of the lock bytes begins with them, whatever the page size', () => {
  for (let bytes = PAGE_BYTES_MIN; bytes <= PAGE_BYTES_MAX; bytes *= 2) {
    assert.equal((lockBytePage(bytes) - 1) * bytes, PENDING_BYTE);
  }
});
