// Health, metrics and `mvfuse wait`: what a supervisor and Prometheus see of a daemon that works, and of one that does not.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readiness } from '../../src/admin/api/health.js';
import { type CheckedApi, openApi, socketOf, startEmbedded } from '../support/api.js';
import { Client, type ClientError, type Outcome, run, sqlite3 } from '../support/client.js';
import { foundationdbMissing } from '../support/foundationdb.js';
import { FaultMount, MAIN, type TestMount } from '../support/mounted.js';

let base: string;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-health-'));
});

after(() => rmSync(base, { recursive: true, force: true }));

function mvfuse(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, ...args]);
}

async function metricsOf(api: CheckedApi): Promise<(name: string, labels?: string) => number | undefined> {
  const { text } = await api.expect(200, 'GET', '/metrics');
  const values = new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))] as const),
  );
  return (name, labels) => values.get(`mvfuse_${name}${labels === undefined ? '' : `{${labels}}`}`);
}

async function readiness(api: CheckedApi, status: number): Promise<Readiness> {
  return (await api.expect(status, 'GET', '/readyz')).json as Readiness;
}

/** Asks until it is answered so, for as long as answers may be of a moment ago. */
async function becomes(api: CheckedApi, status: number): Promise<Readiness> {
  for (let tries = 0; tries < 20; tries += 1) {
    const answer = await api.call('GET', '/readyz');
    if (answer.status === status) return answer.json as Readiness;
    await sleep(100);
  }
  return readiness(api, status);
}

test('metrics count what happened', async () => {
  const mount = await startEmbedded({ base: join(base, 'metrics'), namespaces: 'mydb=test' });
  const client = new Client();
  try {
    const api = await openApi(socketOf(mount));
    await sqlite3(mount.path(), 'CREATE TABLE t(a)');
    const first = await metricsOf(api);
    await client.open(mount.path(), 1);
    await client.open(mount.path(), 2, { timeout: 0 });
    for (let value = 0; value < 5; value += 1) await client.exec('INSERT INTO t VALUES(1)', 1);
    const busy = (error: ClientError): boolean => error.code.startsWith('SQLITE_BUSY');
    await client.exec('BEGIN IMMEDIATE', 1);
    await assert.rejects(client.exec('BEGIN IMMEDIATE', 2), busy);
    await client.exec('COMMIT', 1);
    await client.exec('BEGIN', 2);
    await client.exec('SELECT * FROM t', 2);
    await client.exec('INSERT INTO t VALUES(2)', 1);
    await assert.rejects(client.exec('INSERT INTO t VALUES(3)', 2), busy);
    await client.exec('ROLLBACK', 2);
    const then = await metricsOf(api);
    const grown = (name: string, labels?: string): number => (then(name, labels) ?? 0) - (first(name, labels) ?? 0);
    assert.equal(grown('commits_total', 'namespace="test"'), 6);
    assert.equal(
      grown('committed_bytes_total', 'namespace="test"'),
      4096 * grown('committed_pages_total', 'namespace="test"'),
    );
    assert.equal(grown('commit_seconds_count'), 6);
    assert.ok(grown('commit_seconds_sum') > 0);
    assert.equal(grown('writers_refused_total', 'namespace="test",reason="busy"'), 1);
    assert.equal(grown('writers_refused_total', 'namespace="test",reason="conflict"'), 1);
    assert.ok(grown('fuse_request_seconds_count', 'op="fsync"') >= 12);
    assert.ok(grown('fuse_errors_total', 'op="setlk",errno="EAGAIN"') >= 2);
    assert.equal(
      then('fuse_request_seconds_bucket', 'le="+Inf",op="fsync"'),
      then('fuse_request_seconds_count', 'op="fsync"'),
    );
    assert.ok(then('page_cache_hits_total')! > 0 && then('page_cache_bytes')! > 0);
    assert.equal(then('connections'), 2);
    assert.equal(then('api_connections', 'listener="socket"'), 1);
    assert.ok(then('api_requests_total', 'operation="metrics",status="200"')! >= 1);
    assert.equal(then('build_info', 'release="0.1.0"'), 1);
    assert.equal(then('leases'), undefined, 'no leases without other hosts');
    assert.equal(then('retention_failures_total'), 0);
    assert.equal(then('retention_held_versions', 'namespace="test"'), 0);
    assert.ok(then('retention_oldest_version_age_seconds', 'namespace="test"')! < 600);
    // A database that nobody mounted shares a label with all the others.
    await api.expect(201, 'POST', '/api/v1/namespaces', { name: 'unmounted' });
    await run(process.execPath, [MAIN, 'import', await smallDatabase(), 'unmounted', '--store', mount.storeUrl]);
    assert.equal((await metricsOf(api))('commits_total', 'namespace="other"'), 1);
  } finally {
    await client.kill();
    await mount.remove();
  }
});

async function smallDatabase(): Promise<string> {
  const file = join(base, 'small.db');
  await sqlite3(file, 'CREATE TABLE IF NOT EXISTS s(a)');
  return file;
}

test('a mount that is taken away while programs use it is not ready, and is named', async () => {
  const mount = await startEmbedded({ base: join(base, 'gone'), namespaces: 'mydb=test' });
  const client = new Client();
  try {
    const api = await openApi(socketOf(mount));
    await client.open(mount.path());
    await client.exec('CREATE TABLE t(a)');
    assert.equal((await readiness(api, 200)).ready, true);
    execFileSync('fusermount3', ['-uz', mount.directory]);
    const { checks } = await becomes(api, 503);
    const failed = checks.filter(({ ready }) => !ready).map(({ kind, name, reason }) => [kind, name, reason]);
    assert.deepEqual(failed, [
      ['mount', mount.directory, 'it was unmounted; programs that have files open still use it'],
      ['namespace', 'test', 'its mount is not there'],
    ]);
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[0]]);
    await api.expect(200, 'GET', '/healthz');
  } finally {
    await client.kill();
    await mount.exited();
    await mount.remove();
  }
});

test('a namespace whose store fails or hangs is named, the others stay ready', {
  skip: !foundationdbMissing(),
}, async () => {
  const mount = await FaultMount.startFaulty({ base: join(base, 'faulty'), namespaces: 'a=well,b=ill' });
  try {
    const api = await openApi(socketOf(mount));
    assert.equal((await readiness(api, 200)).checks.length, 4);
    for (const [fault, reason] of [
      ['fail', /./],
      ['hang', /did not answer within 5 s/],
    ] as const) {
      await mount.failStore('ill', 'reads', fault);
      await sleep(600);
      const startMs = performance.now();
      const { checks } = await readiness(api, 503);
      assert.ok(performance.now() - startMs < 6_000);
      const failed = checks.filter(({ ready }) => !ready);
      assert.deepEqual(
        failed.map(({ kind, name }) => [kind, name]),
        [['namespace', 'ill']],
      );
      assert.match(failed[0]!.reason!, reason);
      await api.expect(200, 'GET', '/healthz');
      await mount.clear();
      await becomes(api, 200);
    }
  } finally {
    await mount.remove();
  }
});

test('wait: until a namespace exists, until it can be used, and no longer than it is told', async () => {
  const home = join(base, 'wait');
  mkdirSync(home);
  const store = `sqlite:${join(home, 'store')}`;
  const late = await mvfuse('wait', 'test', '--timeout', '300ms', '--store', store);
  assert.equal(late.status, 13);
  assert.match(late.stderr, /namespace "test" does not exist after 0\.3 s/);
  await mvfuse('ns', 'create', 'test', '--store', store);
  assert.equal((await mvfuse('wait', 'test', '--store', store)).stdout, 'test exists\n');
  const { waitedMs, ...found } = JSON.parse((await mvfuse('wait', 'test', '--json', '--store', store)).stdout);
  assert.deepEqual(found, { namespace: 'test', ready: false });
  assert.ok(waitedMs >= 0);
  const nobody = await mvfuse('wait', 'test', '--ready', '--timeout', '300ms', '--store', store);
  assert.equal(nobody.status, 13);
  assert.match(nobody.stderr, /not ready after 0\.3 s: no daemon runs/);
  assert.equal((await mvfuse('wait', 'test', '--timeout', 'long', '--store', store)).status, 2);

  const waiting = mvfuse('wait', 'test', '--ready', '--timeout', '20s', '--store', store);
  await sleep(500);
  let mount: TestMount = await startEmbedded({ base: home, namespaces: 'mydb=test' });
  const { status, stdout, stderr } = await waiting;
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'test is ready\n');
  const unmounted = await mvfuse('wait', 'other', '--ready', '--timeout', '0s', '--store', store);
  assert.equal(unmounted.status, 13);
  assert.match(unmounted.stderr, /does not have it mounted/);
  const api = ['--api', `unix:${join(home, 'store', 'control.sock')}`];
  assert.equal((await mvfuse('wait', 'test', '--ready', ...api)).status, 0);
  assert.equal(await mount.unmount(), 0);

  mount = await startEmbedded({ base: home, namespaces: 'mydb=test' }, ['--read-only']);
  const readOnly = await mvfuse('wait', 'test', '--ready', '--timeout', '0s', '--store', store);
  assert.match(readOnly.stderr, /mounted to be read only/);
  assert.equal(await mount.unmount(), 0);
});
