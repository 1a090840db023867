// Hosts that share a store, of which one reads versions that another removes: who has told of them in time goes on reading,
// who was taken for dead gets errors, and nobody ever reads other bytes.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { RETENTION_GRACE_MS } from '../../../src/limits.js';
import type { PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../../src/store/types.js';
import { ZERO_VERSION } from '../../../src/version.js';
import { HOST_LEASE_MS, type SharedClock, SimulatedHost } from '../../support/hosts.js';
import { LONG } from '../../support/injection-run.js';
import { someInterleavings } from '../../support/interleavings.js';
import { chooseSeed, seededRandom } from '../../support/random.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const ORDERS = LONG ? 250 : 100;
const isGone = (error: unknown): boolean => isMvfuseError(error, 'GONE');

/** A store with three versions of a page, whose fills are 1, 2, 3; none of them new any more. */
class World {
  readonly clock: SharedClock = { nowMs: 1_000_000 };
  readonly engine: Engine;
  readonly heads: Head[] = [];
  readonly hosts: SimulatedHost[] = [];
  id!: NamespaceId;

  private constructor(engine: Engine) {
    this.engine = engine;
  }

  static async begin(): Promise<World> {
    const world = new World(await openEngine('memory:', { clock: Date.now }));
    const store = await openStore(world.engine, { clock: () => world.clock.nowMs });
    world.id = (await store.createNamespace('main')).id;
    for (const fill of [1, 2, 3]) {
      const { version } = await store.head(world.id);
      world.heads.push((await commitOne(store, request(world.id, version, 1, filledPages({ 1: fill })))).head);
      world.clock.nowMs += 1_000;
    }
    world.clock.nowMs += RETENTION_GRACE_MS;
    return world;
  }

  async start(engine = this.engine): Promise<SimulatedHost> {
    const host = await SimulatedHost.start(engine, this.clock);
    this.hosts.push(host);
    return host;
  }

  async read({ store }: { store: PageStore }, head: Head): Promise<number> {
    return (await store.readPages(this.id, head, [pageNumber(1)]))[0]![0]!;
  }

  /** Everything that nobody holds, but for the newest. */
  async removeOld({ store }: SimulatedHost): Promise<void> {
    await store.retention.truncate(this.id, this.heads.at(-1)!.version);
  }

  /** Those who give no sign of life for so long that they are taken for dead; nothing is collected meanwhile. */
  async forgetSilent({ store }: SimulatedHost): Promise<void> {
    const signal = AbortSignal.abort();
    for (let look = 0; look < 4; look++) {
      await store.retention.run({ signal }).catch(() => undefined);
      this.clock.nowMs += HOST_LEASE_MS / 2 - 1;
    }
  }

  async end(): Promise<void> {
    for (const host of this.hosts) await host.close();
    await this.engine.close();
  }
}

describe('a version that one host reads and another removes', () => {
  let world: World;
  let [reader, remover]: SimulatedHost[] = [];
  let [old, middle, newest]: Head[] = [];

  beforeEach(async () => {
    world = await World.begin();
    [old, middle, newest] = world.heads;
    reader = await world.start();
    remover = await world.start();
  });
  afterEach(() => world.end());

  test('is kept while the reader is known to have it open, and no longer', async () => {
    const opened = await reader!.store.openVersion(world.id, old!.version);
    await world.removeOld(remover!);
    assert.equal(await world.read(reader!, old!), 1);
    await assert.rejects(world.read(reader!, middle!), isGone);
    opened.close();
    // Told with the next sign of life, which the opening of another version brings.
    await reader!.store.openVersion(world.id, newest!.version);
    await world.removeOld(remover!);
    await assert.rejects(world.read(reader!, old!), isGone);
    await assert.rejects(reader!.store.openVersion(world.id, old!.version), isGone);
  });

  const comesBack: Record<string, () => Promise<unknown>> = {
    'opens another version': () => reader!.store.openVersion(world.id, newest!.version),
    'takes a lease and opens another version': async () => {
      assert.ok(reader!.store.writeLock(world.id).tryAcquire({ pid: 1 }));
      await reader!.store.acquireLease(world.id, 1_000);
      await reader!.store.openVersion(world.id, newest!.version);
    },
    'opens it again': () => assert.rejects(reader!.store.openVersion(world.id, old!.version), isGone),
  };
  for (const [how, comeBack] of Object.entries(comesBack)) {
    test(`is an error for a reader that slept past everything and ${how}`, async () => {
      await reader!.store.openVersion(world.id, old!.version);
      reader!.sleep();
      await world.forgetSilent(remover!);
      await world.removeOld(remover!);
      reader!.wake();
      await assert.rejects(world.read(reader!, old!), isGone);
      await comeBack();
      await assert.rejects(world.read(reader!, old!), isGone);
      assert.equal(await world.read(reader!, newest!), 3);
      await assert.rejects(world.read(remover!, old!), isGone, 'nor does it hold what is gone');
      const { held } = await remover!.store.details(world.id);
      assert.deepEqual(held, []);
    });
  }

  test('is held by nobody once a reader that was taken for dead has closed it', async () => {
    const { id: another } = await reader!.store.createNamespace('another');
    const opened = await reader!.store.openVersion(world.id, old!.version);
    await world.removeOld(remover!);
    reader!.sleep();
    await world.forgetSilent(remover!);
    reader!.wake();
    opened.close();
    // It is seen again, and has something open elsewhere.
    await reader!.store.openVersion(another, ZERO_VERSION);
    assert.deepEqual((await remover!.store.details(world.id)).held, []);
  });
});

describe('the opening of a version on one host and its removal on another, in many orders', () => {
  test('gives it whole, or refuses it', async () => {
    const seen = new Set<boolean>();
    const random = seededRandom(chooseSeed('orders of two hosts'));
    await someInterleavings(ORDERS, random, async (schedule) => {
      const world = await World.begin();
      const stepped = schedule.engine(world.engine);
      const [reader, remover] = [await world.start(stepped), await world.start(stepped)];
      const [old] = world.heads;
      const { opening } = await schedule.run({
        opening: () => reader.store.openVersion(world.id, old!.version),
        removing: () => world.removeOld(remover),
      });
      const isOpen = opening!.status === 'fulfilled';
      if (isOpen) assert.equal(await world.read(reader, old!), 1);
      else await assert.rejects(world.read(reader, old!), isGone);
      // Nor may it be lost later.
      await world.removeOld(remover);
      if (isOpen) assert.equal(await world.read(reader, old!), 1);
      seen.add(isOpen);
      await world.end();
    });
    assert.deepEqual(seen, new Set([true, false]), 'both can happen');
  });

  test('keeps one that is closed and opened again while the host gives a sign of life', async () => {
    const random = seededRandom(chooseSeed('orders of two hosts'));
    await someInterleavings(ORDERS, random, async (schedule) => {
      const world = await World.begin();
      const reader = await world.start(schedule.engine(world.engine));
      const remover = await world.start();
      const [old, middle] = world.heads;
      const first = await reader.store.openVersion(world.id, old!.version);
      first.close();
      const { again } = await schedule.run({
        sign: () => reader.store.openVersion(world.id, middle!.version),
        again: async () => {
          await reader.store.openVersion(world.id, old!.version);
          await world.removeOld(remover);
          assert.equal(await world.read(reader, old!), 1);
        },
      });
      if (again!.status === 'rejected') throw again!.reason;
      await world.end();
    });
  });
});
