// What a store must never do with a version that was removed: show other bytes in its place, or give it a new life.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { CHANGES_READ_MAX } from '../../../src/limits.js';
import { namespaceRange } from '../../../src/store/keys.js';
import type { PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../../src/version.js';
import {
  commitOne,
  filledPage,
  filledPages,
  openStore,
  PAGE_BYTES,
  pageNumber,
  request,
} from '../../support/stores.js';

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

  test('does not hide those after it from who follows the changes, however many were removed', async () => {
    for (let count = 0; count < CHANGES_READ_MAX + 2; count++) await commit(1, { 1: count % 256 });
    const newest = await store.head(id);
    // What is removed is there still: the collection is stopped at once.
    const signal = AbortSignal.abort();
    await assert.rejects(store.retention.truncate(id, newest.version, { signal }));
    const changes = await store.changesAfter(id, ZERO_VERSION);
    assert.deepEqual(
      changes.map(({ version }) => version),
      [newest.version],
    );
  });

  test('leaves nothing to be seen in the holes of a file whose page size changed', async () => {
    const old = await commit(3, { 1: 1, 2: 2, 3: 3 });
    const pages = [filledPage(2, 9, 2 * PAGE_BYTES)];
    await commitOne(store, request(id, old.version, 3, pages, 2 * PAGE_BYTES));
    const { version } = await store.head(id);
    const { head } = await commitOne(store, request(id, version, 3, [], 2 * PAGE_BYTES));
    await store.retention.truncate(id, head.version);
    store = await openStore(engine);
    assert.deepEqual([await read(head, 1), await read(head, 2), await read(head, 3)], [0, 9, 0]);
  });

  test('does not come back when a mount tells late that it reads it', async () => {
    store = await openStore(engine, { cacheBytesMax: 1 });
    const read1 = (head: Head): Promise<number> => read(head, 1);
    const snapshots: Array<[NamespaceId, Version]> = [];
    store.pinSnapshots(() => snapshots);
    const [first, second, third] = [await commit(1, { 1: 1 }), await commit(1, { 1: 2 }), await commit(1, { 1: 3 })];
    snapshots.push([id, second.version]);
    await store.retention.truncate(id, third.version);
    assert.equal(await read1(second), 2, 'in time');
    snapshots.push([id, first.version]);
    await assert.rejects(read1(first), isGone);
    await store.retention.collect(id);
    await assert.rejects(read1(first), isGone);
    assert.equal(await read1(second), 2);
    snapshots.splice(0);
    await store.retention.collect(id);
    snapshots.push([id, second.version]);
    await assert.rejects(read1(second), isGone);
  });

  test('is kept for a mount that reads what a maintenance lock shows, when the lock is taken away', async () => {
    store = await openStore(engine, { cacheBytesMax: 1 });
    const snapshots: Array<[NamespaceId, Version]> = [];
    store.pinSnapshots(() => snapshots);
    const shown = await commit(1, { 1: 1 });
    await store.lockNamespace(id, 'owner');
    await commit(1, { 1: 2 });
    const newest = await commit(1, { 1: 3 });
    await store.retention.truncate(id, newest.version);
    snapshots.push([id, shown.version]);
    assert.equal(await read(shown, 1), 1);
    await store.unlockNamespace(id, 'owner');
    await store.retention.collect(id);
    assert.equal(await read(shown, 1), 1);
  });

  test('leaves no page of its bulk commit behind', async () => {
    store = await openStore(engine, { limits: { commitBytesMax: 1_000, stageChunkBytesMax: 1_000 } });
    const bulk = await commit(3, { 1: 1, 2: 2, 3: 3 });
    // Its own pages were looked at by now.
    await store.retention.truncate(id, bulk.version);
    await commit(3, { 2: 5 });
    await commit(3, { 1: 7 });
    const newest = await commit(3, { 3: 9 });
    await store.retention.truncate(id, newest.version);
    const { begin, end } = namespaceRange(id);
    const keys = (await engine.read((transaction) => transaction.getRange(begin, end))).length;
    // Three pages, the description, the head, the changelog, the time, the watermark, and how far it was collected.
    assert.equal(keys, 3 + 6);
  });
});
