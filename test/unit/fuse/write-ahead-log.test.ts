// Which pages of a write-ahead log are committed when, in the orders in which SQLite writes and takes back frames, and that a
// log which SQLite would not write is refused.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { DirtyBudget } from '../../../src/fuse/dirty-budget.js';
import { EMPTY_BASE, Overlay } from '../../../src/fuse/overlay.js';
import type { Transaction } from '../../../src/fuse/transaction.js';
import { WriteAheadLog } from '../../../src/fuse/write-ahead-log.js';
import { FRAME_HEADER_BYTES, frameAt, WAL_HEADER_BYTES } from '../../../src/sqlite/wal.js';

const PAGE = 512;
const EIO = { errno: 5 };

/** `page:content` of each page, and the number of pages, by commit. */
let commits: string[];
let refuses: boolean;
let abandoned: boolean;
let log: WriteAheadLog;
let content: Overlay;

beforeEach(async () => {
  [commits, refuses, abandoned] = [[], false, false];
  const limits = { memoryBytesMax: 1 << 20, bytesMax: 1 << 20, directory: '/nonexistent' };
  content = new Overlay(EMPTY_BASE, new DirtyBudget(limits));
  const transaction = {
    head: { pageBytes: PAGE },
    commitLogged: async (pages: AsyncIterable<{ offset: number; data: Buffer }>, sizeBytes: number) => {
      const parts: string[] = [];
      for await (const { offset, data } of pages) parts.push(`${offset / PAGE + 1}:${data[0]}${data[PAGE - 1]}`);
      if (refuses) throw new Error('refused');
      commits.push([...parts, sizeBytes / PAGE].join(' '));
    },
    abandon: () => {
      abandoned = true;
    },
  };
  log = new WriteAheadLog(content, transaction as unknown as Transaction);
  await begin();
});

async function begin(pageBytes = PAGE): Promise<void> {
  const header = Buffer.alloc(WAL_HEADER_BYTES);
  header.writeUInt32BE(0x377f0682);
  header.writeUInt32BE(pageBytes, 8);
  await log.write(0, header);
}

/** As SQLite does, in two writes. */
async function frame(number: number, page: number, byte: number, pageCount = 0): Promise<void> {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(page);
  header.writeUInt32BE(pageCount, 4);
  await log.write(frameAt(number, PAGE), header);
  await fill(number, byte);
}

async function fill(number: number, byte: number): Promise<void> {
  await log.write(frameAt(number, PAGE) + FRAME_HEADER_BYTES, Buffer.alloc(PAGE, byte));
}

test('a transaction is committed by its last frame, with the last of each page', async () => {
  await frame(1, 1, 1);
  await frame(2, 3, 2);
  await frame(3, 1, 3);
  assert.deepEqual(commits, []);
  await frame(4, 2, 4, 3);
  assert.deepEqual(commits, ['1:33 3:22 2:44 3']);
  await frame(5, 2, 5, 2);
  assert.deepEqual(commits.slice(1), ['2:55 2']);
});

test('frames that are taken back, and pages written anew in their frame', async () => {
  await frame(1, 1, 1);
  await frame(2, 2, 2);
  await frame(3, 3, 3);
  // Back to a savepoint behind the first.
  await frame(2, 4, 4);
  await fill(1, 5);
  assert.deepEqual(commits, []);
  await frame(3, 2, 6, 4);
  assert.deepEqual(commits, ['1:55 4:44 2:66 4']);
  // Rolled back, then another one.
  await frame(4, 1, 7);
  await frame(5, 2, 7);
  await frame(4, 3, 8, 4);
  assert.deepEqual(commits.slice(1), ['3:88 4']);
});

test('checksums and copies of the last frame commit nothing again', async () => {
  await frame(1, 1, 1);
  await frame(2, 2, 2, 2);
  for (const number of [1, 2]) await log.write(frameAt(number, PAGE) + 16, Buffer.alloc(8, number));
  assert.equal(commits.length, 1);
  // Up to the end of a sector: the same page once more.
  await frame(3, 2, 2, 2);
  assert.deepEqual(commits, ['1:11 2:22 2', '2:22 2']);
});

test('a log that begins anew', async () => {
  await frame(1, 1, 1, 1);
  await frame(2, 2, 2, 2);
  await begin();
  await frame(1, 2, 3, 2);
  assert.deepEqual(commits.slice(2), ['2:33 2']);
});

test('a commit that is refused can be written again', async () => {
  await frame(1, 1, 1);
  refuses = true;
  await assert.rejects(frame(2, 2, 2, 2), /refused/);
  refuses = false;
  await frame(1, 3, 3, 3);
  assert.deepEqual(commits, ['3:33 3']);
  assert.equal(abandoned, false);
});

test('a write that finds no room: behind the last transaction it is refused, within it the connection is given up', async () => {
  await frame(1, 1, 1, 1);
  content.write = async () => {
    throw new Error('no room');
  };
  await assert.rejects(frame(2, 2, 2), /no room/);
  assert.equal(abandoned, false);
  await assert.rejects(log.write(frameAt(1, PAGE) + 16, Buffer.alloc(8)), /no room/);
  assert.equal(abandoned, true);
});

test('frames that SQLite would not write are refused', async () => {
  await frame(1, 1, 1, 1);
  await assert.rejects(frame(3, 2, 2), EIO);
  await assert.rejects(frame(1e9, 2, 2, 2), EIO);
  await assert.rejects(frame(2, 0, 2, 2), EIO);
  await begin(1024);
  await assert.rejects(log.write(frameAt(1, 1024), Buffer.alloc(FRAME_HEADER_BYTES + 1024, 1)), EIO);
  assert.equal(commits.length, 1);
});
