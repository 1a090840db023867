// Rollback journals and super-journals: what is read out of them, and that nothing else is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFinalisingWrite, isHot, superJournalOf } from '../../../src/sqlite/rollback-journal.js';
import { isSuperJournalName, memberPaths } from '../../../src/sqlite/super-journal.js';

const MAGIC = Buffer.from('d9d505f920a163d7', 'hex');

function journal(name: string, options: { checksum?: number; length?: number } = {}): Buffer {
  const bytes = Buffer.from(name);
  const checksum = bytes.reduce((sum, byte) => (sum + (byte < 128 ? byte : byte - 256)) >>> 0, 0);
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(options.length ?? bytes.length, 0);
  tail.writeUInt32BE((options.checksum ?? checksum) >>> 0, 4);
  return Buffer.concat([Buffer.alloc(512, 7), Buffer.from([0, 4, 0, 1]), bytes, tail, MAGIC]);
}

function nameIn(content: Buffer): Promise<string | undefined> {
  return superJournalOf(content.length, async (offset, length) => content.subarray(offset, offset + length));
}

test('the super-journal that a journal names', async () => {
  assert.equal(await nameIn(journal('/mnt/.c/0123/db-mj00AB12945')), '/mnt/.c/0123/db-mj00AB12945');
  assert.equal(await nameIn(journal('/mnt/Überweg/db-mj00AB12945')), '/mnt/Überweg/db-mj00AB12945');
});

test('a name ends at its first NUL, as it does where SQLite reads it', async () => {
  assert.equal(await nameIn(journal('/mnt/.c/0123/db-mj00AB12945\0rest')), '/mnt/.c/0123/db-mj00AB12945');
  assert.equal(await nameIn(journal('\0/mnt/.c/0123/db-mj00AB12945')), undefined);
});

test('a journal that names none', async () => {
  assert.equal(await nameIn(Buffer.alloc(0)), undefined);
  assert.equal(await nameIn(Buffer.alloc(4096)), undefined);
  assert.equal(await nameIn(journal('x', { checksum: 1 })), undefined);
  assert.equal(await nameIn(journal('x', { length: 0 })), undefined);
  assert.equal(await nameIn(journal('x', { length: 100_000 })), undefined);
  assert.equal(await nameIn(journal('x').subarray(0, -1)), undefined);
});

test('finalising writes and hot journals', () => {
  assert.ok(isFinalisingWrite(0, Buffer.alloc(28)));
  assert.ok(isFinalisingWrite(0, Buffer.concat([Buffer.alloc(28), MAGIC])));
  assert.ok(!isFinalisingWrite(0, Buffer.alloc(12)));
  assert.ok(!isFinalisingWrite(512, Buffer.alloc(28)));
  assert.ok(!isFinalisingWrite(0, MAGIC));
  assert.ok(isHot(MAGIC) && !isHot(Buffer.alloc(28)) && !isHot(Buffer.alloc(0)));
});

test('the members of a super-journal', () => {
  assert.deepEqual(memberPaths(Buffer.from('/a/x-journal\0/b/y-journal\0')), ['/a/x-journal', '/b/y-journal']);
  assert.deepEqual(memberPaths(Buffer.from('/a/x-journal\0/b/y-jour')), ['/a/x-journal']);
  assert.deepEqual(memberPaths(Buffer.from('\0\0')), []);
});

test('names of super-journals', () => {
  assert.ok(isSuperJournalName('my.db-mj0A1B2C945', 'my.db'));
  for (const name of [
    'my.db-mj0A1B2C845',
    'my.db-mj0A1B2C9',
    'other-mj0A1B2C945',
    'my.db-mj0a1b2c945',
    'my.db-journal',
  ]) {
    assert.ok(!isSuperJournalName(name, 'my.db'), name);
  }
});
