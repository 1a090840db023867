// The largest page number there is, and those around every place where a number needs one more byte or bit.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { restoreVersion } from '../../../src/admin/restore.js';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN, PAGE_COUNT_MAX } from '../../../src/limits.js';
import { pageKey, pageOfKey } from '../../../src/store/keys.js';
import { decodePageSet, encodePageSet } from '../../../src/store/page-set.js';
import type { PageStore } from '../../../src/store/page-store.js';
import type { Head, NamespaceId, PageNumber } from '../../../src/store/types.js';
import { ZERO_VERSION } from '../../../src/version.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const BORDERS = [1, 2, 255, 256, 32_767, 32_768, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, PAGE_COUNT_MAX - 1];
const NUMBERS = [...BORDERS, PAGE_COUNT_MAX] as PageNumber[];

let engine: Engine;
let id: NamespaceId;

beforeEach(async () => {
  engine = await openEngine('memory:', { clock: Date.now });
});
afterEach(() => engine.close());

const fillsOf = (add: number): Record<number, number> =>
  Object.fromEntries(NUMBERS.map((page, index) => [page, index + add]));

async function requireFills(store: PageStore, head: Head, add: number): Promise<void> {
  const pages = await store.readPages(id, head, NUMBERS);
  assert.deepEqual(
    pages.map((page) => page.equals(Buffer.alloc(head.pageBytes, page[0]!)) && page[0]),
    NUMBERS.map((_, index) => index + add),
  );
}

test('keys and lists of pages give the numbers back, in order', () => {
  const keys = NUMBERS.map((page) => pageKey(1 as NamespaceId, page, ZERO_VERSION));
  assert.deepEqual(
    keys.map((key) => pageOfKey(key)),
    NUMBERS,
  );
  assert.deepEqual([...keys].sort(Buffer.compare), keys);
  assert.deepEqual(decodePageSet(encodePageSet(NUMBERS)!), NUMBERS);
});

for (const pageBytes of [PAGE_BYTES_MIN, PAGE_BYTES_MAX]) {
  for (const [what, limits] of [
    ['in one transaction', undefined],
    ['staged', { commitBytesMax: 1, stageChunkBytesMax: 1 }],
  ] as const) {
    test(`a file of ${PAGE_COUNT_MAX} pages of ${pageBytes} bytes, written ${what}`, async () => {
      const store = await openStore(engine, limits && { limits });
      ({ id } = await store.createNamespace('n'));
      const pages = (add: number) => filledPages(fillsOf(add), pageBytes);
      const { head } = await commitOne(store, request(id, ZERO_VERSION, PAGE_COUNT_MAX, pages(1), pageBytes));
      assert.equal(head.sizeBytes, PAGE_COUNT_MAX * pageBytes);
      await requireFills(store, head, 1);
      const { head: next } = await commitOne(store, request(id, head.version, PAGE_COUNT_MAX, pages(2), pageBytes));
      // With nothing in memory, too.
      for (const reader of [store, await openStore(engine)]) {
        await requireFills(reader, head, 1);
        await requireFills(reader, next, 2);
      }
      const [change] = await store.changesAfter(id, head.version);
      assert.deepEqual(change!.pages, limits === undefined ? NUMBERS : undefined);
      assert.deepEqual(await store.changedPages(id, head, next), new Set(NUMBERS));

      const cut = (await commitOne(store, request(id, next.version, 2 ** 31, [], pageBytes))).head;
      const grown = (await commitOne(store, request(id, cut.version, PAGE_COUNT_MAX, [], pageBytes))).head;
      const last = NUMBERS.slice(-3);
      for (const reader of [store, await openStore(engine)]) {
        const [kept, ...gone] = await reader.readPages(id, grown, last);
        assert.equal(kept![0], NUMBERS.indexOf(last[0]!) + 2);
        for (const page of gone) assert.ok(page.equals(Buffer.alloc(pageBytes)));
        await requireFills(reader, next, 2);
      }
    });
  }
}

test('one page more is refused', async () => {
  const store = await openStore(engine);
  ({ id } = await store.createNamespace('n'));
  const over = request(id, ZERO_VERSION, PAGE_COUNT_MAX + 1, []);
  await assert.rejects(store.commit([over]), (error) => isMvfuseError(error, 'LIMIT'));
});

test('what is no SQLite database has bytes like any others in the place of the lock bytes, also when it is restored', async () => {
  const store = await openStore(engine);
  ({ id } = await store.createNamespace('n'));
  const pageBytes = PAGE_BYTES_MAX;
  const count = 2 ** 30 / pageBytes + 2;
  const fills = { 1: 1, [count - 1]: 7, [count]: 8 };
  const old = (await commitOne(store, request(id, ZERO_VERSION, count, filledPages(fills, pageBytes), pageBytes))).head;
  const fork = await store.forkNamespace(id, old.version, 'fork');
  const small = (await commitOne(store, request(id, old.version, 1, [], pageBytes))).head;
  const { head, pageCount } = await restoreVersion(store, id, old.version);
  assert.notEqual(head.version, small.version);
  assert.equal(pageCount, 2, 'holes stay holes');
  for (const [namespace, at] of [
    [id, head],
    [fork.id, fork.head],
  ] as const) {
    const pages = await store.readPages(namespace, at, [1, count - 2, count - 1, count].map(pageNumber));
    assert.deepEqual(
      pages.map((page) => page[0]),
      [1, 0, 7, 8],
    );
  }
});
