// The committed inputs of every fuzz target once more (scripts/fuzz.sh finds new ones), and what SQLite's own files say.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHeader } from '../../src/sqlite/header.js';
import { isFinalisingWrite, isHot, superJournalOf } from '../../src/sqlite/rollback-journal.js';
import { isSuperJournalName, memberPaths } from '../../src/sqlite/super-journal.js';
import { compileSources, withoutPreload } from '../support/native-mount.js';
import { run } from '../support/native-process.js';
import { CORPUS, isNamed, readCorpus } from './corpus.js';

for (const target of ['header', 'lock-bytes', 'rollback-journal', 'super-journal']) {
  test(`${target}: every input of the corpus`, async () => {
    const { check } = (await import(`./targets/${target}.js`)) as { check(input: Buffer): void | Promise<void> };
    const files = readCorpus(target);
    assert.ok(files.some((file) => isNamed(file.name)));
    for (const { name, bytes } of files) {
      try {
        await check(bytes);
      } catch (error) {
        throw new Error(`test/fuzz/corpus/${target}/${name}`, { cause: error });
      }
    }
  });
}

test('request: every input of the corpus, under the sanitizers', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mvfuse-fuzz-'));
  try {
    const replay = join(directory, 'replay');
    const parser = ['init', 'parse', 'utf8', 'xattr'].map((name) => `native-shim/src/protocol/${name}.cc`);
    const flags = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    await compileSources(replay, flags, ['test/fuzz/replay.cc', 'test/fuzz/request.cc', ...parser]);
    const files = readCorpus('request').map(({ name }) => join(CORPUS, 'request', name));
    const outcome = await run(replay, files, { env: withoutPreload() });
    assert.equal(outcome.stdout, `${files.length} inputs\n`, outcome.stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** The named seeds, which test/fuzz/capture-seeds.sh took from the disk of stock SQLite. */
function seeds(target: string): Record<string, Buffer> {
  return Object.fromEntries(readCorpus(target).map(({ name, bytes }) => [name, bytes]));
}

test('journals that SQLite wrote say what SQLite meant', async () => {
  const journals = seeds('rollback-journal');
  const [name] = memberPaths(seeds('super-journal')['three-databases']!);
  assert.equal(name, '/tmp/dbs/a.db-journal');
  for (const [seed, hot, isNaming] of [
    ['hot', true, false],
    ['persist-finalised', false, false],
    ['names-super-journal-a', true, true],
    ['names-super-journal-b', true, true],
    ['persist-names-super-journal', true, true],
  ] as const) {
    const journal = journals[seed]!;
    assert.equal(isHot(journal), hot, seed);
    assert.equal(isFinalisingWrite(0, journal.subarray(0, 28)), !hot, seed);
    const named = await superJournalOf(journal.length, async (offset, length) =>
      journal.subarray(offset, offset + length),
    );
    assert.equal(named !== undefined, isNaming, seed);
    if (named === undefined) continue;
    assert.equal(named.slice(0, 9), '/tmp/dbs/');
    assert.ok(isSuperJournalName(named.slice(9), 'a.db'), named);
  }
});

test('super-journals that SQLite wrote name all members', () => {
  const { 'two-databases': two, 'three-databases': three } = seeds('super-journal');
  const paths = ['a', 'b', 'c'].map((name) => `/tmp/dbs/${name}.db-journal`);
  assert.deepEqual(memberPaths(three!), paths);
  assert.deepEqual(memberPaths(two!), paths.slice(0, 2));
});

test('headers that SQLite wrote are what was asked for', () => {
  const headers = seeds('header');
  for (const [seed, pageBytes, reservedBytes, wantsWal] of [
    ['page-512', 512, 0, false],
    ['page-4096', 4096, 0, false],
    ['page-65536', 65536, 0, false],
    ['wal', 4096, 0, true],
    ['reserved-bytes', 4096, 8, false],
  ] as const) {
    const header = readHeader(headers[seed]!)!;
    const { changeCounter, pageCount, ...rest } = header;
    assert.deepEqual(rest, { pageBytes, reservedBytes, plain: reservedBytes === 0, wantsWal }, seed);
    assert.ok(changeCounter > 0 && pageCount === 2, `${seed}: ${changeCounter}, ${pageCount}`);
  }
});
