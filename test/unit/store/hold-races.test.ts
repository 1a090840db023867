// Somebody gets hold of a version while the last one who held it lets go and it is collected: in every order of what they
// ask of the engine, either the version is whole, or it is refused.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import type { OpenVersion, PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../../src/store/types.js';
import { everyInterleaving } from '../../support/interleavings.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const PAGES = 3;
/** About a page a step. */
const LIMITS = { collectEntriesMax: 2, collectPagesMax: 1 };

interface World {
  readonly store: PageStore;
  readonly engine: Engine;
  readonly id: NamespaceId;
  /** Older than the watermark. */
  readonly old: Head;
  readonly newest: Head;
}

async function begin(engine: Engine, stepped: Engine): Promise<World> {
  const store = await openStore(stepped, { limits: LIMITS, cacheBytesMax: 1 });
  const { id } = await store.createNamespace('main');
  const heads: Head[] = [];
  for (const fill of [1, 2, 3]) {
    const { version } = await store.head(id);
    const fills = Object.fromEntries(Array.from({ length: PAGES }, (_, index) => [index + 1, fill]));
    heads.push((await commitOne(store, request(id, version, PAGES, filledPages(fills)))).head);
  }
  return { store, engine, id, old: heads[1]!, newest: heads[2]! };
}

async function fills(store: PageStore, id: NamespaceId, head: Head): Promise<number[]> {
  const pages = await store.readPages(id, head, [1, 2, 3].map(pageNumber));
  return pages.map((page) => page[0]!);
}

/** What a hold brought: whole, past every cache; or a refusal. */
async function checkHold(
  { engine, id, old }: World,
  outcome: PromiseSettledResult<unknown>,
  fork?: NamespaceId,
): Promise<boolean> {
  if (outcome.status === 'rejected') {
    assert.ok(isMvfuseError(outcome.reason, 'GONE') || isMvfuseError(outcome.reason, 'NOT_FOUND'), outcome.reason);
    return false;
  }
  const fresh = await openStore(engine, { cacheBytesMax: 1, soleOwner: false });
  const head = fork === undefined ? old : await fresh.head(fork);
  assert.deepEqual(await fills(fresh, fork ?? id, head), [2, 2, 2]);
  return true;
}

describe('a version that is let go and collected, in every order', () => {
  const holds: Record<string, (world: World) => Promise<NamespaceId | undefined>> = {
    'a tag': async ({ store, id, old }) => void (await store.addTag(id, 'kept', old.version)),
    'a fork': async ({ store, id, old }) => (await store.forkNamespace(id, old.version, 'fork')).id,
    'a lock': async ({ store, id, old }) => void (await store.lockNamespace(id, 'owner', old.version)),
  };
  for (const [what, hold] of Object.entries(holds)) {
    test(`${what} finds it whole, or is refused`, async () => {
      const seen = new Set<boolean>();
      const orders = await everyInterleaving(async (schedule) => {
        const engine = await openEngine('memory:', { clock: Date.now });
        const world = await begin(engine, schedule.engine(engine));
        const opened = await world.store.openVersion(world.id, world.old.version);
        await world.store.retention.truncate(world.id, world.newest.version);
        const letGo = async (): Promise<void> => {
          opened.close();
          await world.store.retention.collect(world.id);
        };
        const { held } = await schedule.run({ letGo, held: () => hold(world) });
        const fork = held!.status === 'fulfilled' ? (held!.value as NamespaceId | undefined) : undefined;
        seen.add(await checkHold(world, held!, fork));
        await engine.close();
      });
      console.log(`# ${what}: ${orders} orders`);
      assert.deepEqual(seen, new Set([true, false]), 'both can happen');
    });
  }

  test('who opens it while it is removed reads it whole, or is refused', async () => {
    const seen = new Set<boolean>();
    const orders = await everyInterleaving(async (schedule) => {
      const engine = await openEngine('memory:', { clock: Date.now });
      const world = await begin(engine, schedule.engine(engine));
      const { store, id, old, newest } = world;
      const { reading } = await schedule.run({
        removing: () => store.retention.truncate(id, newest.version),
        reading: async () => {
          const { head, close }: OpenVersion = await store.openVersion(id, old.version);
          assert.deepEqual(await fills(store, id, head), [2, 2, 2]);
          close();
        },
      });
      if (reading!.status === 'rejected') assert.ok(isMvfuseError(reading!.reason, 'GONE'), reading!.reason);
      seen.add(reading!.status === 'fulfilled');
      await engine.close();
    });
    console.log(`# an open version: ${orders} orders`);
    assert.deepEqual(seen, new Set([true, false]), 'both can happen');
  });
});
