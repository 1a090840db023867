// What a transaction costs in waits for the cluster, as docs/operations.md defines them.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../src/cli/store-access.js';
import type { RoundTrips } from '../../src/kv/engine.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../src/store/types.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';
import { filledPages, pageNumber, request } from '../support/stores.js';

/** Long enough that the signs of life do not come in between often; what they cost is not waited for. */
const LEASE_MS = 60_000;

describe('round trips on FoundationDB', { skip: foundationdbMissing() }, () => {
  let [a, b]: PageStore[] = [];
  let namespace: NamespaceId;
  const writer = { pid: 1 };

  before(async () => {
    const url = foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID());
    a = await openStore(url, { leaseMs: LEASE_MS });
    b = await openStore(url, { leaseMs: LEASE_MS });
    namespace = (await a.createNamespace('main')).id;
  });
  after(async () => {
    await a?.close();
    await b?.close();
  });

  async function insert(store: PageStore, fill: number): Promise<Head> {
    const lock = store.writeLock(namespace);
    assert.ok(lock.tryAcquire(writer));
    try {
      await store.acquireLease(namespace, 5_000);
      const head = await store.head(namespace);
      const [commit] = await store.commit([request(namespace, head.version, 2, filledPages({ 1: fill, 2: fill }))]);
      return commit!.head;
    } finally {
      lock.release(writer);
    }
  }

  async function readAll(store: PageStore): Promise<number> {
    const head = await store.head(namespace);
    const [page] = await store.readPages(namespace, head, [pageNumber(1), pageNumber(2)]);
    return page![0]!;
  }

  async function cost(store: PageStore, work: () => Promise<unknown>): Promise<RoundTrips> {
    const before = store.roundTrips!;
    await work();
    const after = store.roundTrips!;
    return {
      readVersions: after.readVersions - before.readVersions,
      reads: after.reads - before.reads,
      commits: after.commits - before.commits,
    };
  }

  test('holding the lease: an insert is one commit, a warm read nothing', async () => {
    await insert(a!, 1);
    await sleep(300);
    assert.deepEqual(await cost(a!, () => insert(a!, 2)), { readVersions: 0, reads: 0, commits: 1 });
    assert.deepEqual(await cost(a!, () => readAll(a!)), { readVersions: 0, reads: 0, commits: 0 });
  });

  test('without the lease: a warm read is one batch of reads at a new read version', async () => {
    assert.equal(await readAll(b!), 2);
    assert.deepEqual(await cost(b!, () => readAll(b!)), { readVersions: 1, reads: 1, commits: 0 });
  });

  test('after a commit elsewhere: one batch for the head, one for what it changed', async () => {
    await insert(a!, 3);
    assert.deepEqual(await cost(b!, () => readAll(b!)), { readVersions: 1, reads: 2, commits: 0 });
    assert.equal(await readAll(b!), 3);
  });
});
