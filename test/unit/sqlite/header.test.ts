// The database header, against files that SQLite itself wrote.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { isWhole, readHeader, sameContent, stampHeader } from '../../../src/sqlite/header.js';

function written(sql: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'mvfuse-header-'));
  try {
    const database = new Database(join(directory, 'x.db'));
    database.exec(sql);
    database.close();
    return readFileSync(join(directory, 'x.db'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

for (const pageBytes of [512, 1024, 4096, 65536]) {
  test(`page size ${pageBytes}`, () => {
    const file = written(`PRAGMA page_size=${pageBytes}; CREATE TABLE t(a); CREATE TABLE u(a);`);
    const header = readHeader(file)!;
    assert.equal(header.pageBytes, pageBytes);
    assert.equal(header.changeCounter, 2);
    assert.equal(header.pageCount, file.length / pageBytes);
    assert.ok(header.plain && !header.wantsWal);
    assert.ok(isWhole(header, file.length));
    assert.ok(!isWhole(header, file.length - pageBytes) && !isWhole(header, file.length + 1) && !isWhole(header, 0));
  });
}

test('a WAL database is told apart, and stamped loses that wish and nothing else', () => {
  const file = written('PRAGMA journal_mode=WAL; CREATE TABLE t(a);');
  assert.ok(readHeader(file)!.wantsWal);
  const page = Buffer.from(file.subarray(0, 4096));
  stampHeader(page, 77);
  const header = readHeader(page)!;
  assert.ok(!header.wantsWal);
  assert.equal(header.changeCounter, 77);
  assert.equal(header.pageCount, readHeader(file)!.pageCount);
  assert.ok(sameContent(page, file.subarray(0, 4096)));
});

test('a page count that is not valid for its change counter stays so', () => {
  const page = written('CREATE TABLE t(a);').subarray(0, 4096);
  page.writeUInt32BE(1, 92);
  page.writeUInt32BE(2, 24);
  assert.equal(readHeader(page)!.pageCount, undefined);
  stampHeader(page, 1);
  assert.equal(readHeader(page)!.pageCount, undefined);
});

test('content is compared, counters and library number are not', () => {
  const page = written('CREATE TABLE t(a);').subarray(0, 4096);
  for (let offset = 0; offset < page.length; offset += 1) {
    const other = Buffer.from(page);
    other[offset]! ^= 1;
    const ignored = (offset >= 18 && offset < 20) || (offset >= 24 && offset < 28) || (offset >= 92 && offset < 100);
    assert.equal(sameContent(page, other), ignored, `offset ${offset}`);
  }
});

test('bytes that are no database have no header', () => {
  assert.equal(readHeader(Buffer.alloc(4096)), undefined);
  assert.equal(readHeader(Buffer.from('SQLite format 3\0')), undefined);
  const odd = Buffer.from(written('CREATE TABLE t(a);'));
  odd.writeUInt16BE(1000, 16);
  assert.equal(readHeader(odd), undefined);
});

test('reserved bytes make a header not plain', () => {
  const page = written('CREATE TABLE t(a);');
  page.writeUInt8(8, 20);
  assert.equal(readHeader(page)!.plain, false);
});
