// The extended attributes of database files, as getfattr and Python read them: which version of which namespace it is.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Client, run, sqlite3 } from '../support/client.js';
import { FaultMount, MAIN, TestMount } from '../support/mounted.js';

const NAMES = ['head_time', 'namespace', 'page_size', 'version'].map((name) => `user.mvfuse.${name}`);

interface LogEntry {
  readonly version: string;
  readonly timeMs: number;
  readonly pageBytes: number;
}

let mount: TestMount;

before(async () => {
  mount = await TestMount.start({ namespaces: 'mydb=test' });
  await sqlite3(mount.path(), 'PRAGMA page_size=1024; CREATE TABLE t(a); INSERT INTO t VALUES(1)');
});

after(() => mount.remove());

async function log(): Promise<LogEntry[]> {
  const { stdout } = await run(process.execPath, [MAIN, 'log', 'test', '--json', '--store', mount.storeUrl]);
  return JSON.parse(stdout) as LogEntry[];
}

/** What Python reads of a file. */
async function attributes(path: string): Promise<Record<string, string>> {
  const script =
    'import json, os, sys; p = sys.argv[1]; print(json.dumps({n: os.getxattr(p, n).decode() for n in os.listxattr(p)}))';
  const { status, stdout, stderr } = await run('python3', ['-c', script, path]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

function expected(entry: LogEntry): Record<string, string> {
  return {
    'user.mvfuse.namespace': 'test',
    'user.mvfuse.version': entry.version,
    'user.mvfuse.page_size': String(entry.pageBytes),
    'user.mvfuse.head_time': new Date(entry.timeMs).toISOString(),
  };
}

test('a database tells of its newest version, a version of itself', async () => {
  const [newest, first] = await log();
  assert.equal(newest!.pageBytes, 1024);
  assert.match(new Date(newest!.timeMs).toISOString(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(await attributes(mount.path()), expected(newest!));
  for (const entry of [newest!, first!]) {
    assert.deepEqual(await attributes(mount.path(`mydb@${entry.version}`)), expected(entry));
  }
  await sqlite3(mount.path(), 'INSERT INTO t VALUES(2)');
  const [after] = await log();
  assert.notEqual(after!.version, newest!.version);
  assert.deepEqual(await attributes(mount.path()), expected(after!));
  assert.deepEqual(await attributes(mount.path(`mydb@${newest!.version}`)), expected(newest!));
});

test('a connection tells of the version that it reads', async () => {
  const reader = new Client();
  try {
    const { stdout: path } = await run('realpath', [mount.path()]);
    await reader.open(path.trim());
    const [head] = await log();
    await reader.exec('BEGIN');
    await reader.exec('SELECT * FROM t');
    await sqlite3(mount.path(), 'INSERT INTO t VALUES(3)');
    assert.deepEqual(await attributes(path.trim()), expected(head!));
    await reader.exec('COMMIT');
    const [newer] = await log();
    assert.notEqual(newer!.version, head!.version);
    assert.deepEqual(await attributes(path.trim()), expected(newer!));
    // A file that is copied tells of the version that its reader has.
    const copy = await run('bash', [
      '-c',
      `exec 3< ${mount.path()}; sqlite3 ${mount.path()} "INSERT INTO t VALUES(4)"
       python3 -c 'import os; print(os.getxattr(3, "user.mvfuse.version").decode())'`,
    ]);
    assert.equal(copy.stdout.trim(), newer!.version, copy.stderr);
  } finally {
    await reader.kill();
  }
});

test('names pinned at the mount have them, too, and a database without a commit the version zero', async () => {
  const [, second] = await log();
  assert.equal(await mount.unmount(), 0);
  const entries = await log();
  mount = await TestMount.start({ base: mount.base, namespaces: `mydb=test,old=test@${second!.version},new=empty` });
  assert.deepEqual(await attributes(mount.path('old')), expected(second!));
  assert.deepEqual(await attributes(mount.path()), expected(entries[0]!));
  const empty = await attributes(mount.path('new'));
  assert.equal(empty['user.mvfuse.version'], '0'.repeat(20));
  assert.equal(empty['user.mvfuse.namespace'], 'empty');
});

test('directories and journals have none', async () => {
  const client = new Client();
  try {
    const path = (await run('realpath', [mount.path()])).stdout.trim();
    await client.open(path);
    await client.exec('BEGIN IMMEDIATE');
    await client.exec('INSERT INTO t VALUES(5)');
    for (const none of [mount.directory, path.replace(/\/[^/]*$/, ''), `${path}-journal`]) {
      assert.deepEqual(await attributes(none), {}, none);
    }
  } finally {
    await client.kill();
  }
});

test('they cannot be set or removed', async () => {
  for (const change of ['os.setxattr(p, "user.mvfuse.version", b"0")', 'os.removexattr(p, "user.mvfuse.version")']) {
    const { stderr } = await run('python3', ['-c', `import os, sys; p = sys.argv[1]; ${change}`, mount.path()]);
    assert.match(stderr, /Operation not supported/);
  }
});

const skip = existsSync('/usr/bin/getfattr') ? false : 'getfattr is missing (package attr)';
test('getfattr prints them', { skip }, async () => {
  const [head] = await log();
  const { stdout } = await run('getfattr', ['-d', '--absolute-names', mount.path()]);
  const lines = Object.entries(expected(head!)).map(([name, value]) => `${name}="${value}"`);
  assert.deepEqual(stdout.trim().split('\n').slice(1).sort(), lines.sort());
  const all = await run('getfattr', ['-m', '-', '--absolute-names', mount.path()]);
  assert.deepEqual(all.stdout.trim().split('\n').slice(1).sort(), NAMES);
});

test('nobody who writes is held up by them: no question of the kernel reaches the daemon', async () => {
  const traced = await FaultMount.startFaulty();
  const client = new Client();
  try {
    await client.open(traced.path());
    await client.exec('CREATE TABLE t(a)');
    await traced.startTrace();
    await client.exec('INSERT INTO t VALUES(1)');
    assert.doesNotMatch((await traced.stopTrace()).join(' '), /XATTR/);
    await traced.startTrace();
    await attributes(traced.path());
    assert.match((await traced.stopTrace()).join(' '), /LISTXATTR\(db\) .*GETXATTR\(db\)/);
  } finally {
    await client.kill();
    await traced.remove();
  }
});
