// What can be seen of a running daemon: status, the log line that names who holds a write lock, and doctor.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type ClientError, type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;
const client = new Client();

before(async () => {
  mount = await TestMount.start({ namespaces: 'mydb=test,other=other' });
  await sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  await client.open(mount.path(), 1);
  await client.open(mount.path(), 2, { timeout: 0 });
});

after(async () => {
  await client.kill();
  await mount.remove();
});

function mvfuse(command: string, ...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, command, ...args, '--store', mount.storeUrl]);
}

test('status shows connections and who holds the write lock', async () => {
  await client.exec('BEGIN IMMEDIATE', 1);
  await client.exec('INSERT INTO t VALUES(2)', 1);
  const status = JSON.parse((await mvfuse('status', '--json')).stdout);
  assert.equal(status.daemon.pid, mount.child.pid);
  assert.ok(status.storeBytes > 4096 && status.cache.bytes <= status.cache.bytesMax);
  const [file, other] = status.mounts[0].files;
  assert.equal(status.mounts[0].mountpoint, mount.directory);
  assert.equal(file.writer.pid, client.child.pid);
  assert.match(file.writer.command, /^python/);
  assert.ok(file.writer.heldMs >= 0);
  assert.deepEqual(file.connections.map((connection: { phase: string }) => connection.phase).sort(), [
    'idle',
    'writing',
  ]);
  assert.equal(other.writer, undefined);
  assert.deepEqual(other.connections, []);
  const text = (await mvfuse('status')).stdout;
  assert.match(text, new RegExp(`write lock: python\\S* \\(${client.child.pid}\\) for \\d+ ms`));
  assert.match(text, /other = other@.* write lock free/);
  await client.exec('ROLLBACK', 1);
});

test('a busy connection is logged with the name of the holder, once', async () => {
  await client.exec('BEGIN IMMEDIATE', 1);
  for (let tries = 0; tries < 3; tries += 1) {
    await assert.rejects(client.exec('BEGIN IMMEDIATE', 2), (error: ClientError) => error.code === 'SQLITE_BUSY');
  }
  await client.exec('ROLLBACK', 1);
  const lines = mount.log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const busy = lines.filter((line) => line.msg === 'busy');
  assert.equal(busy.length, 1);
  assert.equal(busy[0].namespace, 'test');
  assert.equal(busy[0].holder.pid, client.child.pid);
  assert.match(busy[0].holder.command, /^python/);
});

test('programs that only look leave nothing behind', async () => {
  const inodes = async (): Promise<number> => {
    return JSON.parse((await mvfuse('status', '--json')).stdout).mounts[0].inodes as number;
  };
  await run('stat', ['-L', mount.path('other')]);
  const before = await inodes();
  for (let round = 0; round < 30; round += 1) await run('stat', ['-L', mount.path('other')]);
  assert.ok((await inodes()) <= before + 4, `${before} inodes, then ${await inodes()}`);
});

test('doctor finds a working machine in order, and a store that is not', async () => {
  const outcome = await mvfuse('doctor');
  assert.equal(outcome.status, 0, outcome.stdout);
  for (const subject of ['kernel', '/dev/fuse', 'fusermount3', 'native addon', 'store']) {
    assert.match(outcome.stdout, new RegExp(`ok +${subject}`));
  }
  const broken = await run(process.execPath, [MAIN, 'doctor', '--json', '--store', 'sqlite:/proc/none']);
  assert.equal(broken.status, 10);
  const findings = JSON.parse(broken.stdout) as Array<{ subject: string; ok: boolean; remedy?: string }>;
  const failed = findings.filter((finding) => !finding.ok);
  assert.deepEqual(
    failed.map((finding) => finding.subject),
    ['store'],
  );
  assert.ok(failed[0]!.remedy);
});
