// History among hosts: versions removed on one while another reads them, tags and forks that hold them, and a maintenance lock
// that every host keeps.
//
// What was the newest version within the last minute is left alone by retention; so the history is made by a daemon
// whose clock is behind (libfaketime).

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';
import { MAIN, TestMount } from '../support/mounted.js';

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
/** Longer than a daemon takes to tell the others what it has open. */
const BEAT_MS = 1_500;

function missing(): string | undefined {
  return foundationdbMissing() ?? (existsSync(FAKETIME) ? undefined : 'libfaketime is not installed');
}

describe('history among hosts', { skip: missing() }, () => {
  const storeUrl = foundationdbUrl(TEST_CLUSTER_FILE ?? '', randomUUID());
  const mounts: TestMount[] = [];
  let [a, b]: TestMount[] = [];
  let versions: string[];

  const mvfuse = (...args: string[]): Promise<Outcome> => run(process.execPath, [MAIN, ...args, '--store', storeUrl]);
  async function done(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await mvfuse(...args);
    assert.equal(status, 0, `mvfuse ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
  async function start(environment?: NodeJS.ProcessEnv): Promise<TestMount> {
    const mount = await TestMount.start({ storeUrl, ...(environment && { environment }) }, [
      '--retention-period',
      '1s',
    ]);
    mounts.push(mount);
    return mount;
  }
  const log = async (): Promise<string[]> =>
    (JSON.parse(await done('log', 'test', '--json', '--limit', '100')) as Array<{ version: string }>).map(
      ({ version }) => version,
    );
  const sum = (mount: TestMount, name = 'mydb'): Promise<string> => sqlite3(mount.path(name), 'SELECT sum(a) FROM t');

  before(async () => {
    const old = await start({ LD_PRELOAD: FAKETIME, FAKETIME: '-10m', FAKETIME_DONT_FAKE_MONOTONIC: '1' });
    await sqlite3(old.path(), 'CREATE TABLE t(a, filler); INSERT INTO t VALUES(0, randomblob(20000))');
    for (let value = 1; value <= 8; value += 1) await sqlite3(old.path(), 'UPDATE t SET a = a + 1');
    assert.equal(await old.unmount(), 0);
    // From the first one on: 8 - index updates.
    versions = (await log()).reverse();
    assert.equal(versions.length, 10);
    a = await start();
    b = await start();
  });
  after(async () => {
    for (const mount of mounts) await mount.remove();
  });

  test('a version that another host reads is kept until it is closed there', async () => {
    const client = new Client();
    try {
      await client.open(b!.path(`mydb@${versions[4]}`));
      const read = (): Promise<unknown> => client.exec('SELECT sum(a), length(max(filler)) FROM t');
      await client.exec('BEGIN');
      assert.deepEqual(await read(), [[3, 20_000]]);
      await done('tag', 'add', `test@${versions[6]}`, 'five');
      await done('fork', `test@${versions[7]}`, 'fork');
      const { held } = JSON.parse(await done('truncate', 'test', '--before', 'latest', '--json')) as {
        held: Array<{ version: string; by: string; name: string }>;
      };
      assert.deepEqual(
        held.map(({ version, by }) => [version, by]),
        [
          [versions[4], 'reader'],
          [versions[6], 'tag'],
          [versions[7], 'fork'],
        ],
      );
      assert.deepEqual(await read(), [[3, 20_000]]);
      assert.deepEqual(
        await log(),
        [9, 7, 6, 4].map((index) => versions[index]),
      );
      for (const mount of [a!, b!]) {
        assert.equal(await sum(mount), '8');
        assert.equal(await sum(mount, 'mydb@five'), '5');
        assert.notEqual((await run('stat', [mount.path(`mydb@${versions[5]}`)])).status, 0);
      }
      await client.exec('COMMIT');
    } finally {
      await client.end();
    }
    await sleep(BEAT_MS);
    await done('gc', 'test');
    assert.deepEqual(
      await log(),
      [9, 7, 6].map((index) => versions[index]),
    );
  });

  test('a fork is there on every host, and holds its version when its parent lets go of it', async () => {
    const forked = await TestMount.start({ storeUrl, namespaces: 'fork=fork' });
    mounts.push(forked);
    assert.equal(await sum(forked, 'fork'), '6');
    await sqlite3(forked.path('fork'), 'UPDATE t SET a = 100; PRAGMA integrity_check');
    assert.equal(await sum(a!), '8');
    assert.match((await mvfuse('ns', 'delete', 'test', '--purge', '--yes')).stderr, /forks/);
    assert.equal(await forked.unmount(), 0);
    await done('ns', 'delete', 'fork', '--purge', '--yes');
    await done('gc');
    assert.deepEqual(
      await log(),
      [9, 6].map((index) => versions[index]),
    );
  });

  test('retention runs in the daemons: what no policy keeps is gone after a while', async () => {
    await done('tag', 'rm', 'test', 'five');
    await sqlite3(a!.path(), 'UPDATE t SET a = a + 1');
    await sqlite3(b!.path(), 'UPDATE t SET a = a + 1');
    await done('ns', 'set', 'test', 'keep-versions=1');
    for (let tries = 0; tries < 50 && (await log()).length > 3; tries += 1) await sleep(200);
    // The newest of ten minutes ago was the newest until just now: it may be read somewhere.
    assert.equal((await log()).length, 3);
    assert.equal(await sum(a!), '10');
  });

  test('a maintenance lock holds on every host, and its owner writes on any', async () => {
    await done('lock', 'test', '--owner', 'me');
    for (const mount of [a!, b!]) {
      const { stderr } = await run('sqlite3', [mount.path(), 'UPDATE t SET a = 0']);
      assert.match(stderr, /database is locked/);
    }
    await sqlite3(b!.path('mydb@lock:me'), 'UPDATE t SET a = a + 1');
    await sqlite3(a!.path('mydb@lock:me'), 'UPDATE t SET a = a + 1');
    for (const mount of [a!, b!]) {
      assert.equal(await sum(mount), '10');
      assert.equal(await sum(mount, 'mydb@lock:me'), '12');
    }
    await done('unlock', 'test', '--owner', 'me', '--rollback');
    for (const mount of [a!, b!]) assert.equal(await sum(mount), '10');
    await sqlite3(b!.path(), 'UPDATE t SET a = a + 1');
    assert.equal(await sum(a!), '11');
    assert.equal(await sqlite3(a!.path(), 'PRAGMA integrity_check'), 'ok');
  });
});
