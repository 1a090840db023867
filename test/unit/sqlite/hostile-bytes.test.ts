// Bytes that nobody vouches for: headers, journals and super-journals cut, filled and flipped at random. Whatever they
// hold, reading them gives an answer within its bounds and never throws.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN } from '../../../src/limits.js';
import { HEADER_BYTES, isWhole, readHeader, sameContent, stampHeader } from '../../../src/sqlite/header.js';
import { isFinalisingWrite, isHot, superJournalOf } from '../../../src/sqlite/rollback-journal.js';
import { memberPaths } from '../../../src/sqlite/super-journal.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

const ROUNDS = process.env.MVFUSE_TEST_LONG === '1' ? 2_000_000 : 40_000;

function databaseHeader(): Buffer {
  const database = new Database(':memory:');
  database.exec('CREATE TABLE t(a)');
  const bytes = Buffer.from(database.serialize());
  database.close();
  return bytes.subarray(0, 512);
}

/** A rollback journal's end that names a super-journal. */
function journalTail(): Buffer {
  const name = Buffer.from('/mnt/dbs/.c/0123456789ab/mydb-mj0A1B2C945');
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(name.length, 0);
  tail.writeUInt32BE(
    name.reduce((sum, byte) => sum + byte, 0),
    4,
  );
  return Buffer.concat([Buffer.alloc(64, 3), name, tail, Buffer.from('d9d505f920a163d7', 'hex')]);
}

const seed = chooseSeed('hostile bytes');
const random = seededRandom(seed);

/** A few bytes flipped, a piece overwritten, or the end cut off. */
function spoil(bytes: Buffer): Buffer {
  const spoilt = Buffer.from(
    bytes.subarray(0, randomInteger(random, 0, 3) === 0 ? randomInteger(random, 0, bytes.length) : bytes.length),
  );
  for (let changes = randomInteger(random, 0, 4); changes > 0 && spoilt.length > 0; changes -= 1) {
    const at = randomInteger(random, 0, spoilt.length - 1);
    const length = randomInteger(random, 1, 4);
    const value = randomInteger(random, 0, 2) === 0 ? 0xff : randomInteger(random, 0, 255);
    spoilt.fill(value, at, Math.min(spoilt.length, at + length));
  }
  return spoilt;
}

test('headers', () => {
  const whole = databaseHeader();
  let headers = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = spoil(whole);
    const header = readHeader(bytes);
    if (header === undefined) continue;
    headers += 1;
    const { pageBytes, pageCount } = header;
    assert.ok(bytes.length >= HEADER_BYTES);
    assert.ok(pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX && Number.isInteger(Math.log2(pageBytes)));
    assert.ok(pageCount === undefined || (pageCount > 0 && pageCount <= 0xffff_ffff));
    isWhole(header, randomInteger(random, 0, 2 ** 31));
    const stamped = Buffer.from(bytes);
    stampHeader(stamped, randomInteger(random, 0, 2 ** 31));
    assert.ok(sameContent(stamped, bytes), `seed ${seed}, round ${round}`);
    assert.equal(readHeader(stamped)!.wantsWal, false);
  }
  assert.ok(headers > 0 && headers < ROUNDS, 'both kinds must come up');
});

test('journals', async () => {
  const whole = journalTail();
  let named = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = spoil(whole);
    const name = await superJournalOf(bytes.length, async (offset, length) => {
      assert.ok(offset >= 0 && length > 0 && offset + length <= bytes.length, `seed ${seed}: read outside the journal`);
      return bytes.subarray(offset, offset + length);
    });
    if (name !== undefined) named += 1;
    assert.equal(typeof isHot(bytes), 'boolean');
    assert.equal(typeof isFinalisingWrite(0, bytes), 'boolean');
  }
  assert.ok(named > 0 && named < ROUNDS, 'both kinds must come up');
});

test('super-journals', () => {
  const whole = Buffer.from('/mnt/dbs/.c/0123456789ab/a-journal\0/mnt/dbs/.c/0123456789ac/b-journal\0');
  for (let round = 0; round < ROUNDS; round += 1) {
    const bytes = spoil(whole);
    for (const path of memberPaths(bytes)) assert.ok(path.length > 0 && !path.includes('\0'));
  }
});
