// Super-journals. The input: the content of one; its first two names also stand for a file and a database.

import assert from 'node:assert/strict';
import { isSuperJournalName, memberPaths } from '../../../src/sqlite/super-journal.js';

/** pager.c's "%s-mj%06X9%02X", taken apart from the end. */
function naiveIsSuperJournalName(name: string, database: string): boolean {
  if (name.length !== database.length + 12 || name.slice(0, database.length) !== database) return false;
  const digits = [...name.slice(database.length + 3)];
  return (
    name.slice(database.length, database.length + 3) === '-mj' &&
    digits.every((digit) => '0123456789ABCDEF'.includes(digit)) &&
    digits[6] === '9'
  );
}

export function check(content: Buffer): void {
  const paths = memberPaths(content);
  const names: string[] = [];
  const name: number[] = [];
  for (const byte of content) {
    if (byte !== 0) name.push(byte);
    else if (name.length > 0) names.push(Buffer.from(name.splice(0)).toString('utf8'));
  }
  assert.deepEqual(paths, names);
  assert.deepEqual(memberPaths(Buffer.from(paths.map((path) => `${path}\0`).join(''))), paths);

  // What is written so far names the first members, and no others.
  const written = memberPaths(content.subarray(0, content.length >> 1));
  assert.deepEqual(written, paths.slice(0, written.length));

  const [file = '', database = ''] = content.toString('latin1').split('\0');
  assert.equal(isSuperJournalName(file, database), naiveIsSuperJournalName(file, database));
  // Mostly nearly right.
  const digits = [...content.subarray(0, 9)].map((byte) => '0123456789ABCDEF0123456789ABCDEF99999g'[byte % 38]);
  const nearly = `${database}-mj${digits.join('')}`;
  assert.equal(isSuperJournalName(nearly, database), naiveIsSuperJournalName(nearly, database));
  const number = content.length.toString(16).toUpperCase().padStart(6, '0');
  assert.ok(isSuperJournalName(`${database}-mj${number}9A5`, database));
}
