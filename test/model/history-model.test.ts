// Random histories with everything that keeps and removes versions, against full copies: every version that must be
// readable reads back byte for byte, every other one is refused, a time means what it should; and nothing leaks.
//
// A failure prints its seed; MVFUSE_TEST_SEED repeats it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UNDELETE_MS } from '../../src/limits.js';
import { TEST_ENGINES, type TestEngine } from '../support/engines.js';
import { checkNoLeaks, freshKeys, storedKeys } from '../support/history-leaks.js';
import * as names from '../support/history-name-steps.js';
import * as removal from '../support/history-removal-steps.js';
import * as steps from '../support/history-steps.js';
import { HistoryWalk } from '../support/history-walk.js';
import { LONG } from '../support/injection-run.js';
import { chooseSeed, seededRandom } from '../support/random.js';

const STEPS = LONG ? 1_500 : 250;
/** Where each takes as many round trips as transactions. */
const STEPS_SHARED = LONG ? 400 : 100;
const CHECK_EVERY_STEPS = 50;
/** How often each comes up. */
const WEIGHTS: ReadonlyArray<readonly [number, steps.Step]> = [
  [16, steps.commit],
  [6, steps.passTime],
  [2, steps.createNamespace],
  [4, steps.addTag],
  [3, steps.removeTag],
  [4, steps.open],
  [3, steps.close],
  [4, steps.fork],
  [2, steps.rollback],
  [1, steps.restore],
  [1, names.rename],
  [3, names.drop],
  [2, names.replace],
  [3, names.undelete],
  [2, names.purge],
  [1, names.passHours],
  [2, names.dieOnTheWay],
  [2, steps.lock],
  [2, steps.unlock],
  [2, removal.setPolicy],
  [5, removal.truncate],
  [3, removal.collect],
  [2, removal.collectDuringCommits],
  [3, removal.dieOnTheWay],
  [1, (walk) => walk.restart()],
];
const DECK = WEIGHTS.flatMap(([weight, step]) => Array<steps.Step>(weight).fill(step));

async function walkAtRandom(walk: HistoryWalk, stepsMax: number): Promise<void> {
  await walk.start();
  for (let count = 0; count < 3; count++) await steps.createNamespace(walk);
  for (let count = 1; count <= stepsMax; count++) {
    if (walk.live.length === 0) await steps.createNamespace(walk);
    await walk.pick(DECK)(walk);
    await walk.checkSome();
    if (count % CHECK_EVERY_STEPS === 0) await walk.checkEverything();
  }
}

/** Nothing is held but by forks, and everything but the newest is removed. */
async function letGo(walk: HistoryWalk): Promise<void> {
  for (const namespace of [...walk.live, ...walk.dropped, ...walk.deleted])
    for (const { close } of namespace.opened.splice(0)) close();
  for (const namespace of walk.live) {
    if (namespace.lock !== undefined) await walk.service.unlock(namespace.name, namespace.lock.owner, 'commit');
    namespace.lock = undefined;
    for (const tag of namespace.tags.keys()) await walk.service.removeTag(namespace.name, tag);
    namespace.tags.clear();
  }
  await truncateAll(walk);
}

async function truncateAll(walk: HistoryWalk): Promise<void> {
  await passDay(walk);
  for (const namespace of walk.live) {
    await walk.service.truncate(namespace.name, namespace.newest.head.version);
    namespace.raiseFloor(namespace.newest.head.version);
  }
  await walk.checkEverything();
  await checkNoLeaks(walk.engine, walk.live);
}

/** What was deleted is removed, unless a fork of it is left. */
async function passDay(walk: HistoryWalk): Promise<void> {
  walk.nowMs += UNDELETE_MS;
  await walk.store.retention.purgeDeleted();
  await names.removeExpired(walk);
}

async function deleteForks(walk: HistoryWalk): Promise<void> {
  const isFork = (namespace: (typeof walk.live)[number]): boolean => namespace.parent !== undefined;
  for (;;) {
    const leaf = walk.live.find((namespace) => isFork(namespace) && namespace.forks.size === 0);
    if (leaf === undefined) return;
    await walk.service.purgeNamespace(leaf.name);
    steps.forget(walk, leaf);
    await passDay(walk);
  }
}

async function checkSpace(walk: HistoryWalk, engine: TestEngine): Promise<void> {
  await letGo(walk);
  await deleteForks(walk);
  await truncateAll(walk);
  const files = await engine.create();
  try {
    const fresh = await freshKeys(await files.open(), walk.live);
    const { count, of } = await storedKeys(walk.engine);
    const bulks = [...of.values()].flat().filter(({ kind }) => kind === 'bulk').length;
    // Two for what was removed of each namespace, one for each that was deleted; the store's policy, and the last stage.
    const besides = 2 * walk.live.length + walk.deleted.length + walk.passing + bulks + 2;
    assert.ok(count <= fresh + besides, `${count} keys, where ${fresh} hold the same, and ${besides} are remembered`);
  } finally {
    await files.remove();
  }
  for (const namespace of [...walk.live]) {
    await walk.service.purgeNamespace(namespace.name);
    steps.forget(walk, namespace);
  }
  const { count } = await storedKeys(walk.engine);
  const namespaces = walk.deleted.length + walk.passing;
  assert.ok(count <= namespaces + 4, `${count} keys are left of ${namespaces} namespaces`);
  await walk.checkEverything();
}

for (const engine of TEST_ENGINES) {
  describe(`history model on ${engine.name}`, () => {
    for (const [cache, cacheBytesMax] of [
      ['a tiny cache', 3_000],
      ['a large cache', 10_000_000],
    ] as const) {
      test(`what must be readable reads back, the rest is refused, and nothing leaks, with ${cache}`, async () => {
        const random = seededRandom(chooseSeed(`${engine.name}, ${cache}`));
        const files = await engine.create();
        try {
          const walk = new HistoryWalk({ random, files, isPersistent: engine.isPersistent, cacheBytesMax });
          await walkAtRandom(walk, engine.isShared ? STEPS_SHARED : STEPS);
          await checkSpace(walk, engine);
          await walk.store.close();
        } finally {
          await files.remove();
        }
      });
    }
  });
}
