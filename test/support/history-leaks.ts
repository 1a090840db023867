// What is left in a store, key by key: whether anything is there that no readable version needs.

import assert from 'node:assert/strict';
import type { Engine } from '../../src/kv/engine.js';
import { unpackTuple } from '../../src/kv/tuple.js';
import { pageCountOf } from '../../src/store/page-count.js';
import type { NamespaceId } from '../../src/store/types.js';
import type { NamespaceOracle } from './history-oracle.js';
import { openStore } from './stores.js';

/** As in src/store/keys.ts. */
const KINDS = [
  ...['meta', 'head', 'page', 'shrink', 'log', 'bulk', 'stage', 'time'],
  ...['lease', 'wanted', 'pin', 'tag', 'fork', 'watermark', 'collected', 'lock'],
];
const [NAMESPACE, ALL] = [4, { begin: Buffer.from([0]), end: Buffer.from([0xff]) }];

interface StoredKey {
  readonly kind: string;
  /** Of an image. */
  readonly page: number | undefined;
}

/** The keys of the whole store, and those of each namespace. */
export async function storedKeys(engine: Engine): Promise<{ count: number; of: Map<NamespaceId, StoredKey[]> }> {
  const pairs = await engine.read((transaction) => transaction.getRange(ALL.begin, ALL.end));
  const of = new Map<NamespaceId, StoredKey[]>();
  for (const { key } of pairs) {
    const [space, id, kindNumber, ...rest] = unpackTuple(key) as [number, NamespaceId, number, ...number[]];
    if (space !== NAMESPACE) continue;
    const kind = KINDS[kindNumber]!;
    const page = kind === 'page' ? rest[0] : kind === 'stage' ? rest[1] : undefined;
    of.set(id, [...(of.get(id) ?? []), { kind, page }]);
  }
  return { count: pairs.length, of };
}

/**
 * Everything was collected and nobody has anything open: each page has at most one image for each version that is
 * kept, none lies past the end of all of them, and nothing is remembered of other versions.
 */
export async function checkNoLeaks(engine: Engine, namespaces: readonly NamespaceOracle[]): Promise<void> {
  const { of } = await storedKeys(engine);
  for (const namespace of namespaces) {
    const keys = of.get(namespace.file.id) ?? [];
    const kept = namespace.readable().map(({ head }) => head);
    const commits = kept.filter(({ sizeBytes, version }) => sizeBytes > 0 || !/^0*$/.test(version));
    const last = Math.max(0, ...kept.map(pageCountOf));
    const count = (kind: string): number => keys.filter((key) => key.kind === kind).length;
    const where = (what: string): string => `${what} of ${namespace.name} (${namespace.file.id})`;
    const images = new Map<number, number>();
    for (const { page } of keys) if (page !== undefined) images.set(page, (images.get(page) ?? 0) + 1);
    for (const [page, number] of images) {
      assert.ok(page <= last, where(`page ${page} is past the last one, ${last},`));
      assert.ok(number <= kept.length, where(`page ${page} has ${number} images for ${kept.length} versions`));
    }
    assert.equal(count('log'), commits.length, where('changelog entries'));
    assert.ok(count('time') <= commits.length, where('time entries'));
    assert.ok(count('bulk') <= count('stage'), where('bulk commits'));
    assert.equal(count('pin') + count('lock'), 0, where('pins and locks'));
    // In a fork a cut goes on hiding its parent's pages: one entry tells of all.
    if (kept.length === 1) assert.ok(count('shrink') <= (namespace.parent === undefined ? 0 : 1), where('cuts'));
  }
}

/** How many keys a store takes that holds nothing but the newest content of these namespaces, all of it written. */
export async function freshKeys(engine: Engine, namespaces: readonly NamespaceOracle[]): Promise<number> {
  const store = await openStore(engine, { limits: { commitBytesMax: 1_000_000 } });
  for (const { name, newest } of namespaces) {
    const { id, head } = await store.createNamespace(name);
    const { pageBytes, sizeBytes } = newest.head;
    const pages = Array.from({ length: pageCountOf(newest.head) }, (_, index) => ({
      number: (index + 1) as never,
      data: newest.content.subarray(index * pageBytes, (index + 1) * pageBytes),
    }));
    await store.commit([{ namespace: id, base: head.version, pageBytes, sizeBytes, pages }]);
  }
  const { count } = await storedKeys(engine);
  await store.close();
  return count;
}
