// What the store promises about history (moments, tags, forks, retention, locks, deletion), as tests, over any engine.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Engine } from '../../src/kv/engine.js';
import { FORK_LEVELS_MAX } from '../../src/limits.js';
import { parseMoment } from '../../src/moment.js';
import { logKey, namespaceRange, pageKeyPrefix, removedRange } from '../../src/store/keys.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { Head, NamespaceId } from '../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import type { TestEngine, TestStore } from '../support/engines.js';
import { commitOne, filledPages, openStore, pageNumber, request } from '../support/stores.js';
import { throwsCode } from '../support/throws-code.js';

const START_MS = Date.parse('2026-01-01T00:00:00Z');
const SMALL_LIMITS = { commitBytesMax: 4_000, stageChunkBytesMax: 1_500 };

export function historySuite(testEngine: TestEngine): void {
  describe(`history on ${testEngine.name}`, () => {
    let files: TestStore;
    let engine: Engine;
    let store: PageStore;
    let id: NamespaceId;
    let nowMs: number;

    beforeEach(async () => {
      nowMs = START_MS;
      files = await testEngine.create();
      engine = await files.open();
      store = await openStore(engine, { clock: () => nowMs, limits: SMALL_LIMITS });
      ({ id } = await store.createNamespace('main'));
    });
    afterEach(async () => {
      await store.close();
      await files.remove();
    });

    /** Commits pages (number → fill) a second later. */
    async function commit(fills: Record<number, number>, pageCount = 3, namespace = id): Promise<Head> {
      nowMs += 1_000;
      const { version } = await store.head(namespace);
      return (await commitOne(store, request(namespace, version, pageCount, filledPages(fills)))).head;
    }
    async function read(head: Head, namespace = id): Promise<number[]> {
      const count = Math.ceil(head.sizeBytes / head.pageBytes);
      const numbers = Array.from({ length: count }, (_, index) => pageNumber(index + 1));
      // Past every cache.
      const fresh = await openStore(engine, { cacheBytesMax: 1, soleOwner: false });
      return (await fresh.readPages(namespace, head, numbers)).map((page) => page[0]!);
    }
    const at = (moment: string, namespace = id): Promise<Head> => store.resolve(namespace, parseMoment(moment));
    const images = async (page: number, namespace = id): Promise<number> => {
      const begin = pageKeyPrefix(namespace, pageNumber(page));
      const end = Buffer.concat([begin, Buffer.alloc(11, 255)]);
      return (await engine.read((transaction) => transaction.getRange(begin, end))).length;
    };

    describe('moments', () => {
      test('are the newest version at or before them', async () => {
        const [first, second] = [await commit({ 1: 1 }), await commit({ 1: 2 })];
        assert.deepEqual(await at('latest'), second);
        assert.deepEqual(await at(first.version), first);
        assert.deepEqual(await at('2026-01-01T00:00:01Z'), first);
        assert.deepEqual(await at('2026-01-01T01:00:01.999+01:00'), first);
        assert.deepEqual(await at('2026-01-01T00:00:02'), second);
        assert.deepEqual(await at('2027-06-01'), second);
        nowMs += 500;
        assert.deepEqual(await at('-500ms'), second);
        assert.deepEqual(await at('-501ms'), first);
        assert.deepEqual(await at('-0s'), second);
      });

      test('before the first version are told what there is', async () => {
        await assert.rejects(at('-1m'), throwsCode('NOT_FOUND', /"main" has no version yet/));
        const first = await commit({ 1: 1 });
        await assert.rejects(
          at('2026-01-01'),
          throwsCode('NOT_FOUND', new RegExp(`first one, ${first.version}, is of 2026-01-01T00:00:01.000Z`)),
        );
        await assert.rejects(at(`${'0'.repeat(19)}1`), throwsCode('NOT_FOUND', /has no version/));
        await assert.rejects(at('nothing'), throwsCode('NOT_FOUND', /no tag "nothing"/));
      });

      test('of removed versions are gone, and say which is the oldest', async () => {
        const [first, second, third] = [await commit({ 1: 1 }), await commit({ 1: 2 }), await commit({ 1: 3 })];
        await store.retention.truncate(id, third.version);
        for (const moment of [first.version, second.version]) await assert.rejects(at(moment), throwsCode('GONE'));
        await assert.rejects(at('2026-01-01T00:00:02Z'), throwsCode('GONE', new RegExp(third.version)));
        assert.deepEqual(await at('2026-01-01T00:00:03Z'), third);
        assert.deepEqual(
          (await store.log(id)).map(({ version }) => version),
          [third.version],
        );
      });
    });

    describe('tags', () => {
      test('name a version, move only when told, and keep it', async () => {
        const [first, second] = [await commit({ 1: 1, 2: 1, 3: 1 }), await commit({ 1: 2 })];
        await store.addTag(id, 'before', first.version);
        await assert.rejects(store.addTag(id, 'before', second.version), throwsCode('ALREADY_EXISTS'));
        assert.deepEqual(await at('before'), first);
        await commit({ 1: 3, 2: 3 });
        const last = await commit({ 1: 4 });
        const { held } = await store.retention.truncate(id, last.version);
        assert.deepEqual(held, [{ version: first.version, by: 'tag', name: 'before' }]);
        assert.deepEqual(await read(await at('before')), [1, 1, 1]);
        assert.equal(await images(1), 2);
        await assert.rejects(store.addTag(id, 'late', second.version), throwsCode('GONE'));
        await store.addTag(id, 'again', first.version);
        await store.removeTag(id, 'before');
        await store.retention.collect(id);
        assert.deepEqual(await read(await at('again')), [1, 1, 1]);
        await store.addTag(id, 'again', last.version, { move: true });
        await store.retention.collect(id);
        await assert.rejects(at(first.version), throwsCode('GONE'));
        assert.equal(await images(1), 1);
        assert.deepEqual(await read(last), [4, 3, 1]);
      });

      test('that would be another moment, or a file of SQLite, are refused', async () => {
        const { version } = await commit({ 1: 1 });
        for (const name of [
          '',
          'latest',
          '-x',
          '.x',
          '2026-01-01',
          'a@b',
          'a b',
          'a/b',
          'x-journal',
          'lock:me',
          version,
        ]) {
          await assert.rejects(store.addTag(id, name, version), throwsCode('INVALID_ARGUMENT'), name);
        }
        await assert.rejects(store.removeTag(id, 'x'), throwsCode('NOT_FOUND'));
      });
    });

    describe('forks', () => {
      test('begin with a version and go their own way', async () => {
        const base = await commit({ 1: 1, 2: 1, 3: 1 });
        await commit({ 1: 2 });
        const fork = await store.forkNamespace(id, base.version, 'fork');
        assert.deepEqual(fork.parent, { id, namespace: 'main', version: base.version });
        assert.deepEqual(await read(fork.head, fork.id), [1, 1, 1]);
        const next = await commit({ 2: 9 }, 3, fork.id);
        const cut = await commit({}, 1, fork.id);
        const grown = await commit({ 3: 5 }, 3, fork.id);
        assert.deepEqual(await read(next, fork.id), [1, 9, 1]);
        assert.deepEqual(await read(cut, fork.id), [1]);
        assert.deepEqual(await read(grown, fork.id), [1, 0, 5]);
        assert.deepEqual(await read(await store.head(id)), [2, 1, 1]);
      });

      test('hold the version that they go on from, and their parent', async () => {
        const base = await commit({ 1: 1, 2: 1, 3: 1 });
        const fork = await store.forkNamespace(id, base.version, 'fork');
        const grandchild = await store.forkNamespace(
          fork.id,
          (await commit({ 2: 2 }, 3, fork.id)).version,
          'grandchild',
        );
        await commit({ 3: 3 }, 3, fork.id);
        await store.retention.truncate(fork.id, (await store.head(fork.id)).version);
        await store.retention.truncate(id, (await commit({ 1: 7, 2: 7, 3: 7 })).version);
        assert.deepEqual(await read(grandchild.head, grandchild.id), [1, 2, 1]);
        await assert.rejects(store.removeNamespace('main'), throwsCode('CONFLICT', /"fork"/));
        await assert.rejects(store.removeNamespace('fork'), throwsCode('CONFLICT', /"grandchild"/));
        await store.removeNamespace('grandchild');
        await store.removeNamespace('fork');
        await store.retention.run();
        assert.equal(await images(1), 1);
        await store.removeNamespace('main');
      });

      test('of forks have an end', async () => {
        await commit({ 1: 1 });
        let [parent, depth] = [id, 0];
        for (; !(await store.isForkedOut(parent)); depth += 1) {
          const { version } = await store.head(parent);
          ({ id: parent } = await store.forkNamespace(parent, version, `fork-${depth}`));
        }
        assert.equal(depth, FORK_LEVELS_MAX);
        assert.deepEqual(await read(await store.head(parent), parent), [1, 0, 0]);
        const { version } = await store.head(parent);
        await assert.rejects(store.forkNamespace(parent, version, 'deeper'), throwsCode('LIMIT'));
      });

      test('of what is gone, or under a name that is taken, are refused', async () => {
        const [first, last] = [await commit({ 1: 1 }), await commit({ 1: 2 })];
        await store.retention.truncate(id, last.version);
        await assert.rejects(store.forkNamespace(id, first.version, 'fork'), throwsCode('GONE'));
        await assert.rejects(store.forkNamespace(id, last.version, 'main'), throwsCode('ALREADY_EXISTS'));
        await assert.rejects(store.forkNamespace(id, last.version, 'a@b'), throwsCode('INVALID_ARGUMENT'));
        await assert.rejects(store.forkNamespace(id, `${'0'.repeat(19)}1` as Version, 'fork'), throwsCode('GONE'));
      });
    });

    describe('retention', () => {
      test('keeps what a policy says, by age and by number, and what is open', async () => {
        const heads = [];
        for (let fill = 1; fill <= 6; fill += 1) heads.push(await commit({ 1: fill }));
        await store.setRetention(id, { keepMs: 2_500, keepVersions: 2 });
        const opened = await store.openVersion(id, heads[0]!.version);
        await store.retention.run();
        // The state of 2.5 s ago is that of the fourth second, committed one and a half seconds before.
        assert.deepEqual(
          (await store.log(id)).map(({ version }) => version),
          [...heads.slice(2), heads[0]!].sort((a, b) => (a.version < b.version ? 1 : -1)).map(({ version }) => version),
        );
        assert.deepEqual(await store.readPages(id, opened.head, [pageNumber(1)]), [Buffer.alloc(512, 1)]);
        opened.close();
        await store.retention.run();
        await assert.rejects(at(heads[0]!.version), throwsCode('GONE'));
        assert.equal(await images(1), 4);
        await store.setRetention(id, undefined);
        await store.retention.setDefaultPolicy({ keepVersions: 1 });
        await store.retention.run();
        assert.equal(await images(1), 1);
        assert.equal(store.retention.figures.versions, 5);
      });

      test('frees bulk commits, and what a cut hid', async () => {
        const bulk = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [index + 1, 7]));
        await commit(bulk, 12);
        await commit(bulk, 12);
        await commit({ 1: 8 }, 2);
        const last = await commit({ 5: 9 }, 6);
        const { versions } = await store.retention.truncate(id, last.version);
        assert.equal(versions, 3);
        assert.deepEqual(await read(last), [8, 7, 0, 0, 9, 0]);
        const { begin, end } = namespaceRange(id);
        const keys = await engine.read((transaction) => transaction.getRange(begin, end));
        // Meta, head, pages 1, 2 (in a stage) and 5, log, time, bulk, watermark, collected.
        assert.equal(keys.length, 10);
      });

      test('goes on past a namespace that is damaged, and tells of it', async () => {
        const damaged = await commit({ 1: 1 });
        await commit({ 1: 2 });
        const other = await store.createNamespace('other');
        await commit({ 1: 1 }, 1, other.id);
        await commit({ 1: 2 }, 1, other.id);
        await store.retention.setDefaultPolicy({ keepVersions: 1 });
        await engine.transact(async (transaction) =>
          transaction.set(logKey(id, damaged.version), Buffer.from('damaged')),
        );
        await assert.rejects(store.retention.run(), throwsCode('CORRUPT'));
        assert.equal((await store.log(other.id)).length, 1);
      });

      test('goes from version to version only', async () => {
        const [first, last] = [await commit({ 1: 1 }), await commit({ 1: 2 })];
        const between = `${first.version.slice(0, -1)}${first.version.endsWith('1') ? 2 : 1}` as Version;
        await assert.rejects(store.retention.truncate(id, between), throwsCode('NOT_FOUND', /has no version/));
        await store.retention.truncate(id, last.version);
        await store.retention.truncate(id, first.version);
        assert.equal((await store.log(id)).length, 1);
      });

      test('tells what it would remove without removing it', async () => {
        await commit({ 1: 1 });
        const last = await commit({ 1: 2, 2: 2 });
        const preview = await store.retention.truncate(id, last.version, { dryRun: true });
        assert.deepEqual(preview, { versions: 1, bytes: 512, truncatedBefore: last.version, held: [] });
        assert.equal((await store.log(id)).length, 2);
      });
    });

    describe('maintenance locks', () => {
      test('show one version to all but their owner, and hold it', async () => {
        const [first, base] = [await commit({ 1: 1 }), await commit({ 1: 2 })];
        const lock = await store.lockNamespace(id, 'me', first.version);
        assert.deepEqual([lock.version, lock.base], [first.version, base.version]);
        await assert.rejects(store.lockNamespace(id, 'you'), throwsCode('BUSY', /"main" is locked .* by "me"/));
        assert.deepEqual(await store.lockNamespace(id, 'me'), lock);
        const next = await commit({ 1: 3 });
        assert.deepEqual(await store.headFor(id, undefined), first);
        assert.deepEqual(await store.headFor(id, 'me'), next);
        assert.deepEqual(await at('latest'), first);
        await store.retention.truncate(id, next.version);
        assert.deepEqual(await read(first), [1, 0, 0]);
        await assert.rejects(store.removeNamespace('main'), throwsCode('BUSY'));
        await assert.rejects(store.unlockNamespace(id, 'you'), throwsCode('CONFLICT', /locked by "me"/));
        await store.unlockNamespace(id, 'me');
        assert.deepEqual(await at('latest'), next);
      });
    });

    describe('names', () => {
      test('change, and are free again once deleted; nothing is left', async () => {
        const head = await commit({ 1: 1 });
        const renamed = await store.renameNamespace('main', 'other');
        assert.equal(renamed.id, id);
        assert.deepEqual(renamed.head, head);
        await assert.rejects(store.statNamespace('main'), throwsCode('NOT_FOUND'));
        const opened = await store.openVersion(id, head.version);
        await assert.rejects(store.removeNamespace('other'), throwsCode('BUSY'));
        await store.removeNamespace('other', { force: true });
        await assert.rejects(store.head(id), throwsCode('NOT_FOUND'));
        await assert.rejects(read(head), throwsCode('NOT_FOUND', /was deleted/));
        opened.close();
        await store.retention.run();
        const { begin, end } = namespaceRange(id);
        assert.equal((await engine.read((transaction) => transaction.getRange(begin, end))).length, 1);
        const removed = await engine.read((transaction) => transaction.getRange(removedRange.begin, removedRange.end));
        assert.equal(removed.length, 0);
        const again = await store.createNamespace('other');
        assert.ok(again.id > id);
        assert.equal(again.head.version, ZERO_VERSION);
      });

      test('come with a mode, which forks, renames and deletion keep', async () => {
        const infoMode = async (name: string) => (await store.statNamespace(name)).mode;
        assert.equal(await infoMode('main'), undefined);
        assert.equal((await store.state(id)).mode, undefined);
        await store.setMode(id, 0o600);
        assert.deepEqual(
          [(await store.state(id)).mode, (await store.state(id)).mode, await infoMode('main')],
          Array(3).fill(0o600),
        );
        assert.equal(store.mode(id), 0o600);
        const { version } = await commit({ 1: 1 });
        const fork = await store.forkNamespace(id, version, 'fork');
        assert.deepEqual([fork.mode, (await store.state(fork.id)).mode], [0o600, 0o600]);
        await store.setMode(id, 0);
        assert.equal((await store.state(id)).mode, 0);
        assert.equal((await store.state(fork.id)).mode, 0o600);
        await store.renameNamespace('main', 'renamed');
        await store.dropNamespace('renamed');
        await store.setMode(id, 0o755);
        assert.equal((await store.undeleteNamespace('renamed')).mode, 0o755);
        assert.deepEqual((await store.details(id)).mode, 0o755);
        await store.setRetention(id, { keepVersions: 1 });
        await store.setMode(id, undefined);
        assert.equal((await store.state(id)).mode, undefined);
        assert.equal((await store.details(id)).retention.keepVersions, 1);
        const made = await store.createNamespace('made', { mode: 0o640 });
        assert.deepEqual([made.mode, await infoMode('made')], [0o640, 0o640]);
        for (const wrong of [-1, 0o1000, 1.5, Number.NaN]) {
          await assert.rejects(store.setMode(id, wrong), throwsCode('INVALID_ARGUMENT'));
          await assert.rejects(store.createNamespace('wrong', { mode: wrong }), throwsCode('INVALID_ARGUMENT'));
        }
        await assert.rejects(store.setMode((made.id + 1) as NamespaceId, 0o600), throwsCode('NOT_FOUND'));
        await assert.rejects(store.state((made.id + 1) as NamespaceId), throwsCode('NOT_FOUND'));
      });

      test('may carry an access proof, which forks have, too', async () => {
        const proof = 'ab'.repeat(32);
        const guarded = await store.createNamespace(`guarded:${proof}`);
        assert.ok(guarded.isProtected);
        assert.equal(await store.accessProof(guarded.id), proof);
        assert.equal(await store.accessProof(id), undefined);
        const { version } = await commit({ 1: 1 }, 1, guarded.id);
        const fork = await store.forkNamespace(guarded.id, version, 'fork');
        assert.equal(await store.accessProof(fork.id), proof);
        const own = 'cd'.repeat(32);
        const named = await store.forkNamespace(guarded.id, version, `named:${own}`);
        assert.equal(await store.accessProof(named.id), own);
        await store.renameNamespace('fork', `renamed:${own}`);
        assert.equal(await store.accessProof(fork.id), own);
        await store.renameNamespace(`renamed:${own}`, 'fork');
        assert.equal(await store.accessProof(fork.id), own);
        await assert.rejects(store.setAccessProof(id, 'secret'), throwsCode('INVALID_ARGUMENT'));
      });
    });
  });
}
