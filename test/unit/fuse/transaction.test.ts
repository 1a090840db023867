// A transaction's states without a mount: what is committed when, what an error discards, and what nobody may be
// told afterwards.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { beforeEach, test } from 'node:test';
import Database from 'better-sqlite3';
import { pino } from 'pino';
import { DirtyBudget } from '../../../src/fuse/dirty-budget.js';
import { Errno, RequestError } from '../../../src/fuse/errno.js';
import { KernelCache } from '../../../src/fuse/kernel-cache.js';
import { MountedFile } from '../../../src/fuse/mounted-file.js';
import { SpaceBudget } from '../../../src/fuse/space-budget.js';
import { Transaction } from '../../../src/fuse/transaction.js';
import { WriterWaits } from '../../../src/fuse/writer-waits.js';
import { openEngine } from '../../../src/kv/open.js';
import { readHeader } from '../../../src/sqlite/header.js';
import { PageStore } from '../../../src/store/page-store.js';

const PAGE = 4096;
const COUNTER_AT = 24;
const VALID_FOR_AT = 92;

let file: MountedFile;
let nowMs: number;
const journal = { isHot: false, inSuper: false };

beforeEach(async () => {
  const clock = Date.now;
  const store = await PageStore.open({ engine: await openEngine('memory:', { clock }), clock, cacheBytesMax: 1 << 20 });
  const { id } = await store.createNamespace('n');
  nowMs = 0;
  journal.isHot = false;
  journal.inSuper = false;
  const spill = new DirtyBudget({ memoryBytesMax: 1 << 20, bytesMax: 1 << 30, directory: tmpdir() });
  file = new MountedFile({
    name: 'db',
    namespace: id,
    owner: undefined,
    namespaceName: 'n',
    store,
    spill,
    space: new SpaceBudget(undefined, () => nowMs),
    writerWaits: new WriterWaits({ waitMsMax: 1_000, countMax: 10 }),
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
});

function connection(cache = new KernelCache(file, async () => undefined)): Transaction {
  const state = { hot: async () => journal.isHot, inSuperJournal: async () => journal.inSuper };
  return new Transaction(file, state, cache);
}

/** A small database as SQLite writes it. */
function database(sql: string): Buffer {
  const memory = new Database(':memory:');
  memory.exec(`PRAGMA page_size=${PAGE}; ${sql}`);
  const bytes = memory.serialize();
  memory.close();
  return Buffer.from(bytes);
}

/** Page 1 as SQLite writes it at a commit: what it was shown, with the counter moved on. */
async function nextPageOne(transaction: Transaction, wal = false): Promise<Buffer> {
  const page = Buffer.concat(await transaction.pieces(0, PAGE));
  const counter = page.readUInt32BE(COUNTER_AT) + 1;
  page.writeUInt32BE(counter, COUNTER_AT);
  page.writeUInt32BE(counter, VALID_FOR_AT);
  if (wal) page.fill(2, 18, 20);
  return page;
}

async function shownCounter(transaction: Transaction): Promise<number> {
  return Buffer.concat(await transaction.pieces(COUNTER_AT, 16)).readUInt32BE(0);
}

/** Commits a first version of two pages through a connection of its own. */
async function seed(): Promise<void> {
  const transaction = connection();
  await transaction.becomeWriter();
  await transaction.write(0, database('CREATE TABLE t(a)'));
  await transaction.sync();
  await transaction.end(true);
}

/** The next commit: page 2 filled with `byte`. */
async function change(transaction: Transaction, byte: number): Promise<void> {
  await transaction.write(0, await nextPageOne(transaction));
  await transaction.write(PAGE, Buffer.alloc(PAGE, byte));
}

async function refused(work: Promise<unknown>, errno: number): Promise<void> {
  await assert.rejects(work, (error) => error instanceof RequestError && error.errno === errno);
}

test('a commit is visible to who begins later, not to who reads already', async () => {
  await seed();
  const [reader, writer] = [connection(), connection()];
  await reader.begin();
  await writer.becomeWriter();
  await change(writer, 1);
  await writer.sync();
  assert.notEqual((await reader.pieces(PAGE, 1))[0]![0], 1);
  await reader.end(true);
  await reader.begin();
  assert.equal((await reader.pieces(PAGE, 1))[0]![0], 1);
});

test('the shown counter moves exactly when the content did', async () => {
  await seed();
  const [a, b] = [connection(), connection()];
  await a.begin();
  const first = await shownCounter(a);
  await a.end(true);
  await a.begin();
  assert.equal(await shownCounter(a), first);
  await a.end(true);
  await b.becomeWriter();
  await change(b, 1);
  const own = (await nextPageOne(b)).readUInt32BE(COUNTER_AT) - 1;
  await b.sync();
  assert.equal(await shownCounter(b), own, 'its own commit leaves the cache valid');
  await b.end(true);
  await a.begin();
  assert.notEqual(await shownCounter(a), first);
});

test('a rollback and a commit of the same content make no version', async () => {
  await seed();
  const before = await file.head();
  const transaction = connection();
  await transaction.becomeWriter();
  const original = Buffer.concat(await transaction.pieces(PAGE, PAGE));
  await transaction.write(PAGE, Buffer.alloc(PAGE, 9));
  await transaction.write(PAGE, original);
  await transaction.sync();
  await transaction.write(0, await nextPageOne(transaction));
  await transaction.sync();
  assert.deepEqual(await file.head(), before);
});

test('journal_mode=WAL makes no version, and SQLite must read page 1 again', async () => {
  await seed();
  const before = await file.head();
  const transaction = connection();
  await transaction.becomeWriter();
  const page = await nextPageOne(transaction, true);
  await transaction.write(0, page);
  await transaction.sync();
  assert.deepEqual(await file.head(), before);
  assert.notEqual(await shownCounter(transaction), page.readUInt32BE(COUNTER_AT));
  assert.equal(readHeader(Buffer.concat(await transaction.pieces(0, PAGE)))!.wantsWal, false);
});

test('without an fsync only a marked dirty set is committed', async () => {
  await seed();
  const before = (await file.head()).version;
  const transaction = connection();
  await transaction.becomeWriter();
  await transaction.write(PAGE, Buffer.alloc(PAGE, 5));
  await transaction.journalFinalised(false);
  assert.equal((await file.head()).version, before, 'a rollback that left a free page changed');
  await change(transaction, 6);
  await transaction.downgrade();
  assert.notEqual((await file.head()).version, before);
});

test('a rollback that left a free page changed is synced, and no version', async () => {
  await seed();
  const before = (await file.head()).version;
  const transaction = connection();
  await transaction.becomeWriter();
  const page = Buffer.concat(await transaction.pieces(0, PAGE));
  await transaction.write(PAGE, Buffer.alloc(PAGE, 5));
  await transaction.write(0, page);
  await transaction.sync();
  await transaction.journalFinalised(false);
  assert.equal((await file.head()).version, before);
  await change(transaction, 6);
  await transaction.sync();
  assert.notEqual((await file.head()).version, before);
});

test('without a readable page 1, it is the writing of page 1 that marks a commit', async () => {
  const bytes = (fill: number): Buffer => Buffer.alloc(4 * 1024, fill);
  const first = connection();
  await first.becomeWriter();
  await first.write(0, bytes(1));
  await first.sync();
  await first.end(true);
  const before = (await file.head()).version;
  const transaction = connection();
  await transaction.becomeWriter();
  // Pages of 1024 bytes, of which the second was spilled.
  await transaction.write(1024, bytes(2).subarray(0, 1024));
  await transaction.downgrade();
  assert.equal((await file.head()).version, before);
  // The bytes in the place of the change counter are the same by chance.
  const page = bytes(3).subarray(0, 1024);
  page.fill(1, COUNTER_AT, COUNTER_AT + 4);
  await transaction.write(1024, bytes(4).subarray(0, 1024));
  await transaction.write(0, page);
  await transaction.downgrade();
  assert.notEqual((await file.head()).version, before);
  assert.equal(Buffer.concat(await transaction.pieces(1024, 1))[0], 4);
});

test('what a killed client wrote is discarded, commit marker or not', async () => {
  await seed();
  const before = (await file.head()).version;
  const transaction = connection();
  await transaction.becomeWriter();
  await change(transaction, 7);
  await transaction.end(false);
  assert.equal((await file.head()).version, before);
  assert.equal(file.writeLock.holder, undefined);
});

test('an old snapshot cannot write, and gets its turn next', async () => {
  await seed();
  const [old, other, third] = [connection(), connection(), connection()];
  await old.begin();
  await other.becomeWriter();
  await refused(old.becomeWriter(), Errno.EAGAIN);
  await change(other, 1);
  await other.sync();
  await other.end(true);
  await refused(old.becomeWriter(), Errno.EAGAIN);
  await refused(third.becomeWriter(), Errno.EAGAIN);
  await old.end(true);
  await old.becomeWriter();
  await old.end(true);
  await third.end(true);
  await third.becomeWriter();
});

test('after an error SQLite writes the old pages back, and then commits again', async () => {
  await seed();
  for (const withJournal of [true, false]) {
    journal.isHot = withJournal;
    const transaction = connection();
    await transaction.becomeWriter();
    const [one, two] = [await transaction.pieces(0, PAGE), await transaction.pieces(PAGE, PAGE)];
    await change(transaction, 1);
    await transaction.doom();
    await transaction.write(0, Buffer.concat(one));
    await transaction.write(PAGE, Buffer.concat(two));
    const before = (await file.head()).version;
    await transaction.sync();
    if (withJournal) await transaction.journalFinalised(false);
    assert.equal((await file.head()).version, before);
    await change(transaction, withJournal ? 2 : 3);
    await transaction.sync();
    assert.notEqual((await file.head()).version, before);
    await transaction.end(true);
  }
});

test('new pages on top of discarded ones are never acknowledged', async () => {
  await seed();
  const before = (await file.head()).version;
  const attempts = [
    (transaction: Transaction) => transaction.write(PAGE, Buffer.alloc(PAGE, 8)),
    (transaction: Transaction) => transaction.truncate(PAGE),
    async (transaction: Transaction) => transaction.journalWritten(),
  ];
  for (const attempt of attempts) {
    journal.isHot = true;
    const transaction = connection();
    await transaction.becomeWriter();
    await change(transaction, 1);
    await transaction.doom();
    await refused(attempt(transaction), Errno.EIO);
    await refused(transaction.sync(), Errno.EIO);
    await refused(transaction.write(0, await nextPageOne(transaction)), Errno.EIO);
    await refused(transaction.becomeWriter(), Errno.EAGAIN);
    await transaction.end(true);
    assert.equal((await file.head()).version, before);
    await transaction.becomeWriter();
    await transaction.end(true);
  }
});

test('after the commit an error discards nothing, and what is written back is a version', async () => {
  await seed();
  const transaction = connection();
  await transaction.becomeWriter();
  const [one, two] = [await transaction.pieces(0, PAGE), await transaction.pieces(PAGE, PAGE)].map((p) =>
    Buffer.concat(p),
  );
  await change(transaction, 1);
  await transaction.sync();
  const committed = (await file.head()).version;
  await transaction.doom();
  await transaction.write(PAGE, two!);
  await transaction.write(0, one!);
  await transaction.sync();
  assert.notEqual((await file.head()).version, committed);
  assert.deepEqual(Buffer.concat(await transaction.pieces(PAGE, PAGE)), two);
});

test('a commit that shrank the file can be taken back: its old end is still there until SQLite cuts it', async () => {
  const grown = database('CREATE TABLE t(a); CREATE TABLE u(a); CREATE TABLE v(a)');
  const first = connection();
  await first.becomeWriter();
  await first.write(0, grown);
  await first.sync();
  await first.end(true);
  for (const takenBack of [true, false]) {
    const transaction = connection();
    await transaction.becomeWriter();
    const before = Buffer.concat(await transaction.pieces(0, grown.length));
    const page = await nextPageOne(transaction);
    page.writeUInt32BE(2, 28);
    await transaction.write(0, page);
    await transaction.sync();
    assert.equal((await file.head()).sizeBytes, 2 * PAGE);
    assert.equal(transaction.sizeBytes, grown.length);
    assert.deepEqual(Buffer.concat(await transaction.pieces(2 * PAGE, PAGE)), before.subarray(2 * PAGE, 3 * PAGE));
    if (takenBack) {
      await transaction.write(0, before.subarray(0, PAGE));
      await transaction.sync();
    } else {
      await transaction.truncate(2 * PAGE);
    }
    await transaction.downgrade();
    await transaction.end(true);
    const reader = connection();
    await reader.begin();
    const after = Buffer.concat(await reader.pieces(0, grown.length));
    assert.equal(after.length, takenBack ? grown.length : 2 * PAGE);
    assert.deepEqual(after.subarray(PAGE), before.subarray(PAGE, after.length));
  }
});

test('a member of a super-journal waits for it', async () => {
  await seed();
  const before = (await file.head()).version;
  const transaction = connection();
  await transaction.becomeWriter();
  await change(transaction, 1);
  journal.inSuper = true;
  await transaction.sync();
  assert.equal((await file.head()).version, before);
  assert.ok(transaction.prepared);
  await transaction.commit();
  assert.notEqual((await file.head()).version, before);
});

test('a kernel that goes on showing discarded pages: nothing is acknowledged until the file is opened again', async () => {
  const cache = new KernelCache(file, () => Promise.reject(new Error('no')));
  cache.opened(true);
  const broken = connection(cache);
  await broken.begin();
  await broken.becomeWriter();
  await broken.write(0, Buffer.alloc(PAGE, 1));
  await broken.doom();
  assert.equal(broken.phase, 'dead');
  await assert.rejects(broken.sync(), RequestError);
  await broken.end(true);
  await assert.rejects(broken.begin(), RequestError);
  assert.equal(cache.opened(true), 'fresh');
  await broken.begin();
  assert.equal(broken.phase, 'reading');
});
