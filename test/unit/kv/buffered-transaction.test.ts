// The age of a transaction is that of its snapshot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import { BufferedTransaction } from '../../../src/kv/buffered-transaction.js';
import { KV_TRANSACTION_MS_MAX } from '../../../src/limits.js';

test('who waits long for a snapshot may still read from it; who keeps it long may not', async () => {
  let nowMs = 0;
  const transaction = new BufferedTransaction({
    monotonicMs: () => nowMs,
    openSnapshot: async () => {
      nowMs += KV_TRANSACTION_MS_MAX + 1;
      return { counter: 1, get: (key) => key, getRange: () => [], release: () => {} };
    },
  });
  const key = Buffer.from('key');
  assert.deepEqual(await transaction.get(key), key);
  transaction.requireCommittable();
  nowMs += KV_TRANSACTION_MS_MAX;
  assert.deepEqual(await transaction.get(key), key);
  nowMs += 1;
  await assert.rejects(transaction.get(key), (error) => isMvfuseError(error, 'LIMIT'));
  transaction.end();
});
