// What the store promises (store/page-store.ts), as tests, over any engine.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../src/kv/engine.js';
import { CHANGES_READ_MAX, NAMESPACE_NAME_BYTES_MAX, READ_PAGES_MAX } from '../../src/limits.js';
import { formatKey, pageRangeUpTo, stagePageRange, stagingRange } from '../../src/store/keys.js';
import type { PageStore } from '../../src/store/page-store.js';
import { encodeNumber } from '../../src/store/records.js';
import type { CommitRequest, Head, NamespaceId, Page } from '../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import type { TestEngine, TestStore } from '../support/engines.js';
import {
  commitOne,
  dyingEngine,
  filledPage,
  filledPages,
  openStore,
  PAGE_BYTES,
  pageNumber,
  request,
} from '../support/stores.js';
import { throwsCode } from '../support/throws-code.js';

const SMALL_LIMITS = { commitBytesMax: 4 * PAGE_BYTES, stageChunkBytesMax: 2 * PAGE_BYTES };
const LAST_VERSION = 'f'.repeat(20) as Version;

export function storeSuite(testEngine: TestEngine): void {
  describe(`store on ${testEngine.name}`, () => {
    let files: TestStore;
    let engine: Engine;
    let store: PageStore;
    let id: NamespaceId;
    let empty: Head;

    beforeEach(async () => {
      files = await testEngine.create();
      engine = await files.open();
      store = await openStore(engine, { limits: SMALL_LIMITS });
      ({ id, head: empty } = await store.createNamespace('main'));
    });
    afterEach(async () => {
      await store.close();
      await files.remove();
    });

    /** The first byte of each page, after a check that all its bytes are the same. */
    async function fills(head: Head, numbers: readonly number[], from = store, namespace = id): Promise<number[]> {
      const pages = await from.readPages(namespace, head, numbers.map(pageNumber));
      return pages.map((page, index) => {
        assert.deepEqual(page, Buffer.alloc(head.pageBytes, page[0]), `page ${numbers[index]}`);
        return page[0]!;
      });
    }
    /** The same, past every cache. */
    async function storedFills(head: Head, numbers: readonly number[]): Promise<number[]> {
      const fresh = await openStore(engine, { cacheBytesMax: 1, soleOwner: false });
      return fills(head, numbers, fresh);
    }
    const commit = async (base: Head, pageCount: number, pages: CommitRequest['pages'], pageBytes = PAGE_BYTES) =>
      (await commitOne(store, request(id, base.version, pageCount, pages, pageBytes))).head;

    describe('namespaces', () => {
      test('are created, found and listed by name', async () => {
        await store.createNamespace('b/c');
        await store.createNamespace('ä');
        const created = await store.createNamespace('a');
        assert.deepEqual(await store.statNamespace('a'), created);
        assert.deepEqual(
          (await store.listNamespaces()).map(({ name }) => name),
          ['a', 'b/c', 'main', 'ä'],
        );
        assert.equal(new Set((await store.listNamespaces()).map(({ id }) => id)).size, 4);
      });

      test('begin as an empty file', async () => {
        const info = await store.statNamespace('main');
        assert.deepEqual(info.head, empty);
        assert.equal(empty.version, ZERO_VERSION);
        assert.equal(empty.sizeBytes, 0);
        assert.equal(empty.timeMs, info.createdMs);
        assert.deepEqual(await store.head(id), empty);
        assert.deepEqual(await store.log(id), []);
      });

      test('exist once', async () => {
        await assert.rejects(store.createNamespace('main'), throwsCode('ALREADY_EXISTS'));
        const racing = await Promise.allSettled([store.createNamespace('x'), store.createNamespace('x')]);
        assert.deepEqual(racing.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
        await assert.rejects(store.statNamespace('none'), throwsCode('NOT_FOUND', /none/));
        await assert.rejects(store.head(99 as NamespaceId), throwsCode('NOT_FOUND'));
      });

      test('have names that fit in file names, keys and flags', async () => {
        for (const name of [
          '',
          'a@b',
          'a,b',
          'a=b',
          'a\n',
          '\u007f',
          '\ud800',
          'é'.repeat(NAMESPACE_NAME_BYTES_MAX / 2 + 1),
        ]) {
          await assert.rejects(store.createNamespace(name), throwsCode('INVALID_ARGUMENT'), JSON.stringify(name));
          await assert.rejects(store.statNamespace(name), throwsCode('INVALID_ARGUMENT'));
        }
        await store.createNamespace('é'.repeat(NAMESPACE_NAME_BYTES_MAX / 2));
      });
    });

    describe('commits', () => {
      test('are read back at their version, and earlier versions stay', async () => {
        const one = await commit(empty, 3, filledPages({ 1: 1, 2: 2, 3: 3 }));
        const two = await commit(one, 3, filledPages({ 2: 22 }));
        for (const read of [fills, storedFills]) {
          assert.deepEqual(await read(two, [1, 2, 3]), [1, 22, 3]);
          assert.deepEqual(await read(one, [3, 2, 1, 2]), [3, 2, 1, 2]);
        }
        assert.ok(two.version > one.version);
        assert.deepEqual(await store.head(id), two);
        assert.deepEqual((await store.statNamespace('main')).head, two);
      });

      test('answer with what was written', async () => {
        const answer = await commitOne(store, request(id, ZERO_VERSION, 2, filledPages({ 1: 1, 2: 2 })));
        assert.deepEqual([answer.pageCount, answer.bytes], [2, 2 * PAGE_BYTES]);
        assert.equal(answer.head.sizeBytes, 2 * PAGE_BYTES);
      });

      test('on another base are a conflict and write nothing', async () => {
        const one = await commit(empty, 1, [filledPage(1, 1)]);
        await assert.rejects(commit(empty, 1, [filledPage(1, 9)]), throwsCode('CONFLICT'));
        assert.deepEqual(await storedFills(await store.head(id), [1]), [1]);
        assert.deepEqual(await store.head(id), one);
        assert.equal((await store.log(id)).length, 1);
      });

      test('at the same time on one base: one wins', async () => {
        const racing = await Promise.allSettled([1, 2, 3, 4].map((fill) => commit(empty, 1, [filledPage(1, fill)])));
        const winners = racing.flatMap((result, index) => (result.status === 'fulfilled' ? [index + 1] : []));
        assert.equal(winners.length, 1);
        assert.deepEqual(await fills(await store.head(id), [1]), winners);
      });

      test('without pages make a version all the same', async () => {
        const one = await commit(empty, 1, [filledPage(1, 1)]);
        const two = await commit(one, 1, []);
        assert.ok(two.version > one.version);
        assert.deepEqual(await fills(two, [1]), [1]);
        assert.deepEqual(await store.commit([]), []);
      });

      test('keep no reference to the caller’s pages', async () => {
        const page = filledPage(1, 1);
        const one = await commit(empty, 1, [page]);
        (page.data as Buffer).fill(9);
        assert.deepEqual(await fills(one, [1]), [1]);
      });

      test('take their time from the clock, but never go back', async () => {
        let nowMs = 1_000_000;
        const slow = await openStore(engine, { clock: () => nowMs });
        const { id } = await slow.createNamespace('clock');
        const one = await commitOne(slow, request(id, ZERO_VERSION, 0, []));
        nowMs -= 500;
        const two = await commitOne(slow, request(id, one.head.version, 0, []));
        nowMs += 700.25;
        const three = await commitOne(slow, request(id, two.head.version, 0, []));
        assert.deepEqual(
          [one, two, three].map(({ head }) => head.timeMs),
          [1_000_000, 1_000_000, 1_000_200],
        );
      });

      test('are listed in the log, the newest first', async () => {
        const one = await commit(empty, 2, filledPages({ 1: 1, 2: 2 }));
        const two = await commit(one, 2, [filledPage(2, 3)]);
        const [first, second] = await store.log(id);
        assert.deepEqual(first, { ...two, pageCount: 1, bytes: PAGE_BYTES });
        assert.deepEqual(second, { ...one, pageCount: 2, bytes: 2 * PAGE_BYTES });
        assert.deepEqual(await store.log(id, { limit: 1 }), [first]);
      });

      test('are listed after a version, the oldest first, with their pages', async () => {
        const one = await commit(empty, 2, filledPages({ 1: 1, 2: 2 }));
        const two = await commit(
          one,
          20,
          filledPages(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [i + 2, 1]))),
        );
        const three = await commit(two, 20, [filledPage(2, 3)]);
        const listed = { ...one, pageCount: 2, bytes: 2 * PAGE_BYTES, pages: [1, 2] };
        const staged = { ...two, pageCount: 9, bytes: 9 * PAGE_BYTES, pages: undefined };
        const last = { ...three, pageCount: 1, bytes: PAGE_BYTES, pages: [2] };
        assert.deepEqual(await store.changesAfter(id, ZERO_VERSION), [listed, staged, last]);
        assert.deepEqual(await store.changesAfter(id, one.version), [staged, last]);
        assert.deepEqual(await store.changesAfter(id, three.version), []);
        for (let head = three, left = CHANGES_READ_MAX; left > 0; left--) head = await commit(head, 20, []);
        assert.equal((await store.changesAfter(id, ZERO_VERSION)).length, CHANGES_READ_MAX);
        assert.equal((await store.changesAfter(id, three.version)).length, CHANGES_READ_MAX);
      });

      test('that replay a version keep its time and remember it, but no time runs backwards', async () => {
        const origin = '00000000000000000abc' as Version;
        const replayed = async (base: Head, timeMs: number, pages: Page[]) =>
          (
            await commitOne(store, {
              ...request(id, base.version, 20, pages),
              replay: { origin, timeMs, durable: false },
            })
          ).head;
        const one = await replayed(empty, 5_000, [filledPage(1, 1)]);
        const two = await replayed(
          one,
          4_000,
          Array.from({ length: 9 }, (_, index) => filledPage(index + 1, 2)),
        );
        const three = await commit(two, 20, []);
        assert.deepEqual([one.timeMs, two.timeMs], [5_000, 5_000]);
        assert.ok(three.timeMs > 5_000);
        assert.deepEqual(await store.headAt(id, two.version), two);
        const origins = (await store.log(id)).map((entry) => entry.origin);
        assert.deepEqual(origins, [undefined, origin, origin]);
        const nonsense = {
          ...request(id, three.version, 20, []),
          replay: { origin: 'x' as Version, timeMs: 1, durable: true },
        };
        await assert.rejects(store.commit([nonsense]), throwsCode('INVALID_ARGUMENT'));
      });

      test('are found by their version alone', async () => {
        const one = await commit(empty, 1, [filledPage(1, 1)]);
        const two = await commit(one, 2, [filledPage(2, 2)]);
        assert.deepEqual(await store.headAt(id, one.version), one);
        assert.deepEqual(await store.headAt(id, two.version), two);
        assert.deepEqual(await store.headAt(id, ZERO_VERSION), empty);
        assert.equal(await store.headAt(id, LAST_VERSION), undefined);
        const other = await store.createNamespace('other');
        assert.equal(await store.headAt(other.id, one.version), undefined);
      });

      test('of requests that make no sense are refused', async () => {
        const bad: Partial<CommitRequest>[] = [
          { pageBytes: 256 },
          { pageBytes: 131_072 },
          { pageBytes: 1000 },
          { sizeBytes: -1 },
          { sizeBytes: 0.5 },
          { base: 'x' as Version },
          { pages: [filledPage(0, 1)] },
          { pages: [filledPage(3, 1)] },
          { pages: filledPages({ 2: 1 }).concat(filledPages({ 1: 1 })) },
          { pages: [filledPage(1, 1), filledPage(1, 1)] },
          { pages: [filledPage(1, 1, 100)] },
          { pages: [filledPage(1, 1, 513)] },
        ];
        for (const change of bad) {
          const refused = { ...request(id, ZERO_VERSION, 2, []), ...change };
          await assert.rejects(store.commit([refused]), throwsCode('INVALID_ARGUMENT'), JSON.stringify(change));
        }
        const twice = request(id, ZERO_VERSION, 0, []);
        await assert.rejects(store.commit([twice, twice]), throwsCode('INVALID_ARGUMENT'));
        await assert.rejects(store.commit([{ ...twice, namespace: 99 as NamespaceId }]), throwsCode('NOT_FOUND'));
        assert.deepEqual(await store.head(id), empty);
      });

      test('of all page sizes', async () => {
        let head = empty;
        for (let pageBytes = 512; pageBytes <= 65_536; pageBytes *= 2) {
          head = await commit(head, 2, filledPages({ 1: 1, 2: 2 }, pageBytes), pageBytes);
          assert.deepEqual(await storedFills(head, [1, 2]), [1, 2]);
        }
      });
    });

    describe('size', () => {
      test('pages past the end, and those never written, are zeros', async () => {
        const one = await commit(empty, 5, filledPages({ 2: 2 }));
        for (const read of [fills, storedFills]) assert.deepEqual(await read(one, [1, 2, 5, 6, 1000]), [0, 2, 0, 0, 0]);
        assert.deepEqual(await fills(empty, [1, 2]), [0, 0]);
      });

      test('what was cut off does not come back', async () => {
        const one = await commit(empty, 3, filledPages({ 1: 1, 2: 2, 3: 3 }));
        const two = await commit(one, 1, []);
        const three = await commit(two, 3, []);
        const four = await commit(three, 3, [filledPage(2, 22)]);
        for (const read of [fills, storedFills]) {
          assert.deepEqual(await read(one, [1, 2, 3]), [1, 2, 3]);
          assert.deepEqual(await read(two, [1, 2, 3]), [1, 0, 0]);
          assert.deepEqual(await read(three, [1, 2, 3]), [1, 0, 0]);
          assert.deepEqual(await read(four, [1, 2, 3]), [1, 22, 0]);
        }
      });

      test('of no whole pages: the last one is filled up with zeros', async () => {
        const odd = { ...request(id, ZERO_VERSION, 2, []), sizeBytes: PAGE_BYTES + 100 };
        const pages = [filledPage(1, 1), filledPage(2, 2, 100)];
        const { head } = await commitOne(store, { ...odd, pages });
        for (const from of [store, await openStore(engine, { soleOwner: false })]) {
          const [page] = await from.readPages(id, head, [pageNumber(2)]);
          assert.deepEqual(page, Buffer.concat([Buffer.alloc(100, 2)], PAGE_BYTES));
        }
        const whole = { ...odd, base: head.version, pages: [filledPage(2, 3)] };
        await assert.rejects(store.commit([whole]), throwsCode('INVALID_ARGUMENT'));
        const cut = { ...odd, base: head.version, sizeBytes: PAGE_BYTES + 50, pages: [] };
        await assert.rejects(store.commit([cut]), throwsCode('INVALID_ARGUMENT', /cut/));
      });

      test('of a page: after a change nothing older shines through', async () => {
        const one = await commit(empty, 4, filledPages({ 1: 1, 2: 2, 3: 3, 4: 4 }));
        const two = await commit(one, 2, filledPages({ 1: 11 }, 1024), 1024);
        const three = await commit(two, 6, filledPages({ 4: 44 }), PAGE_BYTES);
        for (const read of [fills, storedFills]) {
          assert.deepEqual(await read(one, [1, 2, 3, 4]), [1, 2, 3, 4]);
          assert.deepEqual(await read(two, [1, 2]), [11, 0]);
          assert.deepEqual(await read(three, [1, 2, 3, 4, 5, 6]), [0, 0, 0, 44, 0, 0]);
        }
      });
    });

    describe('several members', () => {
      test('are committed at one version', async () => {
        const other = await store.createNamespace('other');
        const [first, second] = await store.commit([
          request(id, ZERO_VERSION, 1, [filledPage(1, 1)]),
          request(other.id, ZERO_VERSION, 2, [filledPage(2, 2)]),
        ]);
        assert.equal(first!.head.version, second!.head.version);
        assert.deepEqual(await fills(first!.head, [1]), [1]);
        assert.deepEqual(await fills(second!.head, [1, 2], store, other.id), [0, 2]);
      });

      test('or none is, when one conflicts; bulk members too', async () => {
        const other = await store.createNamespace('other');
        const otherHead = (await commitOne(store, request(other.id, ZERO_VERSION, 1, [filledPage(1, 1)]))).head;
        const many = Array.from({ length: 9 }, (_, index) => filledPage(index + 1, 7));
        const failing = store.commit([
          request(id, ZERO_VERSION, 9, many),
          request(other.id, ZERO_VERSION, 9, [filledPage(1, 9)]),
        ]);
        await assert.rejects(failing, throwsCode('CONFLICT'));
        assert.deepEqual(await store.head(id), empty);
        assert.deepEqual(await store.head(other.id), otherHead);
        await assertNoStages();
      });

      test('some in one transaction, some in stages', async () => {
        const other = await store.createNamespace('other');
        const many = Array.from({ length: 9 }, (_, index) => filledPage(index + 1, 7));
        const [first, second] = await store.commit([
          request(id, ZERO_VERSION, 2, [filledPage(2, 5)]),
          request(other.id, ZERO_VERSION, 9, many),
        ]);
        assert.equal(first!.head.version, second!.head.version);
        assert.deepEqual(await fills(first!.head, [1, 2]), [0, 5]);
        assert.deepEqual(await fills(second!.head, [1, 9], store, other.id), [7, 7]);
      });
    });

    async function stagedPages(): Promise<number> {
      let count = 0;
      for (let stage = 1; stage < 10; stage++) {
        const { begin, end } = stagePageRange(id, stage);
        count += (await engine.read((t) => t.getRange(begin, end))).length;
      }
      return count;
    }
    async function assertNoStages(): Promise<void> {
      assert.equal(await stagedPages(), 0);
      assert.deepEqual(await engine.read((t) => t.getRange(stagingRange.begin, stagingRange.end)), []);
    }

    describe('bulk commits', () => {
      const bulkPages = (count: number, fill: number, step = 1): Page[] =>
        Array.from({ length: count }, (_, index) => filledPage(1 + index * step, fill));

      test('read back, before and after other commits', async () => {
        const one = await commit(empty, 20, filledPages({ 3: 3, 5: 5 }));
        const two = await commit(one, 20, bulkPages(10, 7, 2));
        const three = await commit(two, 20, filledPages({ 5: 55, 6: 66 }));
        const four = await commit(three, 20, bulkPages(7, 9));
        assert.ok((await stagedPages()) === 17);
        for (const read of [fills, storedFills]) {
          assert.deepEqual(await read(one, [1, 3, 5, 6, 8]), [0, 3, 5, 0, 0]);
          assert.deepEqual(await read(two, [1, 3, 5, 6, 8]), [7, 7, 7, 0, 0]);
          assert.deepEqual(await read(three, [1, 3, 5, 6, 8, 9]), [7, 7, 55, 66, 0, 7]);
          assert.deepEqual(await read(four, [1, 3, 5, 6, 8, 9]), [9, 9, 9, 9, 0, 7]);
        }
        assert.deepEqual(await store.log(id, { limit: 1 }), [{ ...four, pageCount: 7, bytes: 7 * PAGE_BYTES }]);
      });

      test('that change size and page size', async () => {
        const one = await commit(empty, 20, bulkPages(20, 1));
        const two = await commit(one, 8, bulkPages(8, 2, 1).slice(2));
        const three = await commit(two, 20, []);
        const pages = Array.from({ length: 6 }, (_, index) => filledPage(index + 1, 4, 1024));
        const four = await commit(three, 10, pages, 1024);
        for (const read of [fills, storedFills]) {
          assert.deepEqual(await read(one, [1, 8, 20]), [1, 1, 1]);
          assert.deepEqual(await read(two, [1, 2, 3, 8, 9]), [1, 1, 2, 2, 0]);
          assert.deepEqual(await read(three, [2, 8, 9, 20]), [1, 2, 0, 0]);
          assert.deepEqual(await read(four, [1, 6, 7, 10]), [4, 4, 0, 0]);
        }
      });

      test('hold one chunk in memory, and consume their pages once', async () => {
        let made = 0;
        async function* pages() {
          for (let number = 1; number <= 500; number++) {
            made++;
            yield filledPage(number, number % 251);
          }
        }
        const one = await commit(empty, 500, pages());
        assert.equal(made, 500);
        assert.deepEqual(await storedFills(one, [1, 250, 251, 500]), [1, 250, 0, 500 % 251]);
      });

      test('whose pages fail leave nothing', async () => {
        async function* pages() {
          yield* bulkPages(9, 1);
          throw new Error('no more pages');
        }
        await assert.rejects(commit(empty, 20, pages()), /no more pages/);
        assert.deepEqual(await store.head(id), empty);
        await assertNoStages();
      });

      test('on another base are refused before all is staged', async () => {
        await commit(empty, 1, []);
        let made = 0;
        function* pages() {
          for (const page of bulkPages(100, 1)) {
            made++;
            yield page;
          }
        }
        await assert.rejects(commit(empty, 100, pages()), throwsCode('CONFLICT'));
        assert.ok(made < 10, `${made} pages were taken`);
        await assertNoStages();
      });

      test('killed at any transaction leave the head, and what is left is collected', async () => {
        const one = await commit(empty, 20, filledPages({ 1: 1 }));
        let survived = false;
        for (let count = 0; !survived; count++) {
          const dying = await openStore(engine, { limits: SMALL_LIMITS, soleOwner: false });
          const doomed = await openStore(dyingEngine(engine, count + 1), { limits: SMALL_LIMITS, soleOwner: false });
          survived = await commitOne(doomed, request(id, one.version, 20, bulkPages(9, 9))).then(
            () => true,
            () => false,
          );
          assert.ok(count < 50);
          if (survived) break;
          assert.deepEqual(await dying.head(id), one);
          assert.deepEqual(await storedFills(one, [1, 2]), [1, 0]);
          await openStore(engine);
          await until(async () => (await stagedPages()) === 0);
        }
        const fresh = await openStore(engine);
        assert.deepEqual(await fills(await fresh.head(id), [1, 9, 10], fresh), [9, 9, 0]);
        assert.equal(await stagedPages(), 9, 'a published stage is kept');
      });

      test('whose stage was given up cannot be published', async () => {
        async function* pages() {
          yield* bulkPages(9, 1);
          await openStore(engine);
          yield filledPage(10, 1);
        }
        await assert.rejects(commit(empty, 20, pages()), throwsCode('CONFLICT', /given up/));
        assert.deepEqual(await store.head(id), empty);
      });
    });

    async function until(condition: () => Promise<boolean>): Promise<void> {
      for (let tries = 0; !(await condition()); tries++) {
        assert.ok(tries < 500, 'waited too long');
        await sleep(2);
      }
    }

    describe('integrity', () => {
      test('damaged, truncated, unknown and exchanged pages are told, by name', async () => {
        const one = await commit(empty, 2, filledPages({ 1: 1, 2: 2 }));
        const { begin, end } = pageRangeUpTo(id, pageNumber(1), LAST_VERSION);
        const [pair] = await engine.read((t) => t.getRange(begin, end));
        const other = pageRangeUpTo(id, pageNumber(2), LAST_VERSION);
        const [otherPair] = await engine.read((t) => t.getRange(other.begin, other.end));
        const { key, value } = pair!;
        const flipped = Buffer.from(value);
        flipped[100]! ^= 1;
        const unknown = Buffer.from(value);
        unknown[0] = 9;
        for (const damaged of [flipped, unknown, value.subarray(0, 200), Buffer.alloc(3), otherPair!.value]) {
          await engine.transact(async (t) => t.set(key, damaged));
          const fresh = await openStore(engine, { soleOwner: false });
          const named = new RegExp(`page 1 of namespace ${id} at version ${one.version}`);
          await assert.rejects(fresh.readPages(id, one, [pageNumber(1)]), throwsCode('CORRUPT', named));
          assert.deepEqual(await fills(one, [2], fresh), [2]);
        }
      });
    });

    describe('limits and life', () => {
      test('pages of one read', async () => {
        const pages = Array.from({ length: READ_PAGES_MAX + 1 }, () => pageNumber(1));
        await assert.rejects(store.readPages(id, empty, pages), throwsCode('LIMIT'));
      });

      test('close waits for commits under way, then refuses', async () => {
        const committing = commit(empty, 1, [filledPage(1, 1)]);
        await store.close();
        assert.ok((await committing).version > ZERO_VERSION);
        await assert.rejects(commit(await committing, 1, []), throwsCode('CLOSED'));
        await assert.rejects(store.statNamespace('main'), throwsCode('CLOSED'));
      });

      test('a newer format is refused', async () => {
        await engine.transact(async (t) => t.set(formatKey, encodeNumber(2)));
        await assert.rejects(openStore(engine), throwsCode('STORE_FORMAT', /format 2.*format 1/));
      });

      test('two stores on one engine see each other’s commits when neither is the sole owner', async () => {
        const [a, b] = [await openStore(engine, { soleOwner: false }), await openStore(engine, { soleOwner: false })];
        let head = empty;
        for (let round = 1; round <= 20; round++) {
          const [writer, reader] = round % 2 ? [a, b] : [b, a];
          const pages = filledPages({ [1 + (round % 3)]: round });
          const pageCount = round % 5 === 0 ? 2 : 4;
          const allowed = pages.filter(({ number }) => number <= pageCount);
          head = (await commitOne(writer, request(id, head.version, pageCount, allowed))).head;
          assert.deepEqual(await reader.head(id), head);
          assert.deepEqual(await fills(head, [1, 2, 3, 4], reader), await storedFills(head, [1, 2, 3, 4]));
          assert.deepEqual(await fills(head, [1, 2, 3, 4], writer), await storedFills(head, [1, 2, 3, 4]));
        }
      });

      test('a commit on top of one that was not heard of keeps what that one hid', async () => {
        const [a, b] = [await openStore(engine, { soleOwner: false }), await openStore(engine, { soleOwner: false })];
        const one = (await commitOne(a, request(id, ZERO_VERSION, 4, filledPages({ 1: 1, 4: 4 })))).head;
        assert.deepEqual(await fills(one, [1, 4], b), [1, 4]);
        const two = (await commitOne(a, request(id, one.version, 2, []))).head;
        const three = (await commitOne(b, request(id, two.version, 4, filledPages({ 2: 2 })))).head;
        assert.deepEqual(await fills(three, [1, 2, 4], b), [1, 2, 0]);
      });
    });

    describe('persistence', { skip: !testEngine.isPersistent && 'this engine keeps nothing' }, () => {
      test('everything is there after opening again', async () => {
        const one = await commit(empty, 2, filledPages({ 1: 1, 2: 2 }));
        const two = await commit(
          one,
          20,
          Array.from({ length: 9 }, (_, index) => filledPage(index + 1, 7)),
        );
        await store.close();
        store = await openStore(await files.open());
        assert.deepEqual(await store.head(id), two);
        assert.deepEqual(await store.headAt(id, one.version), one);
        assert.deepEqual(await fills(two, [1, 9, 10]), [7, 7, 0]);
        assert.deepEqual(await fills(one, [1, 2]), [1, 2]);
      });
    });
  });
}
