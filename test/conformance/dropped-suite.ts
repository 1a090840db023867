// What the store promises about names (dropping, bringing back, replacing, reserving ids), as tests, over any engine.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { MvfuseError } from '../../src/errors.js';
import type { Engine, Transaction } from '../../src/kv/engine.js';
import { UNDELETE_MS } from '../../src/limits.js';
import { droppedKey, namespaceRange, removedKey } from '../../src/store/keys.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { Head, NamespaceId, NamespaceInfo } from '../../src/store/types.js';
import { ZERO_VERSION } from '../../src/version.js';
import type { TestEngine, TestStore } from '../support/engines.js';
import { commitOne, dyingEngine, filledPages, openStore, pageNumber, request } from '../support/stores.js';
import { throwsCode } from '../support/throws-code.js';

const START_MS = Date.parse('2026-01-01T00:00:00Z');
const ALL = { begin: Buffer.from([0]), end: Buffer.from([0xff]) };

export function droppedSuite(testEngine: TestEngine): void {
  describe(`names on ${testEngine.name}`, () => {
    let files: TestStore;
    let engine: Engine;
    let store: PageStore;
    let id: NamespaceId;
    let nowMs: number;

    beforeEach(async () => {
      nowMs = START_MS;
      files = await testEngine.create();
      engine = await files.open();
      store = await openStore(engine, { clock: () => nowMs });
      ({ id } = await store.createNamespace('main'));
    });
    afterEach(async () => {
      await store.close();
      await files.remove();
    });

    /** One page, a second later. */
    async function commit(fill: number, namespace = id): Promise<Head> {
      nowMs += 1_000;
      const { version } = await store.head(namespace);
      return (await commitOne(store, request(namespace, version, 1, filledPages({ 1: fill })))).head;
    }
    /** Past every cache. */
    async function read(head: Head, namespace = id): Promise<number> {
      const fresh = await openStore(engine, { cacheBytesMax: 1, soleOwner: false });
      return (await fresh.readPages(namespace, head, [pageNumber(1)]))[0]![0]!;
    }
    const keys = ({ begin, end }: { begin: Buffer; end: Buffer }) =>
      engine.read((transaction) => transaction.getRange(begin, end));
    const names = async (): Promise<string[]> => (await store.listNamespaces()).map(({ name }) => name);
    const droppedNames = async (): Promise<string[]> => (await store.listDropped()).map(({ name }) => name);
    async function make(name: string, fill: number): Promise<NamespaceInfo> {
      const made = await store.createNamespace(name);
      return { ...made, head: await commit(fill, made.id) };
    }

    describe('dropping', () => {
      test('takes the name at once, and nothing from those who read and write', async () => {
        const first = await commit(1);
        const opened = await store.openVersion(id, first.version);
        assert.deepEqual(await store.state(id), {
          head: first,
          lock: undefined,
          name: 'main',
          dropped: false,
          mode: undefined,
        });
        assert.equal(await store.dropNamespace('main'), id);
        await assert.rejects(store.statNamespace('main'), throwsCode('NOT_FOUND'));
        assert.deepEqual(await names(), []);
        assert.equal(await read(opened.head), 1);
        const second = await commit(2);
        assert.deepEqual([await read(first), await read(second)], [1, 2]);
        assert.deepEqual(await store.state(id), {
          head: second,
          lock: undefined,
          name: 'main',
          dropped: true,
          mode: undefined,
        });
        assert.deepEqual(await store.statById(id), {
          ...{ id, name: 'main', createdMs: START_MS, head: second, isProtected: false },
          droppedMs: first.timeMs,
        });
        const again = await store.createNamespace('main');
        assert.notEqual(again.id, id);
        assert.equal(again.head.version, ZERO_VERSION);
        assert.equal((await store.state(again.id)).dropped, false);
        opened.close();
      });

      test('is listed, the last one first, with when it is removed for good', async () => {
        const droppedMs = nowMs;
        await store.dropNamespace('main');
        nowMs += 1_000;
        const other = await make('other', 1);
        await store.dropNamespace('other');
        const { head } = await store.statById(id);
        assert.deepEqual(await store.listDropped(), [
          {
            ...{ id: other.id, name: 'other', head: other.head },
            ...{ droppedMs: nowMs, removedAfterMs: nowMs + 86_400_000 },
          },
          { id, name: 'main', droppedMs, removedAfterMs: droppedMs + 86_400_000, head },
        ]);
      });

      test('is refused for another namespace than expected, and while it is locked; never for readers and forks', async () => {
        const head = await commit(1);
        await assert.rejects(store.dropNamespace('none'), throwsCode('NOT_FOUND'));
        const wrong = (id + 1) as NamespaceId;
        await assert.rejects(store.dropNamespace('main', { expected: wrong }), throwsCode('CONFLICT'));
        await store.lockNamespace(id, 'me');
        await assert.rejects(store.dropNamespace('main'), throwsCode('BUSY', /locked .* by "me"/));
        await store.unlockNamespace(id, 'me');
        assert.deepEqual(await names(), ['main']);
        const fork = await store.forkNamespace(id, head.version, 'fork');
        const opened = await store.openVersion(id, head.version);
        await store.dropNamespace('main', { expected: id });
        assert.equal(await read(fork.head, fork.id), 1);
        assert.deepEqual((await store.statNamespace('fork')).parent?.namespace, 'main');
        await assert.rejects(store.lockNamespace(id, 'me'), throwsCode('NOT_FOUND'));
        opened.close();
      });
    });

    describe('undelete', () => {
      test('brings back all that there was, and what was committed meanwhile', async () => {
        const first = await commit(1);
        await store.addTag(id, 'first', first.version);
        await store.setRetention(id, { keepVersions: 9 });
        const before = await store.details(id);
        await store.dropNamespace('main');
        assert.deepEqual(await store.undeleteNamespace('main'), await store.statNamespace('main'));
        assert.deepEqual(await store.details(id), before);
        assert.deepEqual((await store.state(id)).dropped, false);
        await store.dropNamespace('main');
        const second = await commit(2);
        const info = await store.undeleteNamespace('main');
        assert.deepEqual([info.id, info.head], [id, second]);
        assert.deepEqual(
          (await store.log(id)).map(({ version }) => version),
          [second.version, first.version],
        );
        assert.equal(await read(await store.resolve(id, { kind: 'tag', name: 'first' })), 1);
        const third = await commit(3);
        assert.equal(await read(third), 3);
        assert.deepEqual(await store.listDropped(), []);
      });

      test('takes the last one of a name, or the one with an id', async () => {
        await store.dropNamespace('main');
        nowMs += 1;
        const second = await make('main', 2);
        await store.dropNamespace('main');
        nowMs += 1;
        const third = await make('main', 3);
        await store.dropNamespace('main');
        assert.equal((await store.undeleteNamespace('main', { as: 'third' })).id, third.id);
        assert.equal((await store.undeleteNamespace('main', { id })).id, id);
        assert.equal(
          (await store.undeleteNamespace('main', { as: 'second', id: second.id })).head.version,
          second.head.version,
        );
        assert.deepEqual(await names(), ['main', 'second', 'third']);
        assert.deepEqual(await droppedNames(), []);
      });

      test('says what there is where it cannot', async () => {
        await assert.rejects(
          store.undeleteNamespace('main'),
          throwsCode('NOT_FOUND', /no deleted namespace "main": none can be brought back/),
        );
        await store.dropNamespace('main');
        await assert.rejects(
          store.undeleteNamespace('man'),
          throwsCode('NOT_FOUND', new RegExp(`"main" \\(id ${id}\\)`)),
        );
        const wrong = (id + 1) as NamespaceId;
        await assert.rejects(store.undeleteNamespace('main', { id: wrong }), throwsCode('NOT_FOUND', /with the id/));
        await assert.rejects(store.undeleteNamespace('main', { as: 'a@b' }), throwsCode('INVALID_ARGUMENT'));
        await store.createNamespace('main');
        await assert.rejects(store.undeleteNamespace('main'), throwsCode('ALREADY_EXISTS', /--as/));
        assert.deepEqual(await droppedNames(), ['main']);
      });

      test('under a name that carries an access proof has it from then on', async () => {
        const proof = 'ab'.repeat(32);
        await store.dropNamespace('main');
        await store.undeleteNamespace('main', { as: `main:${proof}` });
        assert.equal(await store.accessProof(id), proof);
      });
    });

    describe('renaming', () => {
      test('over another one drops that', async () => {
        const source = await commit(1);
        const target = await make('target', 2);
        const fork = await store.forkNamespace(target.id, target.head.version, 'fork');
        const opened = await store.openVersion(target.id, target.head.version);
        const renamed = await store.renameNamespace('main', 'target', { replace: true });
        assert.deepEqual([renamed.id, renamed.name, renamed.replaced], [id, 'target', target.id]);
        assert.deepEqual((await store.statNamespace('target')).head, source);
        assert.deepEqual(await names(), ['fork', 'target']);
        assert.deepEqual(await store.state(target.id), {
          ...{ head: target.head, lock: undefined },
          ...{ name: 'target', dropped: true, mode: undefined },
        });
        assert.equal((await store.state(id)).name, 'target');
        assert.equal(await read(fork.head, fork.id), 2);
        assert.equal(await read(await commit(3, target.id), target.id), 3);
        opened.close();
        await store.undeleteNamespace('target', { as: 'main' });
        assert.equal((await store.statNamespace('main')).id, target.id);
      });

      test('is refused whole', async () => {
        const target = await make('target', 2);
        const before = await keys(ALL);
        await assert.rejects(store.renameNamespace('main', 'target'), throwsCode('ALREADY_EXISTS'));
        await assert.rejects(store.renameNamespace('none', 'target', { replace: true }), throwsCode('NOT_FOUND'));
        await assert.rejects(
          store.renameNamespace('main', 'target', { replace: true, expected: target.id }),
          throwsCode('CONFLICT'),
        );
        assert.deepEqual(await keys(ALL), before);
        for (const locked of [id, target.id]) {
          await store.lockNamespace(locked, 'me');
          await assert.rejects(store.renameNamespace('main', 'target', { replace: true }), throwsCode('BUSY'));
          await store.unlockNamespace(locked, 'me');
        }
        assert.deepEqual(await names(), ['main', 'target']);
        assert.deepEqual(await droppedNames(), []);
      });

      test('onto itself changes nothing', async () => {
        await commit(1);
        const before = await keys(ALL);
        for (const replace of [false, true]) {
          const { replaced, ...info } = await store.renameNamespace('main', 'main', { replace });
          assert.equal(replaced, undefined);
          assert.deepEqual(info, await store.statNamespace('main'));
        }
        assert.deepEqual(await keys(ALL), before);
      });

      test('over another one is one transaction: whoever dies did all of it or nothing', async () => {
        await make('target', 2);
        // The store's own opening takes the first one.
        for (const [transactions, expected] of [
          [1, ['main', 'target']],
          [2, ['target']],
        ] as const) {
          const dying = await openStore(dyingEngine(engine, transactions), { soleOwner: false });
          const renaming = dying.renameNamespace('main', 'target', { replace: true });
          if (transactions === 1) await assert.rejects(renaming, /the process died/);
          else await renaming;
          await assert.rejects(dying.renameNamespace('target', 'more'), /the process died/);
          assert.deepEqual(await names(), expected);
        }
      });

      test('and dropping at once: each name means one namespace, and none is lost', async () => {
        const all = [id];
        for (const name of ['a', 'b', 'c']) all.push((await store.createNamespace(name)).id);
        const others = await Promise.all([1, 2, 3].map(() => openStore(engine, { soleOwner: false })));
        const work = [
          () => others[0]!.renameNamespace('a', 'b', { replace: true }),
          () => others[1]!.renameNamespace('b', 'c', { replace: true }),
          () => others[2]!.dropNamespace('c'),
          () => store.renameNamespace('main', 'a', { replace: true }),
        ];
        await Promise.allSettled(work.map((run) => run()));
        const found = [...(await store.listNamespaces()), ...(await store.listDropped())];
        assert.deepEqual(found.map((namespace) => namespace.id).sort(), all.sort());
        for (const { name, id: named } of await store.listNamespaces()) {
          assert.equal((await store.statNamespace(name)).id, named);
        }
      });
    });

    describe('a day later', () => {
      test('a dropped namespace is removed, and nothing is left; until then nothing is', async () => {
        await commit(1);
        await store.addTag(id, 'kept', (await store.head(id)).version);
        await store.dropNamespace('main');
        const before = await keys(ALL);
        nowMs += UNDELETE_MS - 1;
        await store.retention.run();
        assert.deepEqual(await keys(ALL), before);
        nowMs += 1;
        await store.retention.run();
        await assert.rejects(store.head(id), throwsCode('NOT_FOUND'));
        await assert.rejects(store.undeleteNamespace('main'), throwsCode('NOT_FOUND'));
        assert.deepEqual(await store.listDropped(), []);
        // Its watermark stays.
        assert.equal((await keys(namespaceRange(id))).length, 1);
        // That, the format, the last id, and the last stage where there was one.
        assert.ok((await keys(ALL)).length <= 4);
      });

      test('can still be brought back while no round has removed it', async () => {
        const head = await commit(1);
        await store.dropNamespace('main');
        nowMs += 2 * UNDELETE_MS;
        assert.deepEqual((await store.undeleteNamespace('main')).head, head);
        await store.retention.run();
        assert.equal(await read(head), 1);
        await store.dropNamespace('main');
        await store.retention.run();
        assert.deepEqual(await droppedNames(), ['main'], 'the day begins anew');
      });

      test('whoever reads keeps it until it is closed', async () => {
        const head = await commit(1);
        const opened = await store.openVersion(id, head.version);
        await store.dropNamespace('main');
        nowMs += UNDELETE_MS;
        await store.retention.run();
        assert.equal(await read(opened.head), 1);
        assert.deepEqual(await droppedNames(), ['main']);
        opened.close();
        await store.retention.run();
        await assert.rejects(store.head(id), throwsCode('NOT_FOUND'));
      });

      test('forks keep it; they, and what they were forked from, go in one round', async () => {
        const head = await commit(1);
        const fork = await store.forkNamespace(id, head.version, 'fork');
        await store.dropNamespace('main');
        nowMs += UNDELETE_MS;
        await store.retention.run();
        assert.equal(await read(fork.head, fork.id), 1);
        assert.deepEqual(await droppedNames(), ['main']);
        await store.dropNamespace('fork');
        await store.retention.run();
        assert.equal(await read(fork.head, fork.id), 1);
        nowMs += UNDELETE_MS;
        await store.retention.run();
        assert.deepEqual(await store.listDropped(), []);
        for (const gone of [id, fork.id]) assert.equal((await keys(namespaceRange(gone))).length, 1);
      });

      test('one that cannot be removed keeps the round from nothing else', async () => {
        const [second, third] = [await make('second', 1), await make('third', 1)];
        await commit(1, third.id);
        await store.setRetention(third.id, { keepVersions: 1 });
        for (const name of ['main', 'second']) await store.dropNamespace(name);
        nowMs += UNDELETE_MS;
        await engine.transact(async (transaction) => transaction.set(droppedKey(second.id), Buffer.from('damaged')));
        await assert.rejects(store.retention.run(), throwsCode('CORRUPT', /dropped namespace/));
        await assert.rejects(store.head(id), throwsCode('NOT_FOUND'));
        assert.equal((await store.log(third.id)).length, 1);
        assert.notEqual(store.retention.figures.lastRunMs, undefined);
      });

      test('one that cannot be purged keeps the round from nothing else', async () => {
        const [second, third] = [await make('second', 1), await make('third', 1)];
        await commit(1, third.id);
        await store.setRetention(third.id, { keepVersions: 1 });
        for (const name of ['main', 'second']) await store.removeNamespace(name);
        const failing = await openStore(refusingToClear(engine, removedKey(id)), { clock: () => nowMs });
        await assert.rejects(failing.retention.run(), throwsCode('CORRUPT', /refused/));
        assert.equal((await keys(namespaceRange(second.id))).length, 1);
        assert.equal((await failing.log(third.id)).length, 1);
      });
    });

    describe('removing for good', () => {
      test('is for the one that has the name, then for one that had it, or for an id', async () => {
        await store.dropNamespace('main');
        const [second, third] = [await make('main', 2), await make('other', 3)];
        assert.equal(await store.removeNamespace('main'), second.id);
        assert.equal(await store.removeNamespace('main'), id);
        await store.dropNamespace('other');
        const fourth = await make('other', 4);
        await store.dropNamespace('other');
        await assert.rejects(
          store.removeNamespace('other'),
          throwsCode('CONFLICT', new RegExp(`${fourth.id}, ${third.id}`)),
        );
        await assert.rejects(store.removeNamespace('other', { id: second.id }), throwsCode('NOT_FOUND'));
        assert.equal(await store.removeNamespace('other', { id: third.id }), third.id);
        assert.equal(await store.removeNamespace('other'), fourth.id);
        await store.retention.run();
        for (const gone of [id, second.id, third.id, fourth.id])
          assert.equal((await keys(namespaceRange(gone))).length, 1);
        await assert.rejects(store.removeNamespace('other'), throwsCode('NOT_FOUND', /no deleted namespace "other"/));
      });

      test('of a dropped one leaves the namespace that has its name now alone', async () => {
        await store.dropNamespace('main');
        const again = await make('main', 2);
        assert.equal(await store.removeNamespace('main', { id }), id);
        assert.deepEqual((await store.statNamespace('main')).id, again.id);
        await store.retention.run();
        assert.equal(await read(again.head, again.id), 2);
      });

      test('of a dropped one is refused as ever: while it has forks, and while it is read', async () => {
        const head = await commit(1);
        const opened = await store.openVersion(id, head.version);
        const { name } = await store.forkNamespace(id, head.version, 'fork');
        await store.dropNamespace('main');
        await assert.rejects(store.removeNamespace('main', { force: true }), throwsCode('CONFLICT', /"fork"/));
        await store.removeNamespace(name);
        await assert.rejects(store.removeNamespace('main'), throwsCode('BUSY'));
        await store.removeNamespace('main', { force: true });
        await assert.rejects(read(head), throwsCode('NOT_FOUND'));
        opened.close();
      });
    });

    describe('reserved ids', () => {
      test('are for one namespace each, and nobody else gets them', async () => {
        const reserved = [await store.reserveNamespaceId(), await store.reserveNamespaceId()];
        const plain = await store.createNamespace('plain');
        assert.equal(new Set([...reserved, plain.id, id]).size, 4);
        for (const one of reserved) await assert.rejects(store.head(one), throwsCode('NOT_FOUND'));
        await assert.rejects(store.createNamespace('plain', { id: reserved[0]! }), throwsCode('ALREADY_EXISTS'));
        const made = await store.createNamespace('made', { id: reserved[1]!, createdMs: 7 });
        assert.deepEqual([made.id, made.createdMs], [reserved[1], 7]);
        assert.deepEqual(made, await store.statNamespace('made'));
        assert.equal(await read(await commit(5, made.id), made.id), 5);
        assert.equal((await store.createNamespace('late', { id: reserved[0]! })).id, reserved[0]);
      });

      test('are those that were issued, and that no namespace has or had', async () => {
        await store.dropNamespace('main');
        const other = await store.createNamespace('other');
        await store.removeNamespace('other');
        await store.retention.run();
        for (const wrong of [id, other.id, other.id + 1, 0]) {
          await assert.rejects(
            store.createNamespace('new', { id: wrong as NamespaceId }),
            throwsCode('INVALID_ARGUMENT', /not reserved/),
          );
        }
        assert.deepEqual(await names(), []);
      });
    });
  });
}

/** `engine`, on which no transaction that clears `key` is committed. */
function refusingToClear(engine: Engine, key: Buffer): Engine {
  const refusing = (transaction: Transaction): Transaction =>
    new Proxy(transaction, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== 'clear') return typeof value === 'function' ? value.bind(target) : value;
        return (cleared: Buffer): void => {
          if (cleared.equals(key)) throw new MvfuseError('CORRUPT', 'refused');
          target.clear(cleared);
        };
      },
    });
  return {
    transact: (body, options) => engine.transact((transaction) => body(refusing(transaction)), options),
    read: engine.read.bind(engine),
    watch: engine.watch.bind(engine),
    close: async () => {},
  };
}
