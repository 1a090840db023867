// A namespace locked for maintenance: its owner writes, everybody else reads what it was, until it is committed or undone.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;

const mvfuse = (...args: string[]): Promise<Outcome> =>
  run(process.execPath, [MAIN, ...args, '--store', mount.storeUrl]);

async function done(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await mvfuse(...args);
  assert.equal(status, 0, `mvfuse ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const count = (name: string): Promise<string> => sqlite3(mount.path(name), 'SELECT count(*) FROM t');

beforeEach(async () => {
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
});
afterEach(() => mount.remove());

test('others read the frozen version and get SQLITE_BUSY; the commit shows them everything at once', async () => {
  await done('lock', 'test', '--owner', 'me');
  await sqlite3(mount.path('mydb@lock:me'), 'ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES(2, 2)');
  await sqlite3(mount.path('mydb@lock:me'), 'INSERT INTO t VALUES(3, 3)');
  assert.equal(await count('mydb'), '1');
  assert.equal(await count('mydb@latest'), '1');
  assert.equal(await count('mydb@lock:me'), '3');
  const insert = await run('sqlite3', [mount.path(), '.timeout 200', 'INSERT INTO t VALUES(9)']);
  assert.match(insert.stderr, /database is locked/);
  const copied = await run('cp', [mount.path('mydb@latest'), mount.path()]);
  assert.notEqual(copied.status, 0);
  assert.match((await mvfuse('rollback', 'test@-0s')).stderr, /locked for maintenance by "me"/);
  const other = await mvfuse('lock', 'test', '--owner', 'you');
  assert.equal(other.status, 5);
  assert.match(other.stderr, /locked for maintenance by "me"/);
  assert.equal((await mvfuse('unlock', 'test', '--owner', 'you', '--commit')).status, 5);

  await done('unlock', 'test', '--owner', 'me', '--commit');
  assert.equal(await count('mydb'), '3');
  await sqlite3(mount.path(), 'INSERT INTO t VALUES(4, 4)');
  assert.notEqual((await run('stat', [mount.path('mydb@lock:me')])).status, 0);
});

test('a rollback undoes what the owner did, and keeps it in history', async () => {
  await done('lock', 'test', '--owner', 'me');
  await sqlite3(mount.path('mydb@lock:me'), 'DROP TABLE t; CREATE TABLE u AS SELECT 7 AS a');
  const [{ version }] = JSON.parse(await done('log', 'test', '--limit', '1', '--json')) as [{ version: string }];
  await done('unlock', 'test', '--owner', 'me', '--rollback');
  assert.equal(await count('mydb'), '1');
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
  assert.equal(await sqlite3(mount.path(`mydb@${version}`), 'SELECT a FROM u'), '7');
  await sqlite3(mount.path(), 'INSERT INTO t VALUES(2)');
});

test('an open connection goes from the newest version to the frozen one and back, at its transactions', async () => {
  await sqlite3(mount.path(), 'INSERT INTO t VALUES(2)');
  const log = JSON.parse(await done('log', 'test', '--json')) as Array<{ version: string }>;
  const client = new Client();
  try {
    await client.open(mount.path());
    const rows = (): Promise<unknown> => client.exec('SELECT count(*) FROM t');
    assert.deepEqual(await rows(), [[2]]);
    await done('lock', 'test', '--owner', 'me', '--at', log[1]!.version);
    assert.deepEqual(await rows(), [[1]]);
    await sqlite3(mount.path('mydb@lock:me'), 'INSERT INTO t VALUES(3)');
    assert.deepEqual(await rows(), [[1]]);
    await done('unlock', 'test', '--owner', 'me', '--commit');
    assert.deepEqual(await rows(), [[3]]);
  } finally {
    await client.end();
  }
});

test("a lock outlives the daemon, and names of the mount may be its owner's", async () => {
  await done('lock', 'test', '--owner', 'me');
  await sqlite3(mount.path('mydb@lock:me'), 'INSERT INTO t VALUES(2)');
  await mount.kill();
  mount = await TestMount.start({ base: mount.base, namespaces: 'mydb=test,mine=test@lock:me' });
  assert.equal(await count('mydb'), '1');
  assert.equal(await count('mine'), '2');
  await sqlite3(mount.path('mine'), 'INSERT INTO t VALUES(3)');
  assert.match((await run('sqlite3', [mount.path(), 'INSERT INTO t VALUES(9)'])).stderr, /database is locked/);
  await done('unlock', 'test', '--owner', 'me', '--rollback');
  assert.equal(await count('mydb'), '1');
  assert.equal(await count('mine'), '1');
});
