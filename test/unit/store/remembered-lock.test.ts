// A store that remembers the newest head remembers the maintenance lock with it, however it came by the head.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../../src/kv/open.js';
import { commitOne, filledPages, openStore, request } from '../../support/stores.js';

test('a lock is known to a process that commits before it asked for anything', async () => {
  const engine = await openEngine('memory:', { clock: Date.now });
  const { id } = await (await openStore(engine)).createNamespace('main');
  await (await openStore(engine)).lockNamespace(id, 'owner');
  const store = await openStore(engine);
  const { head } = await store.statNamespace('main');
  await commitOne(store, request(id, head.version, 1, filledPages({ 1: 1 })));
  assert.equal((await store.maintenanceLock(id))?.owner, 'owner');
  assert.equal((await store.headFor(id, undefined)).version, head.version);
  await engine.close();
});
