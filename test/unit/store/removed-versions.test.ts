// What a store must never do with a version that was removed: show other bytes in its place, or give it a new life.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import type { PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../../src/store/types.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const isGone = (error: unknown): boolean => isMvfuseError(error, 'GONE');

describe('a version that was removed', () => {
  let engine: Engine;
  let store: PageStore;
  let id: NamespaceId;

  beforeEach(async () => {
    engine = await openEngine('memory:', { clock: Date.now });
    store = await openStore(engine);
    ({ id } = await store.createNamespace('main'));
  });
  afterEach(() => engine.close());

  async function commit(pageCount: number, fills: Record<number, number>, namespace = id): Promise<Head> {
    const { version } = await store.head(namespace);
    return (await commitOne(store, request(namespace, version, pageCount, filledPages(fills)))).head;
  }
  const read = async (head: Head, page: number, namespace = id): Promise<number> =>
    (await store.readPages(namespace, head, [pageNumber(page)]))[0]![0]!;

  test('is not read from what the cache knows of a later version, where a page was cut off in between', async () => {
    const old = await commit(3, { 1: 1, 2: 1, 3: 7 });
    await commit(1, { 1: 2 });
    const grown = await commit(3, { 2: 3 });
    await store.retention.truncate(id, grown.version);
    // One that knows nothing of the cut.
    store = await openStore(engine);
    assert.equal(await read(grown, 3), 0);
    await assert.rejects(read(old, 3), isGone);
  });

  test('of a fork is not read from what its parent had', async () => {
    const base = await commit(3, { 1: 1, 2: 2, 3: 3 });
    const fork = await store.forkNamespace(id, base.version, 'fork');
    await commit(1, { 1: 4 }, fork.id);
    const old = await commit(3, { 3: 7 }, fork.id);
    await commit(2, { 1: 5 }, fork.id);
    const grown = await commit(3, { 2: 6 }, fork.id);
    await store.retention.truncate(fork.id, grown.version);
    store = await openStore(engine);
    assert.equal(await read(grown, 3, fork.id), 0);
    await assert.rejects(read(old, 3, fork.id), isGone);
  });
});
