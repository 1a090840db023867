// Random histories carried from store to store in change files (admin/export-changes.ts, apply-changes.ts): a chain of them
// gives every version, byte for byte, whatever breaks it off, what retention removes, and while the source goes on; a file
// that is damaged, cut off, put together anew or of another chain is refused, with whole versions before it only.
//
// A failure prints its seed; MVFUSE_TEST_SEED repeats it.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type AppliedChanges, applyChanges } from '../../src/admin/apply-changes.js';
import { CHECKSUM_BYTES, ChecksumChain, encodeHeader, MAGIC, PREFIX_BYTES } from '../../src/admin/change-file.js';
import { exportChanges } from '../../src/admin/export-changes.js';
import { isMvfuseError, MvfuseError } from '../../src/errors.js';
import type { Engine } from '../../src/kv/engine.js';
import { openEngine } from '../../src/kv/open.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { Head } from '../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import { TEST_ENGINES, type TestStore } from '../support/engines.js';
import { checkCopy, FileModel } from '../support/file-model.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';
import { commitOne, dyingEngine, filledPages, openStore, pageNumber, request } from '../support/stores.js';
import { throwsCode } from '../support/throws-code.js';

const LINKS = 6;
/** More than one call to changesAfter gives. */
const FIRST_COMMITS = 150;
const LINK_COMMITS_MAX = 30;
const LIMITS = { commitBytesMax: 4_000, stageChunkBytesMax: 1_500 };
const TARGET_LIMITS = [LIMITS, { commitBytesMax: 8_000_000, stageChunkBytesMax: 1_000_000 }, { commitBytesMax: 1_500 }];
const START_MS = 1_600_000_000_000;

const everything = () => 0;

async function* stream(bytes: Buffer, pieceBytes = 1_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}

async function exportFile(store: PageStore, since: string, until?: string, name = 'file'): Promise<Buffer> {
  return collect((await exportChanges(store, name, { since, until })).bytes);
}

function apply(store: PageStore, bytes: Buffer, name = 'file'): Promise<AppliedChanges> {
  return applyChanges(store, name, stream(bytes));
}

async function grow(store: PageStore, file: FileModel, random: Random, commits: number): Promise<void> {
  for (let round = 0; round < commits; round++) {
    const { request, content } = file.change(random);
    file.copies.push({ head: (await commitOne(store, request)).head, content });
  }
}

/** Every version of the target against the model of the source; their origins. */
async function compareAll(target: PageStore, file: FileModel, name = 'file'): Promise<Version[]> {
  const to = await target.statNamespace(name).catch(() => undefined);
  if (to === undefined) return [];
  const origins: Version[] = [];
  for (const { origin, version, pageBytes, sizeBytes, timeMs } of (await target.log(to.id)).reverse()) {
    const original = file.copies.find(({ head }) => head.version === origin)!;
    const head: Head = { version, pageBytes, sizeBytes, timeMs };
    assert.deepEqual({ ...head, version: origin }, original.head);
    await checkCopy(target, to.id, { head, content: original.content }, everything);
    origins.push(origin!);
  }
  return origins;
}

for (const [sourceEngine, targetEngine] of TEST_ENGINES.flatMap((from) =>
  TEST_ENGINES.map((to) => [from, to] as const),
)) {
  describe(`changes from ${sourceEngine.name} to ${targetEngine.name}`, () => {
    let files: TestStore[];
    let source: PageStore;
    let target: PageStore;
    let targetKv: Engine;
    let clockMs: number;
    const clock = (): number => clockMs++;

    beforeEach(async () => {
      clockMs = START_MS;
      files = [await sourceEngine.create(), await targetEngine.create()];
      source = await openStore(await files[0]!.open(), { clock, limits: LIMITS, cacheBytesMax: 0 });
      targetKv = await files[1]!.open();
      target = await openStore(targetKv, { cacheBytesMax: 0 });
    });
    afterEach(async () => {
      await source.close();
      await target.close();
      for (const store of files) await store.remove();
    });

    async function newFile(name = 'file'): Promise<FileModel> {
      const info = await source.createNamespace(name);
      return new FileModel(info.id, info.head);
    }

    test('a chain gives every version, broken off anywhere, while the source goes on', async () => {
      const random = seededRandom(chooseSeed(`${sourceEngine.name} to ${targetEngine.name}`));
      const file = await newFile();
      let [since, brokenOff] = ['first', 0];
      for (let link = 0; link < LINKS || brokenOff === 0; link += 1) {
        await grow(source, file, random, link === 0 ? FIRST_COMMITS : randomInteger(random, 0, LINK_COMMITS_MAX));
        const growing = grow(source, file, random, randomInteger(random, 0, 20));
        const { header, bytes: pieces } = await exportChanges(source, 'file', { since });
        const bytes = await collect(pieces);
        await growing;
        const expected = file.copies.slice(1).flatMap(({ head }) => (head.version <= header.to ? head.version : []));
        for (let isDone = false; !isDone; ) {
          isDone = await attempt(random, bytes);
          if (!isDone) brokenOff += 1;
          const fresh = await openStore(targetKv, { cacheBytesMax: 0 });
          const origins = await compareAll(fresh, file);
          assert.deepEqual(origins, isDone ? expected : expected.slice(0, origins.length));
        }
        since = header.to;
      }
      assert.ok(brokenOff > 0, 'nothing was broken off');
    });

    /** Applies until something breaks it off; whether it came to its end. */
    async function attempt(random: Random, bytes: Buffer): Promise<boolean> {
      const engine = random() < 0.3 ? dyingEngine(targetKv, randomInteger(random, 0, 150)) : targetKv;
      const limits = TARGET_LIMITS[randomInteger(random, 0, TARGET_LIMITS.length - 1)]!;
      const cut = random() < 0.3 ? randomInteger(random, 1, bytes.length - 1) : bytes.length;
      const controller = new AbortController();
      let piecesLeft = random() < 0.2 ? randomInteger(random, 1, 300) : Number.POSITIVE_INFINITY;
      const watched = async function* () {
        for await (const piece of stream(bytes.subarray(0, cut), randomInteger(random, 1, 5_000))) {
          if (piecesLeft-- <= 0) controller.abort(new MvfuseError('CLOSED', 'broken off'));
          yield piece;
        }
      };
      try {
        const store = await openStore(engine, { limits, cacheBytesMax: 0 });
        await applyChanges(store, 'file', watched(), { signal: controller.signal });
        return true;
      } catch (error) {
        assert.match(String(error), /the process died|broken off|cut off|no change file: it has/);
        return false;
      }
    }

    test('a chain goes on over what retention removes, as long as its last version is kept', async () => {
      const random = seededRandom(chooseSeed(`retention, ${sourceEngine.name} to ${targetEngine.name}`));
      const file = await newFile();
      const { id } = await source.statNamespace('file');
      let since = 'first';
      for (let link = 0; link < LINKS; link += 1) {
        await grow(source, file, random, randomInteger(random, 1, 40));
        const readable = await source.log(id);
        if (random() < 0.7) {
          const { version } = readable[randomInteger(random, 0, readable.length - 1)]!;
          await source.retention.truncate(id, version);
        }
        const kept = (await source.log(id)).map(({ version }) => version).reverse();
        const bytes = await exportFile(source, since);
        const before = await compareAll(target, file);
        await apply(target, bytes);
        const origins = await compareAll(target, file);
        const last = before.at(-1) ?? ZERO_VERSION;
        assert.deepEqual(origins, [...before, ...kept.filter((version) => version > last)]);
        since = 'shipped';
        await source.addTag(id, 'shipped', origins.at(-1)!, { move: true });
      }
      await assert.rejects(
        async () => exportFile(source, file.copies[1]!.head.version),
        throwsCode('GONE', /was removed.*a new chain begins with --since first/),
      );
    });

    // Among the changelog entries that were read already, and behind them.
    for (const first of [60, 180]) {
      test(`versions up to number ${first} that are removed while they are exported are left out`, async () => {
        const random = seededRandom(chooseSeed(`removed meanwhile, ${sourceEngine.name} to ${targetEngine.name}`));
        const file = await newFile();
        await grow(source, file, random, 200);
        const { bytes } = await exportChanges(source, 'file', { since: 'first' });
        const pieces: Uint8Array[] = [];
        for await (const piece of bytes) {
          pieces.push(piece);
          if (pieces.length === 30) await source.retention.truncate(file.id, file.copies[first]!.head.version);
        }
        await apply(target, Buffer.concat(pieces));
        const origins = await compareAll(target, file);
        const left = file.copies.slice(first).map(({ head }) => head.version);
        assert.deepEqual(origins.slice(-left.length), left);
        assert.ok(origins.length < left.length + 30, `${origins.length} versions`);
      });
    }

    test('a file that is cut in zeros by a commit that lists no pages', async () => {
      const file = await newFile();
      const one = await commitOne(source, request(file.id, ZERO_VERSION, 12, filledPages({ 1: 1, 2: 2 })));
      const pages = Array.from({ length: 10 }, (_, index) => ({
        number: pageNumber(index + 1),
        data: Buffer.alloc(index === 9 ? 100 : 512, index < 8 ? 3 : 0),
      }));
      const cut = { namespace: file.id, base: one.head.version, pageBytes: 512, sizeBytes: 9 * 512 + 100, pages };
      const two = await commitOne(source, cut);
      const three = await commitOne(source, request(file.id, two.head.version, 12, []));
      for (const [index, { head }] of [one, two, three].entries()) {
        const content = Buffer.alloc(head.sizeBytes);
        if (index === 0) content.fill(1, 0, 512).fill(2, 512, 1024);
        else content.fill(3, 0, 8 * 512);
        file.copies.push({ head, content });
      }
      await apply(target, await exportFile(source, 'first', one.head.version));
      await apply(target, await exportFile(source, one.head.version));
      assert.equal((await compareAll(target, file)).length, 3);
    });

    test('a fork, from its beginning; its access proof and an empty namespace arrive too', async () => {
      const random = seededRandom(chooseSeed(`forks, ${sourceEngine.name} to ${targetEngine.name}`));
      const file = await newFile();
      await grow(source, file, random, 30);
      const { head: forkedAt, content } = file.newest;
      const proof = 'ab'.repeat(32);
      await source.setAccessProof(file.id, proof);
      const fork = await source.forkNamespace(file.id, forkedAt.version, 'fork');
      const model = new FileModel(fork.id, fork.head);
      model.copies[0] = { head: fork.head, content };
      await grow(source, model, random, 30);
      await apply(target, await exportFile(source, 'first', undefined, 'fork'), 'fork');
      assert.equal((await compareAll(target, model, 'fork')).length, 31);
      assert.equal(await target.accessProof((await target.statNamespace('fork')).id), proof);
      await assert.rejects(
        exportFile(source, forkedAt.version, undefined, 'fork'),
        throwsCode('NOT_FOUND', /forked from file@.*its own chain begins with --since first/),
      );
      await source.createNamespace('empty');
      const applied = await apply(target, await exportFile(source, '0', undefined, 'empty'), 'empty');
      assert.deepEqual([applied.created, applied.appliedVersions, applied.head.version], [true, 0, ZERO_VERSION]);
      assert.equal(applied.head.timeMs, (await source.statNamespace('empty')).createdMs);
    });

    test('what does not fit is refused, and the target left as it is', async () => {
      const random = seededRandom(chooseSeed(`misfits, ${sourceEngine.name} to ${targetEngine.name}`));
      const file = await newFile();
      await grow(source, file, random, 12);
      const at = (index: number): Version => file.copies[index]!.head.version;
      const first = await exportFile(source, 'first', at(3));
      const second = await exportFile(source, at(3), at(6));
      const third = await exportFile(source, at(6));
      const latest = await exportFile(source, 'latest');
      const refused = async (bytes: Buffer, message: RegExp, name = 'file', count = 0): Promise<void> => {
        await assert.rejects(apply(target, bytes, name), throwsCode('CONFLICT', message));
        assert.equal((await compareAll(target, file)).length, count);
      };
      await refused(second, /goes on after version .* has no version yet.*--since first/);
      await assert.rejects(target.statNamespace('file'), throwsCode('NOT_FOUND', /file/));
      assert.equal((await apply(target, first)).appliedVersions, 3);
      await refused(third, new RegExp(`a link of the chain is missing.*--since ${at(3)}`), 'file', 3);
      assert.deepEqual(
        [await apply(target, second), await apply(target, second)].map((done) => [
          done.appliedVersions,
          done.presentVersions,
        ]),
        [
          [3, 0],
          [0, 3],
        ],
      );
      assert.equal((await apply(target, third)).appliedVersions, 6);
      // An older file once more, and one that brings nothing new.
      for (const bytes of [first, second, latest]) assert.equal((await apply(target, bytes)).appliedVersions, 0);
      // One that began earlier, as after a lost note of where the last one ended.
      assert.equal((await apply(target, await exportFile(source, at(1)))).presentVersions, 11);
      const other = await newFile('other');
      await grow(source, other, random, 4);
      const otherVersion = other.copies[2]!.head.version;
      await refused(
        await exportFile(source, otherVersion, undefined, 'other'),
        /a link of the chain is missing/,
        'file',
        12,
      );
      await refused(
        await exportFile(source, 'first', undefined, 'other'),
        /copy of version .*, which the file does not have/,
        'file',
        12,
      );
      const { id, head } = await target.statNamespace('file');
      await commitOne(target, request(id, head.version, 1, filledPages({ 1: 7 }, 512)));
      await assert.rejects(apply(target, third), throwsCode('CONFLICT', /its own and no copy/));
      assert.equal((await target.log(id)).length, 13);
      await assert.rejects(exportFile(source, at(6), at(3)), throwsCode('INVALID_ARGUMENT', /is newer than/));
      await assert.rejects(exportFile(source, 'nothing'), throwsCode('NOT_FOUND', /no tag "nothing"/));
    });

    test('an older file of another chain is refused too', async () => {
      const random = seededRandom(chooseSeed(`older, ${sourceEngine.name} to ${targetEngine.name}`));
      const older = await newFile('older');
      await grow(source, older, random, 3);
      const file = await newFile();
      await grow(source, file, random, 3);
      await apply(target, await exportFile(source, 'first'));
      const bytes = await exportFile(source, 'first', undefined, 'older');
      await assert.rejects(
        apply(target, bytes),
        throwsCode('CONFLICT', /has no copy of version .*, with which the file ends/),
      );
    });
  });
}

describe('a change file that was tampered with', () => {
  let bytes: Buffer;
  let file: FileModel;
  /** Where each version begins, and the end. */
  let parts: number[];

  beforeEach(async () => {
    const { source, kv } = await memoryStore();
    const info = await source.createNamespace('file');
    file = new FileModel(info.id, info.head);
    for (const [pageCount, fills] of [
      [2, { 1: 1, 2: 2 }],
      [2, { 1: 3 }],
      [3, { 3: 4 }],
    ] as const) {
      const commit = await commitOne(source, request(info.id, file.newest.head.version, pageCount, filledPages(fills)));
      const content = Buffer.alloc(pageCount * 512);
      file.newest.content.copy(content);
      for (const [page, fill] of Object.entries(fills))
        content.fill(fill, (Number(page) - 1) * 512, Number(page) * 512);
      file.copies.push({ head: commit.head, content });
    }
    bytes = await exportFile(source, 'first');
    parts = file.copies.slice(1).map(({ head }) => bytes.lastIndexOf(Buffer.from(`01${head.version}`, 'hex')));
    parts.push(bytes.length - 9 - CHECKSUM_BYTES);
    await kv.close();
  });

  async function memoryStore() {
    const kv = await openEngine('memory:', { clock: Date.now });
    return { source: await openStore(kv, { cacheBytesMax: 0 }), kv };
  }

  /** Applies to an empty store; how many versions it has then, all of them right. */
  async function refused(tampered: Buffer, message?: RegExp): Promise<number> {
    const { source: target, kv } = await memoryStore();
    const error = await apply(target, tampered).then(
      () => assert.fail('it was applied'),
      (error: unknown) => error,
    );
    assert.ok(isMvfuseError(error, 'CORRUPT') || isMvfuseError(error, 'INVALID_ARGUMENT'), String(error));
    if (message !== undefined) assert.match(error.message, message);
    const origins = await compareAll(target, file);
    assert.deepEqual(
      origins,
      file.copies.slice(1, 1 + origins.length).map(({ head }) => head.version),
    );
    if (origins.length === 0) await assert.rejects(target.statNamespace('file'), throwsCode('NOT_FOUND', /file/));
    await kv.close();
    return origins.length;
  }

  /** Versions that end before a place. */
  const wholeBefore = (at: number): number => parts.slice(1).filter((end) => end <= at).length;

  test('every byte', async () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const tampered = Buffer.from(bytes);
      tampered[at]! ^= 1 << (at % 8);
      assert.equal(await refused(tampered), wholeBefore(at), `byte ${at}`);
    }
  });

  test('every length', async () => {
    for (let length = 0; length < bytes.length; length += 1) {
      assert.equal(await refused(bytes.subarray(0, length)), wholeBefore(length), `length ${length}`);
    }
  });

  test('versions left out, doubled, in another order, and what follows the end', async () => {
    const part = (index: number): Buffer => bytes.subarray(parts[index], parts[index + 1]);
    const start = bytes.subarray(0, parts[0]);
    const end = bytes.subarray(parts[3]);
    const [one, two, three] = [part(0), part(1), part(2)];
    const made = (...pieces: Buffer[]): Buffer => Buffer.concat([start, ...pieces, end]);
    assert.ok(made(one, two, three).equals(bytes));
    assert.equal(await refused(made(two, three)), 0);
    assert.equal(await refused(made(one, three)), 1);
    assert.equal(await refused(made(one, two)), 2);
    assert.equal(await refused(made(one, one, two, three)), 1);
    assert.equal(await refused(made(two, one, three)), 0);
    assert.equal(await refused(made(one, three, two)), 1);
    assert.equal(await refused(made(), /its end/), 0);
    assert.equal(
      await refused(Buffer.concat([bytes, Buffer.from([0])]), /what follows its end.*up to .* were applied/),
      3,
    );
    assert.equal(await refused(Buffer.concat([bytes, bytes])), 3);
  });

  test('another format, another file', async () => {
    const later = Buffer.from(bytes);
    later.writeUInt32BE(2, MAGIC.length);
    assert.equal(await refused(later, /has format 2, and this release reads format 1/), 0);
    assert.equal(await refused(Buffer.from('SQLite format 3\0 and so on'), /no change file: mvfuse export/), 0);
    assert.equal(await refused(Buffer.alloc(0), /no change file: it is empty/), 0);
  });

  test('a file with right checksums that says impossible things', async () => {
    const header = { namespace: 'file', createdMs: 1, from: ZERO_VERSION, to: file.newest.head.version };
    const described = (changed: object): Buffer => {
      const chain = new ChecksumChain();
      const start = encodeHeader({ ...header, ...changed });
      chain.update(start);
      return Buffer.concat([start, chain.next(), bytes.subarray(parts[0])]);
    };
    // The same description gives the same file.
    const { length } = encodeHeader(header);
    assert.ok(length > PREFIX_BYTES);
    for (const changed of [
      { from: 'no version' },
      { createdMs: 'today' },
      { accessProof: 'short' },
      { to: ZERO_VERSION, from: header.to },
    ])
      assert.equal(await refused(described(changed), /its description/), 0);
    assert.equal(await refused(described({ to: file.copies[1]!.head.version })), 0);
  });
});
