// chmod of a database is kept with its namespace, and a journal has the mode of its database: who may use a database may
// use what is rolled back from, and nobody else.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, run, sqlite3 } from '../support/client.js';
import { MAIN, type MountOptions, TestMount } from '../support/mounted.js';
import { NO_OTHER_USERS, runAs, sqlAs, type User } from '../support/users.js';

const ANN: User = { uid: 20_001, gid: 20_001 };
const BOB: User = { uid: 20_002, gid: 20_002 };
const OWNED = ['--allow-other', '--uid', String(ANN.uid), '--gid', String(ANN.gid)];
/** The kernel may believe what it was told of a version or a symlink for a second. */
const SHOWN_MS_MAX = 10_000;

let mount: TestMount;

afterEach(() => mount.remove());

async function done(program: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(program, args);
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Octal, of what the path leads to. */
const mode = (path: string): Promise<string> => done('stat', '-L', '-c', '%a', path);
const mvfuse = (...args: string[]): Promise<string> => done(process.execPath, MAIN, ...args, '--store', mount.storeUrl);

async function stat(namespace: string): Promise<{ mode?: number; head: { version: string } }> {
  return JSON.parse(await mvfuse('ns', 'stat', namespace, '--json'));
}

/** @param link whether the path is a symlink that shows it itself */
async function shows(path: string, expected: string, link = false): Promise<void> {
  const endMs = performance.now() + SHOWN_MS_MAX;
  const look = () => (link ? done('stat', '-c', '%a', path) : mode(path));
  for (let shown = ''; shown !== expected; shown = await look()) {
    assert.ok(performance.now() < endMs, `${path} shows ${shown}, not ${expected}`);
    await sleep(50);
  }
}

async function remount(options: MountOptions, flags: readonly string[]): Promise<void> {
  assert.equal(await mount.unmount(), 0);
  mount = await TestMount.start({ ...options, base: mount.base }, flags);
}

const KINDS = [
  { kind: 'a name given at the mount', namespaces: 'mydb=test' },
  { kind: 'a directory of databases', namespaces: '*' },
];

for (const { kind, namespaces } of KINDS) {
  const namespace = namespaces === '*' ? 'mydb' : 'test';

  describe(kind, () => {
    test('is kept, whatever the mount says the next time, until it is taken away', async () => {
      mount = await TestMount.start({ namespaces });
      const path = mount.path();
      await sqlite3(path, 'CREATE TABLE t(a)');
      assert.equal(await mode(path), '644');
      assert.equal((await stat(namespace)).mode, undefined);
      await done('chmod', '600', path);
      assert.equal(await mode(path), '600');
      await done('chmod', 'g+r', path);
      assert.equal(await mode(path), '640');
      assert.equal((await stat(namespace)).mode, 0o640);
      assert.match(await mvfuse('ns', 'stat', namespace), /\nmode +640$/m);
      await remount({ namespaces }, ['--mode', '666']);
      assert.equal(await mode(path), '640');
      await shows(path, '640', true);
      assert.equal(await sqlite3(path, 'INSERT INTO t VALUES(1); SELECT count(*) FROM t'), '1');
      await mvfuse('ns', 'set', namespace, 'mode=660');
      assert.equal(await mode(path), '660');
      await mvfuse('ns', 'set', namespace, 'mode=default');
      assert.equal(await mode(path), '666');
    });

    test('changes it for those who have it open, in a transaction, too', async () => {
      mount = await TestMount.start({ namespaces });
      await sqlite3(mount.path(), 'CREATE TABLE t(a)');
      const client = new Client();
      await client.open(mount.path());
      await client.exec('BEGIN IMMEDIATE');
      await client.exec('INSERT INTO t VALUES(1)');
      const opened = await done('bash', '-c', `readlink /proc/${client.child.pid}/fd/* | grep '/mydb$'`);
      await done('chmod', '640', opened);
      assert.equal(await mode(opened), '640');
      assert.equal(await mode(mount.path()), '640');
      await done('chmod', '600', mount.path());
      assert.equal(await mode(opened), '600');
      await client.exec('COMMIT');
      assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[1]]);
      await client.kill();
    });

    test('shows on versions without write bits', async () => {
      mount = await TestMount.start({ namespaces });
      await sqlite3(mount.path(), 'CREATE TABLE t(a)');
      const { version } = (await stat(namespace)).head;
      const shown = [`${mount.path()}@${version}`, join(mount.directory, '.snapshots', 'mydb', version)];
      for (const path of shown) assert.equal(await mode(path), '444');
      await done('chmod', '640', mount.path());
      for (const path of shown) await shows(path, '440');
      assert.notEqual((await run('chmod', ['600', shown[0]!])).status, 0);
      assert.equal(await mode(mount.path()), '640');
    });

    test('is what a journal has, as the test suite of SQLite wants it', async () => {
      mount = await TestMount.start({ namespaces });
      const path = mount.path();
      await sqlite3(path, 'CREATE TABLE t(a)');
      for (const permissions of ['644', '666', '600', '755']) {
        await done('chmod', permissions, path);
        assert.equal(await mode(path), permissions);
        const client = new Client();
        await client.open(path);
        await client.exec('BEGIN');
        await client.exec('INSERT INTO t VALUES(1)');
        const journal = await done('bash', '-c', `readlink /proc/${client.child.pid}/fd/* | grep -- '-journal$'`);
        assert.equal(await mode(journal), permissions);
        await done('chmod', '622', journal);
        assert.equal(await mode(journal), '622');
        assert.equal(await mode(path), permissions);
        await client.exec('ROLLBACK');
        await client.kill();
      }
    });
  });
}

test('a version that is mounted under a name of its own follows', async () => {
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  const { version } = (await stat('test')).head;
  await done('chmod', '600', mount.path());
  await remount({ namespaces: `mydb=test,old=test@${version}` }, []);
  assert.equal(await mode(mount.path('old')), '400');
  await done('chmod', '664', mount.path());
  await shows(mount.path('old'), '444');
});

test('is kept of a file that has no namespace yet, also when it is renamed', async () => {
  mount = await TestMount.start({ namespaces: '*' });
  const [path, renamed] = [mount.path('new.db'), mount.path('renamed.db')];
  const client = new Client();
  await client.open(path);
  assert.notEqual((await run(process.execPath, [MAIN, 'ns', 'stat', 'new.db', '--store', mount.storeUrl])).status, 0);
  await done('chmod', '600', path);
  assert.equal(await mode(path), '600');
  await client.exec('CREATE TABLE t(a)');
  await client.kill();
  assert.equal((await stat('new.db')).mode, 0o600);
  await done('mv', path, renamed);
  assert.equal(await mode(renamed), '600');
  await mvfuse('fork', 'renamed.db', 'fork.db');
  assert.equal(await mode(mount.path('fork.db')), '600');
  await done('rm', renamed);
  await mvfuse('ns', 'undelete', 'renamed.db');
  assert.equal(await mode(renamed), '600');
});

test('comes with cp -p, mv and install; the mode that a file is created with, by cp, tar or mkstemp, brings none', async () => {
  const local = mkdtempSync(join(tmpdir(), 'mvfuse-modes-'));
  mount = await TestMount.start({ namespaces: '*' }, ['--mode', '660']);
  try {
    const source = join(local, 'a.db');
    await sqlite3(source, 'CREATE TABLE t(a)');
    chmodSync(source, 0o600);
    const copies: ReadonlyArray<readonly [string, string]> = [
      ['cp $L/a.db a.db', '660'],
      ['cp -p $L/a.db a.db', '600'],
      ['install -m 640 $L/a.db a.db', '640'],
      ['tar -C $L -c . | tar -x', '660'],
      ['rsync -a --chmod=F660 $L/ .', '660'],
      ['chmod 660 $L/a.db && rsync -a $L/ . && rsync -a --inplace $L/ .', '660'],
      ['chmod 640 $L/a.db && cp $L/a.db $L/b.db && cp -p $L/a.db $L/b.db && mv $L/b.db a.db', '640'],
    ];
    for (const [copy, expected] of copies) {
      await done('env', `--chdir=${mount.directory}`, `L=${local}`, 'bash', '-ec', copy);
      assert.equal(await mode(mount.path('a.db')), expected, copy);
      assert.equal(await done('cmp', source, mount.path('a.db')), '');
      await done('rm', mount.path('a.db'));
    }
  } finally {
    rmSync(local, { recursive: true });
  }
});

test('only the owner and root change it where users are told apart, and it holds', {
  skip: NO_OTHER_USERS,
}, async () => {
  mount = await TestMount.start({}, OWNED);
  chmodSync(mount.base, 0o755);
  const path = mount.path();
  assert.equal(await sqlAs(ANN, path, 'CREATE TABLE t(a); INSERT INTO t VALUES(1);'), '');
  const refused = await runAs(BOB, 'chmod', '666', path);
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /Operation not permitted/);
  assert.equal(await mode(path), '644');
  assert.equal(await sqlAs(BOB, path, 'SELECT * FROM t;'), '1');
  assert.equal((await runAs(ANN, 'chmod', '600', path)).status, 0);
  assert.match(await sqlAs(BOB, path, 'SELECT * FROM t;'), /unable to open/);
  assert.equal(await sqlAs(ANN, path, 'INSERT INTO t VALUES(2); SELECT count(*) FROM t;'), '2');
  await done('chmod', '646', path);
  assert.equal(await sqlAs(BOB, path, 'INSERT INTO t VALUES(3); SELECT count(*) FROM t;'), '3');
  assert.equal((await runAs(ANN, 'chmod', '444', path)).status, 0);
  assert.match(await sqlAs(ANN, path, 'INSERT INTO t VALUES(4);'), /readonly database/);
});
