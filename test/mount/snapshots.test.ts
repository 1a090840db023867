// Past versions as files: `mydb@<version>`, and versions mounted under a name of their own.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;
const versions: string[] = [];

async function newest(): Promise<string> {
  const args = [MAIN, 'log', 'test', '--limit', '1', '--json', '--store', mount.storeUrl];
  const { stdout } = await run(process.execPath, args);
  return (JSON.parse(stdout) as Array<{ version: string }>)[0]!.version;
}

before(async () => {
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  for (let value = 1; value <= 3; value += 1) {
    await sqlite3(mount.path(), `INSERT INTO t VALUES(${value})`);
    versions.push(await newest());
  }
});

after(() => mount.remove());

function at(index: number): string {
  return `${mount.path()}@${versions[index]}`;
}

test('each version reads as it was', async () => {
  for (const [index] of versions.entries()) {
    assert.equal(await sqlite3(at(index), 'SELECT count(*) FROM t; PRAGMA integrity_check'), `${index + 1}\nok`);
  }
});

test('a version is a regular read-only file', async () => {
  const { stdout } = await run('stat', ['-c', '%F %a %h', at(0)]);
  assert.equal(stdout.trim(), 'regular file 444 1');
  assert.equal((await run('stat', ['-L', '-c', '%i', at(0)])).stdout, (await run('stat', ['-c', '%i', at(0)])).stdout);
});

test('writing to a version is refused, whatever the client tries', async () => {
  const insert = await run('sqlite3', [at(0)], 'INSERT INTO t VALUES(9);');
  assert.notEqual(insert.status, 0);
  assert.match(insert.stderr, /attempt to write a readonly database/);
  assert.notEqual((await run('bash', ['-c', `echo x > '${at(0)}'`])).status, 0);
  assert.notEqual((await run('bash', ['-c', `echo x >> '${at(0)}'`])).status, 0);
  assert.notEqual((await run('truncate', ['-s', '0', at(0)])).status, 0);
  assert.notEqual((await run('chmod', ['600', at(0)])).status, 0);
  assert.notEqual((await run('rm', ['-f', at(0)])).status, 0);
  assert.equal(await sqlite3(at(0), 'SELECT count(*) FROM t'), '1');
});

test('a version stays what it is while the database goes on', async () => {
  const client = new Client();
  try {
    await client.open(at(1));
    assert.deepEqual(await client.exec('SELECT sum(a) FROM t'), [[3]]);
    await sqlite3(mount.path(), 'DELETE FROM t; VACUUM; INSERT INTO t VALUES(100)');
    assert.deepEqual(await client.exec('SELECT sum(a) FROM t'), [[3]]);
    assert.equal(await sqlite3(at(2), 'SELECT sum(a) FROM t'), '6');
  } finally {
    await client.kill();
  }
});

test('.backup of a version gives an independent local database', async () => {
  const backup = join(mount.base, 'backup.db');
  await sqlite3(at(1), `.backup ${backup}`);
  assert.equal(await sqlite3(backup, 'SELECT count(*) FROM t; PRAGMA integrity_check'), '2\nok');
  rmSync(backup);
});

test('copies of a version are always the same bytes', async () => {
  const script = `cp '${at(1)}' one; sqlite3 '${mount.path()}' "INSERT INTO t VALUES(7)"; cat '${at(1)}' | cmp - one`;
  const { status, stderr } = await run('bash', ['-c', `cd ${mount.base} && ${script}`]);
  assert.equal(status, 0, stderr);
});

test('a version can be mounted under a name of its own, and outlives a restart', async () => {
  assert.equal(await mount.unmount(), 0);
  const again = await TestMount.start({ base: mount.base, namespaces: `mydb=test,old=test@${versions[1]}` });
  mount = again;
  assert.equal(await sqlite3(again.path('old'), 'SELECT count(*) FROM t'), '2');
  assert.match((await run('sqlite3', [again.path('old')], 'INSERT INTO t VALUES(1);')).stderr, /readonly database/);
  assert.equal((await run('stat', ['-c', '%F', again.path('old')])).stdout.trim(), 'regular file');
  assert.equal(await sqlite3(at(0), 'SELECT count(*) FROM t'), '1');
});
