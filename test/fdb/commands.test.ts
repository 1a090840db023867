// The commands on a store that hosts share: who is there, databases taken in beside mounts, histories moved in and out.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';
import { MAIN, TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';

interface Host {
  readonly pid: number;
  readonly leases: readonly string[];
  readonly snapshots: ReadonlyArray<{ readonly namespace: string; readonly version: string }>;
}

describe('commands on FoundationDB', { skip: foundationdbMissing() }, () => {
  const storeUrl = foundationdbUrl(TEST_CLUSTER_FILE ?? '', randomUUID());
  let base: string;
  let [a, b]: TestMount[] = [];

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'mvfuse-commands-'));
    a = await TestMount.start({ storeUrl });
    b = await TestMount.start({ storeUrl });
    await sqlite3(a.path(), 'CREATE TABLE t(n); INSERT INTO t VALUES (1)');
  });
  after(async () => {
    await a?.remove();
    await b?.remove();
    rmSync(base, { recursive: true, force: true });
  });

  const mvfuse = (...args: string[]): Promise<Outcome> => run(process.execPath, [MAIN, ...args]);
  const done = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await mvfuse(...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const hosts = async (): Promise<Host[]> => JSON.parse(await done('status', '--store', storeUrl, '--json')).hosts;

  test('status tells of the cluster, and which host writes and reads what', async () => {
    const reader = new Client();
    await reader.open(b!.path());
    await reader.exec('BEGIN');
    await reader.exec('SELECT n FROM t');
    const host = (all: Host[], { child }: TestMount): Host | undefined => all.find(({ pid }) => pid === child.pid);
    let all = await hosts();
    // A snapshot is told of with the next sign of life.
    for (let tries = 0; tries < 20 && host(all, b!)?.snapshots[0] === undefined; tries++) all = await hosts();
    assert.deepEqual(host(all, a!)?.leases, ['test']);
    assert.deepEqual(host(all, b!)?.leases, []);
    assert.deepEqual(
      host(all, b!)?.snapshots.map(({ namespace }) => namespace),
      ['test'],
    );
    const text = await done('status', '--store', storeUrl);
    assert.match(text, /cluster +available: \d+ process/);
    assert.match(text, new RegExp(`\\(process ${a!.child.pid}\\): write lease of test`));
    await reader.end();
  });

  test('doctor finds the cluster in order', async () => {
    const findings = JSON.parse(await done('doctor', '--store', storeUrl, '--json')) as {
      subject: string;
      ok: boolean;
    }[];
    assert.deepEqual(
      findings.filter(({ ok }) => !ok),
      [],
    );
    assert.ok(findings.some(({ subject }) => subject === 'cluster'));
  });

  test('a database is taken in while others have the old one open, and waits for who writes', async () => {
    const file = join(base, 'import.db');
    await sqlite3(file, 'CREATE TABLE t(n); INSERT INTO t VALUES (10), (20), (30)');
    const client = new Client();
    await client.open(b!.path());
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[1]]);
    await client.exec('BEGIN IMMEDIATE');
    await client.exec('INSERT INTO t VALUES (2)');
    const importing = done('import', file, 'test', '--store', storeUrl);
    await sleep(300);
    await client.exec('COMMIT');
    await importing;
    assert.deepEqual(await client.exec('SELECT count(*), sum(n) FROM t'), [[3, 60]]);
    assert.equal(await sqlite3(a!.path(), 'SELECT count(*), sum(n) FROM t'), '3|60');
    await client.end();
  });

  test('errors name the cause: no file, a file that is none, nobody there', async () => {
    const missing = await mvfuse('ns', 'list', '--store', `fdb:${join(base, 'missing')}`);
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /no cluster file/);
    const text = join(base, 'text');
    writeFileSync(text, 'no cluster file at all\n');
    const wrong = await mvfuse('ns', 'list', '--store', `fdb:${text}`);
    assert.equal(wrong.status, 8);
    assert.match(wrong.stderr, /cluster/);
    const parameter = await mvfuse('ns', 'list', '--store', `fdb:${TEST_CLUSTER_FILE}?prefx=a`);
    assert.equal(parameter.status, 2);
    assert.match(parameter.stderr, /"prefx" is no parameter/);
  });

  test('a history moves from an embedded store to the cluster and back, killed on its way', async () => {
    const random = seededRandom(chooseSeed('copy'));
    const embedded = `sqlite:${join(base, 'store')}`;
    const local = await TestMount.start({ storeUrl: embedded });
    const client = new Client();
    await client.open(local.path());
    await client.script('PRAGMA page_size = 1024; CREATE TABLE t(id INTEGER PRIMARY KEY, pad TEXT)');
    const insert = { op: 'exec', sql: 'INSERT INTO t(pad) VALUES(hex(randomblob(200)))' };
    await client.steps(Array.from({ length: 300 }, () => insert));
    await client.script('DELETE FROM t WHERE id % 3 = 0; VACUUM; PRAGMA page_size = 4096; VACUUM');
    const digest = await client.digest();
    await client.end();
    await local.unmount();

    const moved = foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID());
    for (let kill = 0; kill < 3; kill++) {
      const child = spawn(process.execPath, [MAIN, 'copy', embedded, moved, '--no-verify'], { stdio: 'ignore' });
      const exit = once(child, 'exit');
      await sleep(randomInteger(random, 600, 1_500));
      child.kill('SIGKILL');
      await exit;
    }
    // What a killed copy held is free once it gave no sign of life for long enough.
    const copied = async (from: string, to: string): Promise<boolean> =>
      JSON.parse(await done('copy', from, to, '--json')).namespaces[0].verified;
    assert.equal(await copied(embedded, moved), true);
    assert.equal(await copied(moved, `sqlite:${join(base, 'back')}`), true);
    const versions = async (url: string): Promise<number> =>
      JSON.parse(await done('log', 'test', '--limit', '10000', '--store', url, '--json')).length;
    assert.equal(await versions(moved), await versions(embedded));
    const mount = await TestMount.start({ storeUrl: moved });
    const reader = new Client();
    await reader.open(mount.path());
    assert.deepEqual(await reader.digest(), digest);
    await reader.end();
    await mount.remove();
  });

  test('a host that ends in order is gone at once', async () => {
    const { pid } = b!.child;
    assert.equal(await b!.unmount(), 0);
    assert.ok(!(await hosts()).some((host) => host.pid === pid));
  });
});
