// A store on a disk that fills up: SQLite says SQLITE_FULL where it writes, nothing that was committed is lost, and
// once there is room again everything goes on.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, type ClientError, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

/** The floor that writes leave free, and room for some commits of the test's. */
const DISK_MEGABYTES = 128;

let base: string;
let mount: TestMount;
const client = new Client();
const isRoot = process.getuid?.() === 0;
const options = { skip: isRoot ? false : 'only root can mount a small filesystem for the store' };

before(async () => {
  if (!isRoot) return;
  base = mkdtempSync(join(tmpdir(), 'mvfuse-full-'));
  mkdirSync(join(base, 'store'));
  const mounted = await run('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${DISK_MEGABYTES}m,mode=700`,
    'tmpfs',
    join(base, 'store'),
  ]);
  assert.equal(mounted.status, 0, mounted.stderr);
  mount = await TestMount.start({ base, namespaces: 'mydb=test,other=other' });
  await client.open(mount.path());
  await client.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b)');
});

after(async () => {
  await client.kill();
  if (!isRoot) return;
  await mount.remove({ keepFiles: true });
  await run('umount', [join(base, 'store')]);
  rmSync(base, { recursive: true, force: true });
});

const FILL = `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20)
  INSERT INTO t(b) SELECT randomblob(100000) FROM n`;

test('SQLITE_FULL, not an I/O error; what was committed is there; room again, and it goes on', options, async () => {
  let committed = 0;
  const fill = async (): Promise<void> => {
    for (; committed < 100; committed += 1) await client.exec(FILL);
  };
  await assert.rejects(fill(), (error: ClientError) => error.code === 'SQLITE_FULL');
  assert.ok(committed >= 2, `${committed} transactions went in before the disk was full`);
  const rows = committed * 20;
  assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[rows]]);
  assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM t; PRAGMA integrity_check'), `${rows}\nok`);

  writeFileSync(join(base, 'big'), Buffer.alloc(90_000_000));
  const copied = await run('cp', [join(base, 'big'), mount.path('other')]);
  assert.match(copied.stderr, /No space left on device/);

  assert.equal((await run('mount', ['-o', 'remount,size=512m', join(base, 'store')])).status, 0);
  await client.exec(FILL);
  assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[rows + 20]]);
});

test('one large transaction that spills is refused as a whole', options, async () => {
  assert.equal((await run('mount', ['-o', `remount,size=${DISK_MEGABYTES + 40}m`, join(base, 'store')])).status, 0);
  const before = await client.exec('SELECT count(*), max(a) FROM t');
  await client.exec('PRAGMA cache_size=100');
  await client.exec('BEGIN');
  const work = async (): Promise<void> => {
    for (let step = 0; step < 200; step += 1) await client.exec(FILL);
    await client.exec('COMMIT');
  };
  await assert.rejects(work(), (error: ClientError) => error.code === 'SQLITE_FULL');
  if (await client.inTransaction()) await client.exec('ROLLBACK');
  assert.deepEqual(await client.exec('SELECT count(*), max(a) FROM t'), before);
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
});
