// A page of an embedded store whose bytes go bad on the disk.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { pageKeyPrefix } from '../../src/store/keys.js';
import type { NamespaceId, PageNumber } from '../../src/store/types.js';

/** Changes a byte in the newest image of a page. Nobody may have the store open. */
export function damagePage(store: string, namespace: number, page: number): void {
  const database = new Database(join(store, 'data.sqlite'));
  const prefix = pageKeyPrefix(namespace as NamespaceId, page as PageNumber);
  const end = Buffer.concat([prefix, Buffer.alloc(16, 0xff)]);
  const content = database
    .prepare('SELECT content FROM pairs WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT 1')
    .pluck()
    .get(prefix, end);
  const value = database.prepare('SELECT value FROM content WHERE id = ?').pluck().get(content) as Buffer;
  value[1_000]! ^= 0x10;
  assert.equal(database.prepare('UPDATE content SET value = ? WHERE id = ?').run(value, content).changes, 1);
  database.close();
}
