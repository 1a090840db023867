// The database header. The input: the bytes of a page, then 4 bytes that say a change counter and 4 that say a file size.

import assert from 'node:assert/strict';
import {
  CHANGE_COUNTER_AT,
  HEADER_BYTES,
  type Header,
  isWhole,
  LIBRARY_NUMBER_AT,
  readHeader,
  sameContent,
  stampHeader,
  VALID_FOR_AT,
} from '../../../src/sqlite/header.js';

const PARAMETER_BYTES = 8;

/** As SQLite computes it (btree.c, lockBtree), for the pages that mvfuse takes for a database. */
function naiveHeader(page: Buffer): Header | undefined {
  if (page.length < HEADER_BYTES || page.toString('latin1', 0, 16) !== 'SQLite format 3\0') return undefined;
  const byte = (at: number): number => page[at]!;
  const word = (at: number): number => ((byte(at) * 256 + byte(at + 1)) * 256 + byte(at + 2)) * 256 + byte(at + 3);
  const pageBytes = byte(16) * 2 ** 8 + byte(17) * 2 ** 16;
  if (![512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].includes(pageBytes)) return undefined;
  const counter = word(24);
  return {
    pageBytes,
    reservedBytes: byte(20),
    changeCounter: counter,
    pageCount: word(28) !== 0 && counter === word(92) ? word(28) : undefined,
    plain: byte(20) === 0,
    wantsWal: byte(18) > 1 || byte(19) > 1,
  };
}

/** The offsets of the fields that a stamp may change. */
function isStamped(at: number): boolean {
  return (
    at === 18 ||
    at === 19 ||
    (at >= CHANGE_COUNTER_AT && at < CHANGE_COUNTER_AT + 4) ||
    (at >= VALID_FOR_AT && at < VALID_FOR_AT + 4)
  );
}

function checkSize(header: Header, sizeBytes: number): void {
  const pages = sizeBytes / header.pageBytes;
  const expected = Number.isInteger(pages) && pages > 0 && pages === (header.pageCount ?? pages);
  assert.equal(isWhole(header, sizeBytes), expected, `isWhole at ${sizeBytes}`);
}

function checkStamp(page: Buffer, header: Header, counter: number): void {
  const stamped = Buffer.from(page);
  stampHeader(stamped, counter);
  assert.deepEqual(readHeader(stamped), { ...header, changeCounter: counter, wantsWal: false });
  assert.ok(sameContent(stamped, page) && sameContent(page, stamped));
  for (let at = 0; at < page.length; at += 1) {
    if (stamped[at] !== page[at]) assert.ok(isStamped(at), `byte ${at} is none of a stamp's`);
  }
  const again = Buffer.from(stamped);
  stampHeader(again, counter);
  assert.deepEqual(again, stamped);
}

/** Whether one other byte makes other content, for every byte of the header and the page's last. */
function checkContent(page: Buffer): void {
  const other = Buffer.from(page);
  for (let at = 0; at < page.length; at = at === HEADER_BYTES ? Math.max(at + 1, page.length - 1) : at + 1) {
    other[at]! ^= 0x10;
    const ignored = isStamped(at) || (at >= LIBRARY_NUMBER_AT && at < LIBRARY_NUMBER_AT + 4);
    assert.equal(sameContent(page, other), ignored, `offset ${at}`);
    other[at]! ^= 0x10;
  }
  assert.ok(!sameContent(page, page.subarray(0, -1)));
}

export function check(input: Buffer): void {
  const page = input.subarray(0, Math.max(0, input.length - PARAMETER_BYTES));
  const parameters = Buffer.concat([Buffer.alloc(PARAMETER_BYTES), input]).subarray(-PARAMETER_BYTES);
  const counter = parameters.readUInt32BE(0);
  const sizeBytes = parameters.readUInt32BE(4);
  const before = Buffer.from(page);

  const header = readHeader(page);
  assert.deepEqual(header, naiveHeader(page));
  assert.deepEqual(page, before, 'reading changed the page');
  if (header === undefined) return;
  const stated = (header.pageCount ?? 1) * header.pageBytes;
  for (const size of [0, sizeBytes, stated, stated + 1, stated - 1, stated + header.pageBytes]) checkSize(header, size);
  checkStamp(page, header, counter);
  checkContent(page);
}
