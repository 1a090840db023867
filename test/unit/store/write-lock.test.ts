// The write lock between connections, with its reservation.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WRITE_RESERVATION_MS } from '../../../src/limits.js';
import { WriteLock } from '../../../src/store/write-lock.js';

test('one holder at a time, who may ask again', () => {
  const lock = new WriteLock(() => 0);
  const [a, b] = [{ pid: 1 }, { pid: 2 }];
  assert.ok(lock.tryAcquire(a) && lock.tryAcquire(a) && !lock.tryAcquire(b));
  lock.release(b);
  assert.equal(lock.holder, a);
  lock.release(a);
  assert.ok(lock.tryAcquire(b));
});

test('a refused snapshot keeps its turn, for a while', () => {
  let nowMs = 0;
  const lock = new WriteLock(() => nowMs);
  const [a, b] = [{ pid: 1 }, { pid: 2 }];
  assert.ok(lock.tryAcquire(a));
  lock.releaseReserved(a);
  assert.ok(!lock.tryAcquire(b));
  nowMs = WRITE_RESERVATION_MS - 1;
  assert.ok(!lock.tryAcquire(b));
  nowMs = WRITE_RESERVATION_MS;
  assert.ok(lock.tryAcquire(b));
  lock.release(b);
  assert.ok(lock.tryAcquire(a));
  lock.releaseReserved(a);
  lock.forget(a);
  assert.ok(lock.tryAcquire(b), 'a connection that is gone keeps nobody waiting');
});

test('a release wakes who waits', async () => {
  const lock = new WriteLock(() => 0);
  const a = { pid: 1 };
  lock.tryAcquire(a);
  const woken = lock.released.wait(60_000);
  lock.release(a);
  await woken;
  const abort = new AbortController();
  const aborted = lock.released.wait(60_000, abort.signal);
  abort.abort();
  await aborted;
});
