// The arithmetic of byte ranges. The input: four numbers of 8 bytes, of which the lowest 53 bits count.

import assert from 'node:assert/strict';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN } from '../../../src/limits.js';
import {
  lockBytePage,
  overlaps,
  PENDING_BYTE,
  RESERVED_BYTE,
  SHARED_FIRST,
  SHARED_LAST,
} from '../../../src/sqlite/lock-bytes.js';

export function check(input: Buffer): void {
  const bytes = Buffer.concat([input, Buffer.alloc(32)]);
  const number = (index: number): number => Number(BigInt.asUintN(53, bytes.readBigUInt64BE(index * 8)));
  const [start, end] = [number(0), number(1)].sort((a, b) => a - b) as [number, number];
  const [first, last] = [number(2), number(3)].sort((a, b) => a - b) as [number, number];
  const common = Math.min(end, last) - Math.max(start, first) + 1;
  assert.equal(overlaps(start, end, first, last), common > 0);
  assert.equal(overlaps(first, last, start, end), common > 0);

  // The three lie side by side: what touches one of them touches the whole, and the other way round.
  const named = [PENDING_BYTE, RESERVED_BYTE].some((byte) => overlaps(start, end, byte, byte));
  const shared = overlaps(start, end, SHARED_FIRST, SHARED_LAST);
  assert.equal(named || shared, overlaps(start, end, PENDING_BYTE, SHARED_LAST));

  for (let pageBytes = PAGE_BYTES_MIN; pageBytes <= PAGE_BYTES_MAX; pageBytes *= 2) {
    const offset = (lockBytePage(pageBytes) - 1) * pageBytes;
    assert.ok(offset <= PENDING_BYTE && SHARED_LAST < offset + pageBytes, `page size ${pageBytes}`);
  }
}
