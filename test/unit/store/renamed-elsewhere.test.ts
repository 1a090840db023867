// Two hosts on one store: who may write a namespace need not ask for its head, and all the same finds out that another
// host renamed it, dropped it, brought it back or changed its mode.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { LEASE_HOLD_MS, UNDELETE_MS } from '../../../src/limits.js';
import type { NamespaceId } from '../../../src/store/types.js';
import { type SharedClock, SimulatedHost } from '../../support/hosts.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const WAIT_MS = 3_000;

describe('a namespace that another host', () => {
  const clock: SharedClock = { nowMs: 1_000_000 };
  let engine: Engine;
  let writer: SimulatedHost;
  let other: SimulatedHost;
  let id: NamespaceId;

  beforeEach(async () => {
    engine = await openEngine('memory:', { clock: Date.now });
    ({ id } = await (await openStore(engine)).createNamespace('main'));
    [writer, other] = [await SimulatedHost.start(engine, clock), await SimulatedHost.start(engine, clock)];
    await commit(1);
    assert.equal(writer.store.leaseCount, 1);
    assert.deepEqual(await named(), ['main', false]);
  });
  afterEach(async () => {
    await writer.close();
    await other.close();
    await engine.close();
  });

  async function commit(fill: number): Promise<void> {
    await writer.store.acquireLease(id, WAIT_MS);
    const { version } = await writer.store.head(id);
    await commitOne(writer.store, request(id, version, 1, filledPages({ 1: fill })));
  }
  /** As the writer sees it. */
  async function named(): Promise<[string, boolean]> {
    const { name, dropped } = await writer.store.state(id);
    return [name, dropped];
  }
  /** Of its own accord: the writer is asked for its lease. */
  async function leasePassedOn(): Promise<void> {
    clock.nowMs += LEASE_HOLD_MS;
    const endMs = performance.now() + WAIT_MS;
    while (writer.store.leaseCount !== 0) {
      assert.ok(performance.now() < endMs, 'the lease was not passed on');
      await sleep(1);
    }
  }

  test('drops and brings back is seen to be, and can be written all the while', async () => {
    await other.store.dropNamespace('main');
    await leasePassedOn();
    assert.deepEqual(await named(), ['main', true]);
    await commit(2);
    assert.equal(writer.store.leaseCount, 1);
    assert.deepEqual(await named(), ['main', true]);
    await other.store.undeleteNamespace('main', { as: 'again' });
    await leasePassedOn();
    assert.deepEqual(await named(), ['again', false]);
    await commit(3);
    assert.deepEqual(await named(), ['again', false]);
    const head = await other.store.head(id);
    assert.equal((await other.store.readPages(id, head, [pageNumber(1)]))[0]![0], 3);
  });

  test('replaces is seen to be dropped, and what replaces it to have its name', async () => {
    const next = await other.store.createNamespace('next');
    await writer.store.acquireLease(next.id, WAIT_MS);
    assert.equal((await writer.store.state(next.id)).name, 'next');
    await other.store.renameNamespace('next', 'main', { replace: true });
    await leasePassedOn();
    assert.deepEqual(await named(), ['main', true]);
    assert.equal((await writer.store.state(next.id)).name, 'main');
  });

  test('gives another mode is seen to have it', async () => {
    assert.equal(writer.store.mode(id), undefined);
    await other.store.setMode(id, 0o600);
    assert.equal(other.store.mode(id), 0o600);
    await leasePassedOn();
    assert.equal((await writer.store.state(id)).mode, 0o600);
    assert.equal(writer.store.mode(id), 0o600);
    await commit(2);
    assert.equal(writer.store.leaseCount, 1);
    await writer.store.setMode(id, 0o640);
    assert.equal(writer.store.leaseCount, 1, 'its own change takes nothing from it');
    assert.equal((await writer.store.state(id)).mode, 0o640);
    await other.store.head(id);
    assert.equal(other.store.mode(id), 0o640);
  });

  test('drops stays for as long as it is read elsewhere', async () => {
    const { version } = await writer.store.head(id);
    const opened = await writer.store.openVersion(id, version);
    await other.store.dropNamespace('main');
    clock.nowMs += UNDELETE_MS;
    await other.store.retention.run();
    assert.equal((await other.store.listDropped()).length, 1);
    opened.close();
    await writer.close();
    await other.store.retention.run();
    assert.equal((await other.store.listDropped()).length, 0);
  });
});
