// What the changelog lists while removed versions are still to be collected.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../../src/kv/open.js';
import { CHANGES_READ_MAX } from '../../../src/limits.js';
import { watermarkKey } from '../../../src/store/keys.js';
import { type Version, versionToBytes, ZERO_VERSION } from '../../../src/version.js';
import { commitOne, filledPages, openStore, request } from '../../support/stores.js';

test('removed versions that were not collected yet do not hide those behind them', async () => {
  const engine = await openEngine('memory:', { clock: Date.now });
  const store = await openStore(engine);
  const { id } = await store.createNamespace('file');
  const versions: Version[] = [];
  for (let count = 0; count < 2 * CHANGES_READ_MAX + 10; count += 1) {
    const base = versions.at(-1) ?? ZERO_VERSION;
    versions.push((await commitOne(store, request(id, base, 1, filledPages({ 1: count % 256 })))).head.version);
  }
  const kept = versions.slice(-5);
  await engine.transact(async (transaction) => transaction.set(watermarkKey(id), versionToBytes(kept[0]!)));
  const changes = await store.changesAfter(id, ZERO_VERSION);
  assert.deepEqual(
    changes.map(({ version, afterGap }) => [version, afterGap === true]),
    kept.map((version, index) => [version, index === 0]),
  );
  assert.deepEqual(await store.changesAfter(id, kept.at(-1)!), []);
  await store.close();
});
