// A daemon that was killed and comes back: its dead mount is taken away, clients of it get errors and never old
// data, and nothing acknowledged is lost, however often that happens.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

test('a restart takes the dead mount away', async () => {
  let mount = await TestMount.start();
  const client = new Client();
  try {
    await sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    await client.open(mount.path());
    await client.exec('SELECT * FROM t');
    for (let round = 2; round <= 4; round += 1) {
      mount.child.kill('SIGKILL');
      await mount.exited();
      assert.ok(mount.mounted, 'the kernel keeps the mount of a killed daemon');
      await assert.rejects(client.exec('SELECT * FROM t'), 'stale success');
      mount = await TestMount.start({ base: mount.base });
      await assert.rejects(client.exec('SELECT * FROM t'), 'the old handle belongs to the dead mount');
      await sqlite3(mount.path(), `INSERT INTO t VALUES(${round})`);
      assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM t; PRAGMA integrity_check'), `${round}\nok`);
    }
    await client.open(mount.path(), 1);
    assert.deepEqual(await client.exec('SELECT count(*) FROM t', 1), [[4]]);
    await client.close(1);
  } finally {
    await client.kill();
    await mount.remove();
  }
});

test('a living mount is left alone', async () => {
  const mount = await TestMount.start();
  try {
    const args = [MAIN, '--mountpoint', mount.directory, '--namespaces', 'x=y', '--store', 'memory:'];
    const second = await run(process.execPath, args);
    assert.equal(second.status, 10);
    assert.match(second.stderr, /mvfuse is mounted there/);
    assert.equal(await sqlite3(mount.path(), 'SELECT 1'), '1');
  } finally {
    await mount.remove();
  }
});

test('a daemon that does not answer is not waited for', async () => {
  const mount = await TestMount.start();
  try {
    mount.child.kill('SIGSTOP');
    const args = [MAIN, '--mountpoint', mount.directory, '--namespaces', 'x=y', '--store', 'memory:'];
    const second = await run(process.execPath, args, '', 30_000);
    assert.equal(second.status, 10);
    assert.match(second.stderr, /does not answer/);
  } finally {
    mount.child.kill('SIGCONT');
    await mount.remove();
  }
});
