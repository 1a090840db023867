import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CACHED_NAMESPACES_MAX, PAGE_CACHE_INTERVALS_MAX } from '../../../src/limits.js';
import { PageCache } from '../../../src/store/page-cache.js';
import type { NamespaceId } from '../../../src/store/types.js';
import type { Version } from '../../../src/version.js';
import { pageNumber } from '../../support/stores.js';

const SPACE = 1 as NamespaceId;
const P = pageNumber(7);
const version = (number: number) => number.toString(16).padStart(20, '0') as Version;
const content = (fill: number) => Buffer.alloc(100, fill);
const written = (fill: number, number = P) => [{ number, data: content(fill) }];

describe('page cache', () => {
  const make = () => new PageCache(100_000);
  const fillAt = (cache: PageCache, at: number) => cache.get(SPACE, P, version(at))?.[0];

  test('an image holds from its version to the one it was read at', () => {
    const cache = make();
    cache.put(SPACE, P, version(5), version(8), content(1));
    assert.deepEqual(
      [4, 5, 8, 9].map((at) => fillAt(cache, at)),
      [undefined, 1, 1, undefined],
    );
  });

  test('an image of the newest version goes on through commits to other pages, and ends with one to its own', () => {
    const cache = make();
    cache.put(SPACE, P, version(5), version(8), content(1));
    cache.advance(SPACE, version(8), version(9), written(9, pageNumber(1)));
    assert.equal(fillAt(cache, 9), 1);
    cache.advance(SPACE, version(9), version(10), written(2));
    cache.advance(SPACE, version(10), version(11), []);
    assert.deepEqual(
      [8, 9, 10, 11, 12].map((at) => fillAt(cache, at)),
      [1, 1, 2, 2, undefined],
    );
  });

  test('a commit that changed all ends every open image', () => {
    const cache = make();
    cache.put(SPACE, P, version(5), version(8), content(1));
    cache.advance(SPACE, version(8), version(9), 'all');
    assert.deepEqual(
      [8, 9].map((at) => fillAt(cache, at)),
      [1, undefined],
    );
  });

  test('so do commits that it was not told of', () => {
    const cache = make();
    cache.put(SPACE, P, version(5), version(8), content(1));
    cache.advance(SPACE, version(9), version(10), []);
    assert.deepEqual(
      [8, 9, 10].map((at) => fillAt(cache, at)),
      [1, undefined, undefined],
    );
    cache.put(SPACE, P, version(5), version(10), content(1));
    cache.put(SPACE, pageNumber(1), version(11), version(12), content(3));
    assert.deepEqual(
      [10, 11, 12].map((at) => fillAt(cache, at)),
      [1, undefined, undefined],
    );
  });

  test('a late answer for an old version is not taken for the newest', () => {
    const cache = make();
    cache.advance(SPACE, version(0), version(8), []);
    cache.advance(SPACE, version(8), version(9), written(2));
    cache.put(SPACE, P, version(5), version(8), content(1));
    assert.deepEqual(
      [8, 9].map((at) => fillAt(cache, at)),
      [1, 2],
    );
    cache.advance(SPACE, version(9), version(10), []);
    assert.deepEqual(
      [8, 10].map((at) => fillAt(cache, at)),
      [1, 2],
    );
  });

  test('reading an old image again lengthens its interval', () => {
    const cache = make();
    cache.advance(SPACE, version(0), version(20), []);
    cache.put(SPACE, P, version(5), version(8), content(1));
    cache.put(SPACE, P, version(5), version(12), content(1));
    cache.put(SPACE, P, version(5), version(6), content(1));
    assert.deepEqual(
      [12, 13].map((at) => fillAt(cache, at)),
      [1, undefined],
    );
  });

  test('keeps few images of a page, the newest', () => {
    const cache = make();
    for (let at = 1; at <= 10; at++) cache.advance(SPACE, version(at - 1), version(at), written(at));
    const kept = [...Array(11).keys()].filter((at) => fillAt(cache, at) !== undefined);
    assert.deepEqual(kept, [7, 8, 9, 10].slice(-PAGE_CACHE_INTERVALS_MAX));
  });

  test('stays within its bytes', () => {
    const cache = new PageCache(3_000);
    for (let number = 1; number <= 100; number++)
      cache.put(SPACE, pageNumber(number), version(1), version(1), content(number));
    const kept = [...Array(101).keys()].filter(
      (number) => cache.get(SPACE, pageNumber(number), version(1)) !== undefined,
    );
    assert.ok(kept.length > 0 && kept.length <= 10, `${kept.length} pages`);
    assert.equal(kept.at(-1), 100);
  });

  test('namespaces do not mix', () => {
    const cache = make();
    cache.put(SPACE, P, version(5), version(8), content(1));
    assert.equal(cache.get(2 as NamespaceId, P, version(8)), undefined);
    cache.advance(2 as NamespaceId, version(0), version(9), 'all');
    assert.equal(fillAt(cache, 8), 1);
  });

  test('nor do more of them than are remembered at once', () => {
    const cache = make();
    const last = CACHED_NAMESPACES_MAX + 100;
    for (let id = 1; id <= last; id += 1) cache.put(id as NamespaceId, P, version(1), version(1), content(id % 251));
    for (let id = 1; id <= last; id += 1) {
      const page = cache.get(id as NamespaceId, P, version(1));
      assert.ok(page === undefined ? id < last : page[0] === id % 251, `namespace ${id}`);
    }
  });
});
