// What stock programs do besides SQL in one file: .backup and .restore, ATTACH of a file outside the mount, other
// locking schemes.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withService } from '../../src/cli/store-access.js';
import { Client, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const FILL = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
  INSERT INTO t SELECT i, hex(zeroblob(200)) FROM n`;

let mount: TestMount;
let local: string;

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE kept(x)');
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

/** How many versions there are. */
async function versions(): Promise<number> {
  return (await withService(mount.storeUrl, (service) => service.log('test', { limit: 1000 }))).length;
}

async function madeOneVersion(work: () => Promise<unknown>): Promise<void> {
  const before = await versions();
  await work();
  assert.equal(await versions(), before + 1);
}

async function dump(path: string): Promise<string> {
  return sqlite3(path, '.dump');
}

for (const pageBytes of [1024, 4096, 32768]) {
  test(`.restore and .backup of pages of ${pageBytes} are one version each`, async () => {
    const source = join(local, `source${pageBytes}.db`);
    await sqlite3(source, `PRAGMA page_size=${pageBytes}; CREATE TABLE t(id INTEGER PRIMARY KEY, x); ${FILL}`);
    await madeOneVersion(() => sqlite3(mount.path(), `.restore '${source}'`));
    assert.equal(await dump(mount.path()), await dump(source));
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');

    await sqlite3(source, `DELETE FROM t WHERE id % 2; INSERT INTO t VALUES(1, ${pageBytes})`);
    await madeOneVersion(() => sqlite3(source, `.backup '${mount.path()}'`));
    assert.equal(await dump(mount.path()), await dump(source));
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');

    const back = join(local, `back${pageBytes}.db`);
    const before = await versions();
    await sqlite3(mount.path(), `.backup '${back}'`);
    assert.equal(await dump(back), await dump(source));
    assert.equal(await versions(), before, 'reading makes no version');
  });
}

test('a transaction over a mounted main database and a local one is refused, and neither is harmed', async () => {
  const other = join(local, 'other.db');
  await sqlite3(other, 'CREATE TABLE o(x); INSERT INTO o VALUES(1)');
  await sqlite3(mount.path(), 'CREATE TABLE IF NOT EXISTS m(x)');
  const client = new Client();
  try {
    await client.open(mount.path());
    await client.exec('ATTACH ? AS o', 0, [other]);
    await client.exec('BEGIN');
    await client.exec('INSERT INTO m VALUES(1)');
    await client.exec('INSERT INTO o.o VALUES(2)');
    await assert.rejects(client.exec('COMMIT'), { code: 'SQLITE_IOERR_WRITE' });
    assert.equal(await client.inTransaction(), false);
    assert.deepEqual(await client.exec('SELECT count(*) FROM m'), [[0]]);
    assert.deepEqual(await client.exec('SELECT x FROM o.o'), [[1]]);
    // One at a time is no problem, on the same connection.
    await client.exec('INSERT INTO m VALUES(3)');
    await client.exec('INSERT INTO o.o VALUES(4)');
  } finally {
    await client.kill();
  }
  assert.equal(await sqlite3(other, 'PRAGMA integrity_check; SELECT group_concat(x) FROM o'), 'ok\n1,4');
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check; SELECT group_concat(x) FROM m'), 'ok\n3');
});

test('a transaction over a local main database and a mounted one commits both', async () => {
  const main = join(local, 'main.db');
  await sqlite3(main, 'CREATE TABLE o(x)');
  const before = await sqlite3(mount.path(), 'SELECT count(*) FROM m');
  await madeOneVersion(() =>
    sqlite3(main, `ATTACH '${mount.path()}' AS m; BEGIN; INSERT INTO o VALUES(1); INSERT INTO m.m VALUES(5); COMMIT`),
  );
  assert.equal(await sqlite3(main, 'SELECT count(*) FROM o'), '1');
  assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM m'), String(Number(before) + 1));
});

for (const option of ['nolock=1', 'vfs=unix-none']) {
  test(`${option}: without locks a transaction is still one version`, async () => {
    const client = new Client();
    try {
      await client.open(`file:${mount.path()}?${option}`, 0, { uri: true });
      await client.exec('CREATE TABLE IF NOT EXISTS n(x)');
      const before = Number(await sqlite3(mount.path(), 'SELECT count(*) FROM n'));
      await madeOneVersion(async () => {
        await client.exec('BEGIN');
        for (let i = 0; i < 50; i += 1) await client.exec('INSERT INTO n VALUES(noise(1, 500))');
        await client.exec('COMMIT');
      });
      assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM n; PRAGMA integrity_check'), `${before + 50}\nok`);
      await client.exec('BEGIN');
      await client.exec('DELETE FROM n');
      await client.exec('ROLLBACK');
      // What others commit is seen by the next transaction.
      await sqlite3(mount.path(), 'INSERT INTO n VALUES(2)');
      assert.deepEqual(await client.exec('SELECT count(*) FROM n'), [[before + 51]]);
    } finally {
      await client.kill();
    }
  });
}

test('vfs=unix-dotfile locks other writers out as all do, and leaves no lock behind when it is killed', async () => {
  const [dotfile, other] = [new Client(), new Client()];
  try {
    await sqlite3(mount.path(), 'CREATE TABLE dotted(x); INSERT INTO dotted VALUES(0)');
    await dotfile.open(`file:${mount.path()}?vfs=unix-dotfile`, 0, { uri: true, timeout: 0 });
    await other.open(mount.path(), 0, { timeout: 0 });
    await dotfile.script('BEGIN; UPDATE dotted SET x = 1');
    assert.deepEqual(await other.exec('SELECT x FROM dotted'), [[0]]);
    await assert.rejects(other.exec('UPDATE dotted SET x = 2'), /SQLITE_BUSY/);
    await dotfile.exec('COMMIT');
    await other.script('BEGIN IMMEDIATE; UPDATE dotted SET x = x + 1');
    await assert.rejects(dotfile.exec('SELECT x FROM dotted'), /SQLITE_BUSY/);
    await other.exec('COMMIT');
    assert.deepEqual(await dotfile.exec('SELECT x FROM dotted'), [[2]]);
    await dotfile.script('BEGIN; UPDATE dotted SET x = 9');
    await dotfile.kill();
    const again = `file:${mount.path()}?vfs=unix-dotfile`;
    assert.equal(
      await sqlite3(again, 'UPDATE dotted SET x = x + 1; SELECT x FROM dotted; PRAGMA integrity_check'),
      '3\nok',
    );
  } finally {
    await Promise.all([dotfile.kill(), other.kill()]);
  }
  const { stdout } = await run('sh', ['-c', 'ls -A "$1"', 'sh', mount.directory]);
  assert.equal(stdout, 'mydb\n');
});
