// Random histories copied from store to store (admin/copy.ts): whatever breaks a copy off, and while its source goes on,
// the target holds whole versions of the source only, and in the end every version, byte for byte.
//
// A failure prints its seed; MVFUSE_TEST_SEED repeats it.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type CopyPlan, copyNamespace, type Observer, planCopy } from '../../src/admin/copy.js';
import { verifyCopy } from '../../src/admin/verify-copy.js';
import { MvfuseError } from '../../src/errors.js';
import type { Engine } from '../../src/kv/engine.js';
import { headKey, logKey, pageKeyPrefix } from '../../src/store/keys.js';
import { encodePage } from '../../src/store/page-codec.js';
import type { PageStore } from '../../src/store/page-store.js';
import { decodeChange, encodeChange, encodeHead } from '../../src/store/records.js';
import type { Commit, Head, NamespaceId, NamespaceInfo } from '../../src/store/types.js';
import { ZERO_VERSION } from '../../src/version.js';
import { TEST_ENGINES, type TestStore } from '../support/engines.js';
import { checkCopy, FileModel } from '../support/file-model.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';
import { commitOne, dyingEngine, filledPages, openStore, pageNumber, request } from '../support/stores.js';
import { throwsCode } from '../support/throws-code.js';

/** More than one call to changesAfter gives. */
const COMMITS = 300;
const COMMITS_MEANWHILE_MAX = 40;
/** Until one that nothing breaks off. */
const ATTEMPTS = 8;
const LIMITS = { commitBytesMax: 4_000, stageChunkBytesMax: 1_500 };
/** With these the target lists what the source staged, or stages what it listed. */
const TARGET_LIMITS = [LIMITS, { commitBytesMax: 8_000_000, stageChunkBytesMax: 1_000_000 }, { commitBytesMax: 1_500 }];
const START_MS = 1_600_000_000_000;

const everything = () => 0;

function observer(advance: Observer['advance'] = () => {}, signal = new AbortController().signal): Observer {
  return { advance, signal };
}

async function grow(store: PageStore, file: FileModel, random: Random, commits: number): Promise<void> {
  for (let round = 0; round < commits; round++) {
    const { request, content } = file.change(random);
    file.copies.push({ head: (await commitOne(store, request)).head, content });
  }
}

/** Every version of the target against the model of the source; how many there are. */
async function compareAll(target: PageStore, to: NamespaceInfo, file: FileModel): Promise<number> {
  const copies = (await target.log(to.id)).reverse();
  for (const [index, { origin, version, pageBytes, sizeBytes, timeMs }] of copies.entries()) {
    const original = file.copies[index + 1]!;
    const head: Head = { version, pageBytes, sizeBytes, timeMs };
    assert.equal(origin, original.head.version);
    assert.deepEqual({ ...head, version: origin }, original.head);
    assert.deepEqual(await target.headAt(to.id, version), head);
    await checkCopy(target, to.id, { head, content: original.content }, everything);
  }
  return copies.length;
}

for (const [sourceEngine, targetEngine] of TEST_ENGINES.flatMap((from) =>
  TEST_ENGINES.map((to) => [from, to] as const),
)) {
  describe(`copies from ${sourceEngine.name} to ${targetEngine.name}`, () => {
    let files: TestStore[];
    let source: PageStore;
    let sourceKv: Engine;
    let target: PageStore;
    let targetKv: Engine;
    let clockMs: number;
    const clock = (): number => clockMs++;

    beforeEach(async () => {
      clockMs = START_MS;
      files = [await sourceEngine.create(), await targetEngine.create()];
      sourceKv = await files[0]!.open();
      targetKv = await files[1]!.open();
      source = await openStore(sourceKv, { clock, limits: LIMITS, cacheBytesMax: 0 });
      target = await openStore(targetKv, { cacheBytesMax: 0 });
    });
    afterEach(async () => {
      await source.close();
      await target.close();
      for (const store of files) await store.remove();
    });

    const plan = (namespace = 'file', targetNamespace = namespace) =>
      planCopy({ source, namespace, target, targetNamespace });
    async function copy(...names: Parameters<typeof plan>): Promise<{ plan: CopyPlan; to: NamespaceInfo }> {
      const planned = await plan(...names);
      const { to } = await copyNamespace(planned, observer());
      return { plan: planned, to };
    }
    async function create(name = 'file'): Promise<NamespaceId> {
      return (await source.createNamespace(name)).id;
    }
    /** Versions 1 to 3: two pages, the first changed, a third added. */
    async function threeVersions(store: PageStore, id: NamespaceId, base = ZERO_VERSION): Promise<Commit[]> {
      const one = await commitOne(store, request(id, base, 2, filledPages({ 1: 1, 2: 2 })));
      const two = await commitOne(store, request(id, one.head.version, 2, filledPages({ 1: 3 })));
      const three = await commitOne(store, request(id, two.head.version, 3, filledPages({ 3: 4 })));
      return [one, two, three];
    }

    test('what retention left of a history, tags below it and forks; and again after more was removed', async () => {
      const random = seededRandom(chooseSeed(`removed, ${sourceEngine.name} to ${targetEngine.name}`));
      const info = await source.createNamespace('file');
      const file = new FileModel(info.id, info.head);
      await grow(source, file, random, 30);
      const versionAt = (index: number) => file.copies[index]!.head.version;
      await source.addTag(info.id, 'kept', versionAt(7));
      await source.retention.truncate(info.id, versionAt(15));
      const left = new FileModel(info.id, info.head);
      left.copies.push(file.copies[7]!, ...file.copies.slice(15));
      const { plan: planned, to } = await copy();
      await verifyCopy(planned, to, observer());
      assert.equal(await compareAll(target, to, left), 17);

      // More is committed and removed; the copy keeps what it has.
      await grow(source, file, random, 10);
      await source.retention.truncate(info.id, versionAt(35));
      // What was removed before it was copied is missing there, too.
      left.copies.push(...file.copies.slice(35));
      const again = await copy();
      await verifyCopy(again.plan, again.to, observer());
      assert.equal(await compareAll(target, again.to, left), 23);
      // And the other way round: the target forgets, too.
      await target.retention.truncate(again.to.id, again.to.head.version);
      await grow(source, file, random, 3);
      const third = await copy();
      assert.equal(third.plan.missingVersions, 3);
      await verifyCopy(third.plan, third.to, observer());

      const fork = await source.forkNamespace(info.id, versionAt(40), 'fork');
      const forked = new FileModel(fork.id, fork.head);
      forked.copies.push({ head: fork.head, content: file.copies[40]!.content });
      await grow(source, forked, random, 5);
      const ofFork = await copy('fork');
      await verifyCopy(ofFork.plan, ofFork.to, observer());
      assert.equal(await compareAll(target, ofFork.to, forked), 6);
    });

    test('the secret that a mount must present, and the mode', async () => {
      const id = await create();
      const proof = 'ab'.repeat(32);
      await source.setAccessProof(id, proof);
      await source.setMode(id, 0o600);
      const { to } = await copy();
      assert.equal(await target.accessProof(to.id), proof);
      assert.equal((await target.state(to.id)).mode, 0o600);
    });

    test('every version, broken off anywhere and continued, while the source goes on', async () => {
      const random = seededRandom(chooseSeed(`${sourceEngine.name} to ${targetEngine.name}`));
      const info = await source.createNamespace('file');
      const file = new FileModel(info.id, info.head);
      await grow(source, file, random, COMMITS);
      let present = 0;
      for (let attempts = 0; attempts <= ATTEMPTS; attempts++) {
        const growing = attempts < ATTEMPTS ? randomInteger(random, 0, COMMITS_MEANWHILE_MAX) : 0;
        const versionsBefore = file.copies.length - 1;
        const ended = await attempt(random, attempts, () => grow(source, file, random, growing));
        const fresh = await openStore(targetKv, { cacheBytesMax: 0 });
        const to = await fresh.statNamespace('file').catch(() => undefined);
        const reached = to === undefined ? 0 : await compareAll(fresh, to, file);
        assert.ok(reached >= present, 'nothing is taken back');
        if (ended) assert.equal(reached, versionsBefore);
        present = reached;
      }
      assert.equal(present, file.copies.length - 1);
      const { plan, to } = await copy();
      assert.equal(plan.missingVersions, 0);
      await verifyCopy(plan, to, observer());
    });

    /** Copies until something breaks it off; whether it came to its end. */
    async function attempt(random: Random, attempts: number, meanwhile: () => Promise<void>): Promise<boolean> {
      const engine =
        random() < 0.4 && attempts < ATTEMPTS ? dyingEngine(targetKv, randomInteger(random, 0, 150)) : targetKv;
      const limits = TARGET_LIMITS[randomInteger(random, 0, TARGET_LIMITS.length - 1)]!;
      const controller = new AbortController();
      let versionsLeft =
        random() < 0.4 && attempts < ATTEMPTS ? randomInteger(random, 1, 120) : Number.POSITIVE_INFINITY;
      const watching = observer(() => {
        if (versionsLeft-- === 0) controller.abort(new MvfuseError('CLOSED', 'broken off'));
      }, controller.signal);
      let growing: Promise<void> | undefined;
      try {
        const store = await openStore(engine, { limits, cacheBytesMax: 0 });
        const planned = await planCopy({ source, namespace: 'file', target: store, targetNamespace: 'file' });
        growing = meanwhile();
        const { to } = await copyNamespace(planned, watching);
        await verifyCopy(planned, to, observer());
        return true;
      } catch (error) {
        assert.match(String(error), /the process died|broken off/);
        return false;
      } finally {
        await growing;
      }
    }

    test('a file that is cut in zeros by a commit that lists no pages', async () => {
      const id = await create();
      const one = await commitOne(source, request(id, ZERO_VERSION, 12, filledPages({ 1: 1, 2: 2 })));
      const pages = Array.from({ length: 10 }, (_, index) => ({
        number: pageNumber(index + 1),
        data: Buffer.alloc(index === 9 ? 100 : 512, index < 8 ? 3 : 0),
      }));
      const two = { namespace: id, base: one.head.version, pageBytes: 512, sizeBytes: 9 * 512 + 100, pages };
      const three = await commitOne(source, request(id, (await commitOne(source, two)).head.version, 12, []));
      const { plan, to } = await copy();
      await verifyCopy(plan, to, observer());
      const [page] = await target.readPages(to.id, to.head, [pageNumber(8)]);
      assert.deepEqual(page, Buffer.alloc(512, 3));
      assert.equal(to.head.sizeBytes, three.head.sizeBytes);
    });

    test('an empty namespace, and into an empty one that is younger than the first version', async () => {
      await create('none');
      const empty = await copy('none');
      await verifyCopy(empty.plan, empty.to, observer());
      assert.equal((await target.statNamespace('none')).createdMs, empty.plan.from.createdMs);
      const commits = await threeVersions(source, await create());
      await target.createNamespace('file');
      const { plan, to } = await copy();
      await verifyCopy(plan, to, observer());
      assert.deepEqual(
        (await target.log(to.id)).map(({ timeMs }) => timeMs).reverse(),
        commits.map(({ head }) => head.timeMs),
      );
    });

    test('a copy of a copy has the versions of that as its origins', async () => {
      await threeVersions(source, await create());
      await copy();
      const back = { source: target, namespace: 'file', target: source, targetNamespace: 'again' };
      const planned = await planCopy(back);
      const { to } = await copyNamespace(planned, observer());
      await verifyCopy(planned, to, observer());
      assert.deepEqual(
        (await source.log(to.id)).map(({ origin }) => origin),
        (await target.log(planned.from.id)).map(({ version }) => version),
      );
    });

    test('a history that is no beginning of the source’s is refused, and left as it is', async () => {
      const id = await create();
      const commits = await threeVersions(source, id);
      const { id: own } = await target.createNamespace('own');
      await threeVersions(target, own);
      await assert.rejects(plan('file', 'own'), throwsCode('ALREADY_EXISTS', /"own" with a history of its own.*--as/));
      const { to } = await copy();
      await commitOne(target, request(to.id, to.head.version, 3, filledPages({ 1: 9 })));
      await assert.rejects(plan(), throwsCode('CONFLICT', /went different ways.*--as/));
      await commitOne(source, request(id, commits[2]!.head.version, 3, filledPages({ 1: 8 })));
      await assert.rejects(plan(), throwsCode('CONFLICT', /went different ways.*--as/));
      const other = await create('other');
      await threeVersions(source, other);
      await assert.rejects(plan('other', 'file'), throwsCode('CONFLICT', /no copy of the version of "other"/));
      assert.equal((await target.log(to.id)).length, 4);
      await assert.rejects(plan('missing'), throwsCode('NOT_FOUND', /missing/));
      await assert.rejects(plan('file', 'a@b'), throwsCode('INVALID_ARGUMENT', /a@b/));
    });

    test('somebody else’s commit in the target is a conflict, and stays', async () => {
      await threeVersions(source, await create());
      const { id, head } = await target.createNamespace('file');
      const planned = await plan();
      await commitOne(target, request(id, head.version, 1, filledPages({ 1: 7 })));
      const stale = copyNamespace(planned, observer());
      await assert.rejects(stale, throwsCode('CONFLICT', /somebody else writes "file" in the target/));
      assert.equal((await target.log(id)).length, 1);
    });

    test('a damaged page of the source ends the copy with the version before', async () => {
      const id = await create();
      const [, two] = await threeVersions(source, id);
      const key = Buffer.concat([pageKeyPrefix(id, pageNumber(1)), Buffer.from(two!.head.version, 'hex')]);
      await sourceKv.transact(async (t) => t.set(key, Buffer.from([0, 1, 2, 3, 4, 5])));
      const planned = await plan();
      await assert.rejects(
        copyNamespace(planned, observer()),
        throwsCode('CORRUPT', new RegExp(`"file" in the source .* version ${two!.head.version}: page 1 `)),
      );
      assert.equal((await plan()).presentVersions, 1);
    });

    test('the verification finds every kind of difference, with its version and page', async () => {
      const id = await create();
      const [one, two] = await threeVersions(source, id);
      const { plan, to } = await copy();
      const [, copyOfTwo, copyOfOne] = await target.log(to.id);
      const page = Buffer.concat([pageKeyPrefix(to.id, pageNumber(1)), Buffer.from(copyOfTwo!.version, 'hex')]);
      const log = logKey(to.id, copyOfOne!.version);
      const read = (key: Buffer) => targetKv.read(async (t) => (await t.get(key))!);
      const found = async (key: Buffer, value: Buffer, head: Head, message: string): Promise<void> => {
        const before = await read(key);
        await targetKv.transact(async (t) => t.set(key, value));
        const expected = throwsCode('CORRUPT', new RegExp(message.replace('VERSION', head.version)));
        await assert.rejects(verifyCopy(plan, to, observer()), expected);
        await targetKv.transact(async (t) => t.set(key, before));
        await verifyCopy(plan, to, observer());
      };
      const flipped = await read(page);
      flipped[100]! ^= 1;
      await found(page, flipped, copyOfTwo!, '"file" in the target .* version VERSION: page 1 .*checksum');
      const other = encodePage(pageNumber(1), Buffer.alloc(512, 77));
      await found(page, other, two!.head, 'file@VERSION .*: page 1 differs');
      const entry = decodeChange(await read(log));
      const { pages: _, ...unlisted } = entry;
      const change = (changed: object) => encodeChange({ ...entry, ...changed });
      await found(log, change({ timeMs: 5 }), one!.head, `file@VERSION .*timeMs is 5 .* and ${one!.head.timeMs}`);
      await found(log, change({ sizeBytes: 512 }), one!.head, 'file@VERSION .*sizeBytes is 512 .* and 1024');
      await found(log, change({ origin: two!.head.version }), one!.head, 'file@VERSION .* is the copy of');
      await found(
        log,
        encodeChange({ ...unlisted, pages: undefined, pageBytes: 1024 }),
        one!.head,
        'pageBytes is 1024',
      );
      await targetKv.transact(async (t) => t.clear(log));
      await assert.rejects(verifyCopy(plan, to, observer()), throwsCode('CORRUPT', /is the copy of/));
      await targetKv.transact(async (t) => t.set(log, encodeChange(entry)));
      const shorter = { ...to, head: { ...to.head, sizeBytes: 512 } };
      await targetKv.transact(async (t) => t.set(headKey(to.id), encodeHead(shorter.head)));
      await assert.rejects(verifyCopy(plan, shorter, observer()), throwsCode('CORRUPT', /sizeBytes is 512/));
    });
  });
}
