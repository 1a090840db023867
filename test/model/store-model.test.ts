// Random histories against the simplest store there is: a full copy of the file for every version.
//
// Every version must read back byte for byte, at any time, whatever the cache holds. A failure prints its
// seed; MVFUSE_TEST_SEED repeats it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PageStore } from '../../src/store/page-store.js';
import { TEST_ENGINES } from '../support/engines.js';
import { type Copy, checkCopy as check, FileModel } from '../support/file-model.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';
import { openStore } from '../support/stores.js';

const COMMITS = 120;
const NAMESPACES = 3;
const TINY_CACHE_BYTES = 3_000;
const LIMITS = { commitBytesMax: 4_000, stageChunkBytesMax: 1_500 };

async function runHistory(random: Random, store: PageStore): Promise<FileModel[]> {
  const files: FileModel[] = [];
  for (let index = 0; index < NAMESPACES; index++) {
    const { id, head } = await store.createNamespace(`file-${index}`);
    files.push(new FileModel(id, head));
  }
  for (let round = 0; round < COMMITS; round++) {
    const members = files.filter(() => random() < 0.5);
    const changes = members.map((file) => file.change(random));
    const reading = readDuringCommit(store, files, random);
    const commits = await store.commit(changes.map(({ request }) => request));
    for (const [index, file] of members.entries()) {
      file.copies.push({ head: commits[index]!.head, content: changes[index]!.content });
    }
    await reading;
    for (const file of files) await check(store, file.id, pick(file.copies, random), random);
  }
  return files;
}

/** Reads that overlap with a commit, of versions that exist before it. */
function readDuringCommit(store: PageStore, files: readonly FileModel[], random: Random): Promise<unknown> {
  return Promise.all(files.map((file) => check(store, file.id, pick(file.copies, random), random)));
}

/** The newest one often, else any. */
function pick(copies: readonly Copy[], random: Random): Copy {
  return random() < 0.4 ? copies.at(-1)! : copies[randomInteger(random, 0, copies.length - 1)]!;
}

async function checkEverything(store: PageStore, files: readonly FileModel[]): Promise<void> {
  for (const { id, copies } of files) {
    for (const copy of copies) {
      await check(store, id, copy, () => 0);
      assert.deepEqual(await store.headAt(id, copy.head.version), copy.head);
    }
    const log = await store.log(id);
    assert.deepEqual(
      log.map(({ version }) => version),
      copies
        .slice(1)
        .reverse()
        .map(({ head }) => head.version),
    );
  }
}

for (const engine of TEST_ENGINES) {
  describe(`store model on ${engine.name}`, () => {
    for (const [cache, cacheBytesMax] of [
      ['a tiny cache', TINY_CACHE_BYTES],
      ['a large cache', 10_000_000],
    ] as const) {
      test(`every version reads back, with ${cache}`, async () => {
        const random = seededRandom(chooseSeed(`${engine.name}, ${cache}`));
        const files = await engine.create();
        try {
          const store = await openStore(await files.open(), { cacheBytesMax, limits: LIMITS });
          const models = await runHistory(random, store);
          await checkEverything(store, models);
          if (!engine.isPersistent) return;
          await store.close();
          await checkEverything(await openStore(await files.open(), { cacheBytesMax, limits: LIMITS }), models);
        } finally {
          await files.remove();
        }
      });
    }
  });
}
