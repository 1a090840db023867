// The APIs of daemons that share a store: each is found by the commands of its machine and user, and tells of the cluster.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openApi } from '../support/api.js';
import { type Outcome, run, sqlite3 } from '../support/client.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';
import { MAIN, TestMount } from '../support/mounted.js';

describe('the APIs of daemons on FoundationDB', { skip: foundationdbMissing() }, () => {
  const prefix = randomUUID();
  const storeUrl = foundationdbUrl(TEST_CLUSTER_FILE ?? '', prefix);
  const environment: Record<string, string> = {};
  let runtime: string;
  let base: string;
  let [a, b]: TestMount[] = [];

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'mvfuse-fdb-api-'));
    runtime = join(base, 'runtime');
    mkdirSync(runtime, { mode: 0o700 });
    environment.XDG_RUNTIME_DIR = runtime;
    a = await TestMount.start({ storeUrl, environment, namespaces: 'mydb=test' });
    b = await TestMount.start({ storeUrl, environment, namespaces: 'mydb=test,other=other' });
    await sqlite3(a.path(), 'CREATE TABLE t(n); INSERT INTO t VALUES (1)');
  });
  after(async () => {
    await a?.remove();
    await b?.remove();
    rmSync(base, { recursive: true, force: true });
  });

  const mvfuse = (...args: string[]): Promise<Outcome> =>
    run('env', [`XDG_RUNTIME_DIR=${runtime}`, process.execPath, MAIN, ...args]);
  const sockets = (): string[] => readdirSync(join(runtime, 'mvfuse'));

  interface Daemon {
    readonly daemon: { readonly pid: number };
    readonly mounts: ReadonlyArray<{ readonly mountpoint: string }>;
  }
  const daemons = async (url = storeUrl): Promise<Daemon[]> => {
    const { status, stdout, stderr } = await mvfuse('status', '--json', '--store', url);
    assert.equal(status, 0, stderr);
    return (JSON.parse(stdout) as { daemons: Daemon[] }).daemons;
  };

  test('status shows the mounts of all of them, whichever copy of the cluster file names the store', async () => {
    const copy = join(base, 'copied.cluster');
    copyFileSync(TEST_CLUSTER_FILE!, copy);
    for (const url of [storeUrl, foundationdbUrl(copy, prefix)]) {
      const found = (await daemons(url)).map(({ daemon, mounts }) => [daemon.pid, mounts[0]!.mountpoint]);
      assert.deepEqual(found.sort(), [a!, b!].map(({ child, directory }) => [child.pid, directory]).sort());
    }
    const text = (await mvfuse('status', '--store', storeUrl)).stdout;
    for (const { child, directory } of [a!, b!]) {
      assert.ok(text.includes(`daemon   process ${child.pid},`) && text.includes(`mount    ${directory}`), text);
    }
    assert.deepEqual(await daemons(foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID())), []);
  });

  test('the API tells of the cluster, and metrics of leases and round trips', async () => {
    const name = sockets().find((name) => name.endsWith(`-${a!.child.pid}.sock`))!;
    const api = await openApi({ socketPath: join(runtime, 'mvfuse', name) });
    const { processes } = (await api.expect(200, 'GET', '/fdb/status')).json as { processes: number };
    assert.ok(processes >= 1);
    const { text } = await api.expect(200, 'GET', '/metrics');
    assert.match(text, /^mvfuse_leases 1$/m);
    assert.match(text, /^mvfuse_lease_changes_total\{change="taken"\} 1$/m);
    assert.match(text, /^mvfuse_engine_round_trips_total\{kind="commits"\} [1-9]/m);
    assert.match(text, /^mvfuse_sign_of_life_age_seconds \d/m);
    const { checks } = (await api.expect(200, 'GET', '/readyz')).json as { checks: Array<{ kind: string }> };
    assert.deepEqual(
      checks.map(({ kind }) => kind),
      ['store', 'lease', 'mount', 'namespace'],
    );
    await sqlite3(b!.path(), 'INSERT INTO t VALUES (2)');
    assert.match(
      (await api.expect(200, 'GET', '/metrics')).text,
      /^mvfuse_lease_changes_total\{change="passed-on"\} 1$/m,
    );
  });

  test('wait finds whichever daemon has the namespace', async () => {
    const { status, stderr } = await mvfuse('wait', 'other', '--ready', '--timeout', '10s', '--store', storeUrl);
    assert.equal(status, 0, stderr);
  });

  test('a daemon that was killed is not shown, and its socket is swept away by the next one', async () => {
    await b!.kill();
    assert.equal((await daemons()).length, 1);
    assert.equal(sockets().length, 2);
    b = await TestMount.start({ storeUrl, environment });
    assert.equal(sockets().length, 2);
    assert.equal((await daemons()).length, 2);
  });
});
