// Format 1 is frozen: the same commits make the same bytes as ever, and what was written once reads as it was.
//
// format-1.json holds the keys and values that the scenario below made when the format was frozen, in hex; the other files,
// those of what came later.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import type { PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../../src/store/types.js';
import type { Version } from '../../../src/version.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const FIXTURE = new URL('../../../../test/unit/store/format-1.json', import.meta.url);
const HISTORY_FIXTURE = new URL('../../../../test/unit/store/format-1-history.json', import.meta.url);
const DROPPED_FIXTURE = new URL('../../../../test/unit/store/format-1-dropped.json', import.meta.url);
const MODE_FIXTURE = new URL('../../../../test/unit/store/format-1-mode.json', import.meta.url);
const LIMITS = { commitBytesMax: 8_000, stageChunkBytesMax: 1_000 };
const ORIGIN = '0102030405060708090a' as Version;

interface Fixture {
  /** Hex of keys and values. */
  readonly pairs: ReadonlyArray<readonly [string, string]>;
  readonly namespace: NamespaceId;
  /** What each version holds: the first byte of each page. */
  readonly versions: ReadonlyArray<{ readonly head: Head; readonly pages: readonly number[] }>;
}

/** A clock that stands still between calls, and goes on by a second with each. */
function steppingClock(): () => number {
  let nowMs = 1_700_000_000_000;
  return () => {
    nowMs += 1_000;
    return nowMs;
  };
}

async function contentOf(store: PageStore, namespace: NamespaceId, head: Head): Promise<number[]> {
  const numbers = Array.from({ length: Math.ceil(head.sizeBytes / head.pageBytes) }, (_, index) =>
    pageNumber(index + 1),
  );
  return (await store.readPages(namespace, head, numbers)).map((page) => page[0]!);
}

async function dump(engine: Engine): Promise<Fixture['pairs']> {
  const pairs = await engine.read((transaction) => transaction.getRange(Buffer.alloc(0), Buffer.of(255)));
  return pairs.map(({ key, value }) => [key.toString('hex'), value.toString('hex')] as const);
}

/** What came with tags, forks, retention and locks; part of the format since then. */
async function makeHistory(): Promise<Fixture['pairs']> {
  const engine = await openEngine('memory:', { clock: steppingClock() });
  const store = await openStore(engine, { clock: steppingClock() });
  const { id, head } = await store.createNamespace('main');
  let base = head;
  for (let fill = 1; fill <= 4; fill += 1) {
    base = (await commitOne(store, request(id, base.version, 2, filledPages({ 1: fill })))).head;
    if (fill === 1) await store.addTag(id, 'first', base.version);
  }
  await store.forkNamespace(id, base.version, 'fork');
  await store.createNamespace(`guarded:${'ab'.repeat(32)}`);
  await store.retention.setDefaultPolicy({ keepMs: 86_400_000, keepVersions: 3 });
  await store.setRetention(id, { keepVersions: 2 });
  await store.retention.apply(id);
  await store.lockNamespace(id, 'me');
  await store.createNamespace('gone');
  await store.removeNamespace('gone');
  const pairs = await dump(engine);
  await store.close();
  return pairs;
}

/** What came with namespaces that can be brought back; part of the format since then. */
async function makeDropped(): Promise<Fixture['pairs']> {
  const engine = await openEngine('memory:', { clock: steppingClock() });
  const store = await openStore(engine, { clock: steppingClock() });
  const { id, head } = await store.createNamespace('main');
  const { version } = (await commitOne(store, request(id, head.version, 1, filledPages({ 1: 1 })))).head;
  await store.forkNamespace(id, version, 'fork');
  await store.setRetention(id, { keepVersions: 2 });
  await store.dropNamespace('main');
  await store.createNamespace('main', { id: await store.reserveNamespaceId() });
  await store.createNamespace('over');
  await store.renameNamespace('over', 'main', { replace: true });
  await store.createNamespace('back');
  await store.dropNamespace('back');
  await store.undeleteNamespace('back', { as: 'again' });
  const pairs = await dump(engine);
  await store.close();
  return pairs;
}

/** What came with modes; part of the format since then. */
async function makeMode(): Promise<Fixture['pairs']> {
  const engine = await openEngine('memory:', { clock: steppingClock() });
  const store = await openStore(engine, { clock: steppingClock() });
  const { id, head } = await store.createNamespace('main');
  const { version } = (await commitOne(store, request(id, head.version, 1, filledPages({ 1: 1 })))).head;
  await store.setRetention(id, { keepVersions: 2 });
  await store.setMode(id, 0o640);
  await store.forkNamespace(id, version, 'fork');
  await store.createNamespace('made', { mode: 0o600 });
  await store.setMode((await store.createNamespace('cleared', { mode: 0o600 })).id, undefined);
  await store.setMode((await store.createNamespace('none')).id, 0);
  const pairs = await dump(engine);
  await store.close();
  return pairs;
}

async function load(pairs: Fixture['pairs']): Promise<PageStore> {
  const engine = await openEngine('memory:', { clock: Date.now });
  await engine.transact(async (transaction) => {
    for (const [key, value] of pairs) transaction.set(Buffer.from(key, 'hex'), Buffer.from(value, 'hex'));
  });
  return openStore(engine, { soleOwner: false });
}

async function makeStore(): Promise<Fixture> {
  const engine = await openEngine('memory:', { clock: steppingClock() });
  const store = await openStore(engine, { clock: steppingClock(), limits: LIMITS });
  await store.createNamespace('ünï/code');
  const { id, head } = await store.createNamespace('main');
  const versions: { head: Head; pages: number[] }[] = [];
  let base = head.version;
  const commit = async (next: Parameters<typeof commitOne>[1]): Promise<void> => {
    const made = (await commitOne(store, next)).head;
    versions.push({ head: made, pages: await contentOf(store, id, made) });
    base = made.version;
  };
  await commit(request(id, base, 3, filledPages({ 1: 1, 2: 2, 3: 3 })));
  await commit(request(id, base, 2, filledPages({ 1: 4 })));
  await commit(
    request(id, base, 20, filledPages(Object.fromEntries(Array.from({ length: 20 }, (_, n) => [n + 1, n + 10])))),
  );
  await commit({
    ...request(id, base, 20, filledPages({ 7: 99 })),
    replay: { origin: ORIGIN, timeMs: 1_800_000_000_000, durable: true },
  });
  await commit(request(id, base, 1, filledPages({ 1: 5 }, 1024), 1024));
  const pairs = await dump(engine);
  await store.close();
  return { pairs, namespace: id, versions };
}

const fixture = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Fixture;
const history = JSON.parse(readFileSync(HISTORY_FIXTURE, 'utf8')) as Fixture['pairs'];
const mode = JSON.parse(readFileSync(MODE_FIXTURE, 'utf8')) as Fixture['pairs'];
const dropped = JSON.parse(readFileSync(DROPPED_FIXTURE, 'utf8')) as Fixture['pairs'];

test('tags, forks, policies, watermarks and locks make the same bytes', async () => {
  assert.deepEqual(await makeHistory(), history);
});

test('dropped namespaces make the same bytes', async () => {
  assert.deepEqual(await makeDropped(), dropped);
});

test('modes make the same bytes, and read as they were', async () => {
  assert.deepEqual(await makeMode(), mode);
  const store = await load(mode);
  assert.deepEqual(
    (await store.listNamespaces()).map((info) => [info.name, info.mode]),
    [
      ['cleared', undefined],
      ['fork', 0o640],
      ['made', 0o600],
      ['main', 0o640],
      ['none', 0],
    ],
  );
  await store.close();
});

test('what was dropped once can be brought back', async () => {
  const store = await load(dropped);
  const found = await store.listDropped();
  assert.deepEqual(
    found.map(({ id, name }) => [id, name]),
    [
      [3, 'main'],
      [1, 'main'],
    ],
  );
  const { id, head } = await store.undeleteNamespace('main', { as: 'first', id: 1 as NamespaceId });
  assert.deepEqual(await contentOf(store, id, head), [1]);
  assert.equal((await store.details(id)).retention.keepVersions, 2);
  await store.close();
});

test('what was written before namespaces could be brought back has none to bring back, and can drop', async () => {
  const store = await load(history);
  const before = await store.listNamespaces();
  assert.deepEqual(
    before.map(({ name }) => name),
    ['fork', `guarded:${'ab'.repeat(32)}`, 'main'],
  );
  assert.deepEqual(await store.listDropped(), []);
  for (const { id, name } of before) {
    const state = await store.state(id);
    assert.deepEqual([state.name, state.dropped, state.mode], [name, false, undefined]);
  }
  await store.dropNamespace('fork');
  assert.deepEqual(await store.undeleteNamespace('fork'), before[0]);
  await store.close();
});

test('the same commits make the same bytes', async () => {
  assert.deepEqual(await makeStore(), fixture);
});

test('what was written once reads as it was, at every version', async () => {
  const store = await load(fixture.pairs);
  for (const { head, pages } of fixture.versions) {
    assert.deepEqual(await store.headAt(fixture.namespace, head.version), head);
    assert.deepEqual(await contentOf(store, fixture.namespace, head), pages);
  }
  assert.deepEqual(
    (await store.log(fixture.namespace)).map(({ origin }) => origin),
    [undefined, ORIGIN, undefined, undefined, undefined],
  );
  await store.close();
});
