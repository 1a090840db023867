// Who may do what: several ordinary users on one mount. Each is held to the modes that the files show, and nobody reaches
// the connections and journals of another.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, sqlite3 } from '../support/client.js';
import { MAIN, type MountOptions, TestMount } from '../support/mounted.js';
import { NO_OTHER_USERS, runAs, sqlAs, type User, UserConnection } from '../support/users.js';

const ANN: User = { uid: 20_001, gid: 20_001 };
const BOB: User = { uid: 20_002, gid: 20_002 };
const ROOT: User = { uid: 0, gid: 0 };
const SHARED_GROUP = 20_100;
const skip = NO_OTHER_USERS;

let mount: TestMount | undefined;
const connections: UserConnection[] = [];

afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.end();
  await mount?.remove();
});

/** A mount for everybody, whose files are Ann's. */
async function start(flags: readonly string[], options: MountOptions = {}): Promise<TestMount> {
  const owned = ['--allow-other', '--uid', String(ANN.uid), '--gid', String(ANN.gid), ...flags];
  mount = await TestMount.start(options, owned);
  chmodSync(mount.base, 0o755);
  return mount;
}

function connect(user: User, path: string): UserConnection {
  const connection = new UserConnection(user, path);
  connections.push(connection);
  return connection;
}

/** Mode, owner and group of a file, as root sees them. */
async function shown(path: string): Promise<string> {
  return (await run('stat', ['-L', '-c', '%a %u:%g', path])).stdout.trim();
}

async function denied(user: User, program: string, ...args: string[]): Promise<void> {
  const { status, stderr } = await runAs(user, program, ...args);
  assert.notEqual(status, 0, `${program} ${args.join(' ')}`);
  assert.match(stderr, /Permission denied|cannot open/i);
}

test('644: the owner reads and writes, others read', { skip }, async () => {
  const { directory, path } = paths(await start([]));
  assert.equal(await sqlAs(ANN, path, 'CREATE TABLE t(a); INSERT INTO t VALUES(1);'), '');
  assert.equal(await sqlAs(BOB, path, 'SELECT * FROM t;'), '1');
  assert.match(await sqlAs(BOB, path, 'INSERT INTO t VALUES(2);'), /readonly database \(8\)/);
  await denied(BOB, 'bash', '-c', `echo x > ${path}`);
  assert.equal(await sqlAs(ROOT, path, 'INSERT INTO t VALUES(3); SELECT count(*) FROM t;'), '2');
  assert.equal(await shown(directory), '755 20001:20001');
  assert.equal(await shown(path), '644 20001:20001');
  assert.equal(await shown(join(directory, '.c')), '711 20001:20001');
});

test('666: everybody reads and writes, and nobody loses a write', { skip }, async () => {
  const { directory, path } = paths(await start(['--mode', '666']));
  assert.equal(await sqlAs(ANN, path, 'CREATE TABLE t(a INTEGER); INSERT INTO t VALUES(0);'), '');
  const increments = 'UPDATE t SET a = a + 1;'.repeat(20);
  const outcomes = await Promise.all([ANN, BOB, ROOT].map((user) => sqlAs(user, path, increments)));
  assert.deepEqual(outcomes, ['', '', '']);
  assert.equal(await sqlAs(BOB, path, 'SELECT a FROM t; PRAGMA integrity_check;'), '60\nok');
  assert.equal(await shown(path), '666 20001:20001');
  assert.equal(await shown(directory), '755 20001:20001');
  for (const mode of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF']) {
    const written = await sqlAs(BOB, path, `PRAGMA journal_mode=${mode}; UPDATE t SET a = 1; SELECT a FROM t;`);
    assert.equal(written, `${mode.toLowerCase()}\n1`);
  }
  assert.equal((await runAs(BOB, 'cp', path, '/dev/null')).status, 0);
  await denied(BOB, 'touch', join(directory, 'new'));
});

test('660: the group reads and writes, others see nothing', { skip }, async () => {
  const { directory, path } = paths(await start(['--mode', '0660', '--gid', String(SHARED_GROUP)]));
  const member: User = { ...BOB, groups: [SHARED_GROUP] };
  assert.equal(await sqlAs(member, path, 'CREATE TABLE t(a); INSERT INTO t VALUES(1); SELECT * FROM t;'), '1');
  assert.equal(await sqlAs(ANN, path, 'INSERT INTO t VALUES(2); SELECT count(*) FROM t;'), '2');
  assert.match(await sqlAs(BOB, path, 'SELECT * FROM t;'), /unable to open/);
  await denied(BOB, 'ls', directory);
  assert.equal(await shown(directory), '750 20001:20100');
});

test('a version shows the same without write bits, and not even root writes to it', { skip }, async () => {
  const { path } = paths(await start(['--mode', '640', '--gid', String(SHARED_GROUP)]));
  await sqlAs(ANN, path, 'CREATE TABLE t(a); INSERT INTO t VALUES(1);');
  const [{ version }] = JSON.parse(
    (await run(process.execPath, [MAIN, 'log', 'test', '--json', '--store', mount!.storeUrl])).stdout,
  ) as [{ version: string }];
  const snapshot = `${path}@${version}`;
  assert.equal(await shown(snapshot), '440 20001:20100');
  assert.equal(await sqlAs({ ...BOB, groups: [SHARED_GROUP] }, snapshot, 'SELECT * FROM t;'), '1');
  assert.match(await sqlAs(BOB, snapshot, 'SELECT * FROM t;'), /unable to open/);
  for (const user of [ANN, ROOT]) {
    assert.match(await sqlAs(user, snapshot, 'INSERT INTO t VALUES(2);'), /readonly database/);
  }
});

test("nobody reaches another's connection or journal; root does", { skip }, async () => {
  const { directory, path } = paths(await start(['--mode', '666']));
  await sqlAs(ANN, path, 'CREATE TABLE t(a);');
  const ann = connect(ANN, path);
  for (const sql of ['PRAGMA cache_size=1', 'BEGIN IMMEDIATE', 'INSERT INTO t VALUES(1)']) {
    assert.doesNotMatch(await ann.exec(sql), /ERR|SQLITE/i);
  }
  const own = await ann.directory();
  const journal = join(own, 'mydb-journal');
  assert.equal(await shown(own), '700 20001:20001');
  assert.equal(await shown(journal), '666 20001:20001');
  for (const target of [join(own, 'mydb'), journal]) {
    await denied(BOB, 'stat', target);
    assert.equal((await runAs(ANN, 'stat', target)).status, 0);
    assert.equal((await runAs(ROOT, 'stat', target)).status, 0);
  }
  await denied(BOB, 'ls', own);
  await denied(BOB, 'cat', journal);
  await denied(BOB, 'rm', '-f', journal);
  await denied(BOB, 'ls', join(directory, '.c'));
  assert.match(await sqlAs(BOB, join(own, 'mydb'), 'SELECT 1 FROM t;'), /unable to open/);
  assert.equal((await runAs(ROOT, 'ls', join(directory, '.c'))).stdout.trim(), own.split('/').at(-1));
  // Bob's own is not the one that Ann has.
  const bob = connect(BOB, path);
  assert.equal(await bob.exec('SELECT count(*) FROM t'), '[(0,)]');
  assert.equal(await shown(await bob.directory()), '700 20002:20002');
  await denied(ANN, 'ls', await bob.directory());
  assert.equal(await ann.exec('COMMIT'), '[]');
  assert.equal(await bob.exec('SELECT count(*) FROM t'), '[(1,)]');
});

test('a connection that was closed is given out again to the same user only', { skip }, async () => {
  const { path } = paths(await start([]));
  await sqlAs(ANN, path, 'CREATE TABLE t(a);');
  const use = async (user: User): Promise<string> => {
    const connection = new UserConnection(user, path);
    assert.equal(await connection.exec('SELECT count(*) FROM t'), '[(0,)]');
    const directory = await connection.directory();
    assert.equal(await shown(directory), `700 ${user.uid}:${user.gid}`);
    await connection.end();
    // The kernel releases the file after the process has ended.
    await sleep(100);
    return directory;
  };
  const anns = await use(ANN);
  const bobs = await use(BOB);
  assert.notEqual(bobs, anns);
  await denied(BOB, 'stat', join(anns, 'mydb'));
  assert.equal(await use(ANN), anns);
  assert.equal(await use(BOB), bobs);
  // The path that was resolved once stays that user's.
  await denied(ANN, 'cat', join(bobs, 'mydb'));
  assert.equal((await runAs(BOB, 'cat', join(bobs, 'mydb'))).status, 0);
});

test('many users, one after the other, leave no more than a bound behind', { skip }, async () => {
  const { path } = paths(await start(['--max-connections', '16']));
  const first: User = { uid: 30_001, gid: 30_001 };
  const resolved = (await runAs(first, 'realpath', path)).stdout.trim();
  assert.equal((await runAs(first, 'cat', resolved)).status, 0);
  const script = `
import os, sys, time
for uid in range(30001, 30001 + 2600):
    os.seteuid(0); os.setegid(uid); os.seteuid(uid)
    for tries in range(200):
        try:
            os.close(os.open(sys.argv[1], os.O_RDONLY))
            break
        except OSError:
            time.sleep(0.005)
    else:
        sys.exit(1)
`;
  assert.equal((await run('/usr/bin/python3', ['-c', script, path])).status, 0);
  const status = JSON.parse(
    (await run(process.execPath, [MAIN, 'status', '--json', '--store', mount!.storeUrl])).stdout,
  ) as { mounts: Array<{ inodes: number }> };
  // 16 that may be open, 1,024 that may lie unused, two inodes each, and a few of the mount itself.
  const [{ inodes }] = status.mounts as [{ inodes: number }];
  assert.ok(inodes <= 2 * (16 + 1024) + 10, `${inodes} inodes`);
  // The first one's connection has passed to another user, and the kernel knows.
  const [mode, uid] = (await shown(resolved.replace(/\/mydb$/, ''))).split(/[ :]/);
  assert.equal(mode, '700');
  assert.notEqual(uid, '30001');
  await denied(first, 'cat', resolved);
  assert.equal((await runAs({ uid: Number(uid), gid: Number(uid) }, 'cat', resolved)).status, 0);
  assert.equal((await runAs(first, 'cat', path)).status, 0);
  assert.equal(await sqlAs(ANN, path, 'CREATE TABLE t(a); SELECT count(*) FROM t;'), '0');
});

test('--read-only: everybody reads, nobody writes', { skip }, async () => {
  const first = await start(['--mode', '666']);
  await sqlAs(ANN, first.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1);');
  assert.equal(await first.unmount(), 0);
  const { path } = paths(await start(['--mode', '666', '--read-only'], { base: first.base }));
  for (const user of [ANN, BOB, ROOT]) {
    assert.equal(await sqlAs(user, path, 'SELECT * FROM t;'), '1');
    assert.match(await sqlAs(user, path, 'INSERT INTO t VALUES(2);'), /readonly database/);
  }
});

test('without --allow-other nobody else comes in, whatever the mode', { skip }, async () => {
  mount = await TestMount.start({}, ['--mode', '666']);
  chmodSync(mount.base, 0o755);
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  assert.equal(await shown(mount.path()), '666 0:0');
  await denied(BOB, 'ls', mount.directory);
});

test('names stand for users and groups, and variables for flags', { skip }, async () => {
  mount = await TestMount.start({}, ['--uid', 'daemon', '--gid', 'users']);
  const ids = await run('bash', ['-c', 'echo $(id -u daemon):$(getent group users | cut -d: -f3)']);
  assert.equal(await shown(mount.path()), `644 ${ids.stdout.trim()}`);
});

test('doctor tells an ordinary user whether --allow-other is allowed', { skip }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'mvfuse-doctor-'));
  chmodSync(base, 0o755);
  const conf = join(base, 'fuse.conf');
  // In a mount namespace of its own, so that the system's file is not touched.
  const doctor = async (content: string): Promise<string> => {
    writeFileSync(conf, content);
    const command = `mount --bind ${conf} /etc/fuse.conf && exec setpriv --reuid=${BOB.uid} --regid=${BOB.gid} --clear-groups \
      ${process.execPath} ${MAIN} doctor --json --store memory:`;
    const { stdout, stderr } = await run('unshare', ['--mount', 'bash', '-c', command]);
    const findings = JSON.parse(stdout || `[{"detail":${JSON.stringify(stderr)}}]`) as Array<{
      subject: string;
      detail: string;
    }>;
    return findings.find(({ subject }) => subject === '--allow-other')!.detail;
  };
  try {
    assert.match(await doctor('#user_allow_other\n'), /is not for this user/);
    assert.match(await doctor('user_allow_others\n'), /is not for this user/);
    assert.match(await doctor('mount_max = 10\n  user_allow_other  # for all\n'), /is allowed by/);
  } finally {
    rmSync(base, { recursive: true });
  }
});

function paths(mounted: TestMount): { directory: string; path: string } {
  return { directory: mounted.directory, path: mounted.path() };
}
