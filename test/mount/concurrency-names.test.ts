// One namespace under two names: they are one database, with one write lock.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type ClientError, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

let mount: TestMount;
const client = new Client();

before(async () => {
  mount = await TestMount.start({ namespaces: 'one=test,two=test' });
  await sqlite3(mount.path('one'), 'CREATE TABLE t(a)');
  await client.open(mount.path('one'), 1);
  await client.open(mount.path('two'), 2, { timeout: 0 });
});

after(async () => {
  await client.kill();
  await mount.remove();
});

test('a writer under one name makes a writer under the other busy, not fail', async () => {
  await client.exec('BEGIN IMMEDIATE', 1);
  await client.exec('INSERT INTO t VALUES(1)', 1);
  await assert.rejects(client.exec('INSERT INTO t VALUES(2)', 2), (error: ClientError) => error.code === 'SQLITE_BUSY');
  assert.deepEqual(await client.exec('SELECT count(*) FROM t', 2), [[0]]);
  await client.exec('COMMIT', 1);
  await client.exec('INSERT INTO t VALUES(2)', 2);
  assert.deepEqual(await client.exec('SELECT sum(a) FROM t', 1), [[3]]);
});
