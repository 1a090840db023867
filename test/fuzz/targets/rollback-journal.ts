// Rollback journals. The input: the bytes of one.

import assert from 'node:assert/strict';
import {
  FINALISED_HEADER_BYTES,
  isFinalisingWrite,
  isHot,
  superJournalOf,
} from '../../../src/sqlite/rollback-journal.js';

const READ_BYTES_MAX = 4096 + 16;

/** As SQLite reads it (pager.c, readSuperJournal), with `char` signed or not. */
function naiveSuperJournal(journal: Buffer): string | undefined {
  const end = journal.length - 16;
  if (end < 0 || journal.toString('hex', end + 8) !== 'd9d505f920a163d7') return undefined;
  const length = journal.readUInt32BE(end);
  if (length === 0 || length > end || length > 4096) return undefined;
  const name = journal.subarray(end - length, end);
  const sumOf = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);
  const sums = [sumOf(name), sumOf(new Int8Array(name))];
  if (!sums.some((sum) => (sum - journal.readUInt32BE(end + 4)) % 2 ** 32 === 0)) return undefined;
  // There it is a C string, and an empty one is none.
  const [text] = name.toString('utf8').split('\0');
  return text === '' ? undefined : text;
}

export async function check(journal: Buffer): Promise<void> {
  let read = 0;
  const name = await superJournalOf(journal.length, async (offset, length) => {
    assert.ok(Number.isInteger(offset) && Number.isInteger(length));
    assert.ok(offset >= 0 && length > 0 && offset + length <= journal.length, 'a read outside of the journal');
    read += length;
    return journal.subarray(offset, offset + length);
  });
  assert.ok(read <= READ_BYTES_MAX, `${read} bytes read`);
  assert.equal(name, naiveSuperJournal(journal));

  // A journal may be cut while it is read; then the reads are short.
  await superJournalOf(journal.length, async (offset, length) => journal.subarray(offset, offset + (length >> 1)));

  // SQLite reads one byte, and so does the daemon.
  const hot = journal.length > 0 && journal[0] !== 0;
  assert.equal(isHot(journal), hot);
  assert.equal(isHot(journal.subarray(0, 1)), hot);

  for (const length of [journal.length, FINALISED_HEADER_BYTES - 1, FINALISED_HEADER_BYTES]) {
    const start = journal.subarray(0, length);
    const zeroed = start.length >= 28 && start.subarray(0, 28).equals(Buffer.alloc(28));
    assert.equal(isFinalisingWrite(0, start), zeroed);
  }
  assert.equal(isFinalisingWrite(journal.length, journal), false);
  if (isFinalisingWrite(0, journal.subarray(0, FINALISED_HEADER_BYTES))) assert.ok(!isHot(journal));
}
