// Byte-range locks, also against a naive table of one entry for every byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errno } from '../../../src/fuse/errno.js';
import { type Lock, LockTable, type LockType } from '../../../src/fuse/lock-table.js';
import { LOCKS_MAX } from '../../../src/limits.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

function lock(owner: number, type: LockType, start: number, end: number, fh = 1): Lock {
  return { owner: BigInt(owner), fh, type, start, end, pid: owner };
}

test('readers share, a writer excludes, an owner never stands in its own way', () => {
  const table = new LockTable();
  table.set(lock(1, 'read', 10, 20));
  assert.equal(table.conflict(2n, 'read', 10, 20), undefined);
  assert.equal(table.conflict(2n, 'write', 20, 30)?.pid, 1);
  assert.equal(table.conflict(2n, 'write', 21, 30), undefined);
  assert.equal(table.conflict(1n, 'write', 0, 100), undefined);
});

test('a handle takes its locks with it, for one owner or for all', () => {
  const table = new LockTable();
  table.set(lock(1, 'read', 0, 9, 5));
  table.set(lock(2, 'read', 0, 9, 5));
  assert.equal(table.dropHandle(6), false);
  assert.equal(table.dropHandle(5, 1n), true);
  assert.ok(table.holds(0, 9, 'read', 2n) && !table.holds(0, 9, 'read', 1n));
  assert.equal(table.dropHandle(5), true);
  assert.ok(table.empty);
});

test('there are only so many locks, and pieces of one', () => {
  const table = new LockTable();
  for (let at = 0; at < LOCKS_MAX; at += 1) table.set(lock(1, 'read', 2 * at, 2 * at));
  assert.throws(() => table.set(lock(2, 'read', 0, 0)), { errno: Errno.ENOLCK });
  assert.equal(table.holds(0, 0, 'read', 2n), false);
  table.unlock(1n, 0, 0);
  table.set(lock(2, 'read', 100_000, 100_002));
  assert.throws(() => table.unlock(2n, 100_001, 100_001), { errno: Errno.ENOLCK });
  table.unlock(2n, 0, 200_000);
  table.unlock(1n, 0, 200_000);
  assert.ok(table.empty);
});

test('random locks agree with a table of bytes', () => {
  const next = seededRandom(chooseSeed('locks'));
  const random = (below: number): number => randomInteger(next, 0, below - 1);
  const table = new LockTable();
  const bytes: Array<Array<LockType | undefined>> = Array.from({ length: 3 }, () => Array(40).fill(undefined));
  for (let step = 0; step < 5_000; step += 1) {
    const owner = random(3);
    const start = random(40);
    const end = Math.min(39, start + random(12));
    const type = (['read', 'write', undefined] as const)[random(3)];
    if (type === undefined) {
      table.unlock(BigInt(owner), start, end);
      bytes[owner]!.fill(undefined, start, end + 1);
      continue;
    }
    const expected = bytes.some(
      (row, other) =>
        other !== owner &&
        row.slice(start, end + 1).some((held) => held !== undefined && (type === 'write' || held === 'write')),
    );
    assert.equal(table.conflict(BigInt(owner), type, start, end) !== undefined, expected, `step ${step}`);
    if (expected) continue;
    table.set(lock(owner, type, start, end));
    bytes[owner]!.fill(type, start, end + 1);
    for (let at = 0; at < 40; at += 1) {
      for (const each of ['read', 'write'] as const) {
        assert.equal(table.holds(at, at, each, BigInt(owner)), bytes[owner]![at] === each, `step ${step} byte ${at}`);
      }
    }
  }
});
