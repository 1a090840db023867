// The calls of mvstore's admin API: their names, bodies and status codes, as a client of mvstore sends and expects them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CheckedApi, openApi, operations, socketOf, startEmbedded } from '../support/api.js';
import { run, sqlite3 } from '../support/client.js';
import type { TestMount } from '../support/mounted.js';

let mount: TestMount;
let api: CheckedApi;
let versions: string[];

before(async () => {
  mount = await startEmbedded({ namespaces: 'mydb=test' });
  api = await openApi(socketOf(mount));
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  for (let value = 1; value <= 4; value += 1) await sqlite3(mount.path(), `INSERT INTO t VALUES(${value})`);
  const { json } = await api.expect(200, 'GET', '/api/v1/namespaces/test/versions');
  versions = (json as Array<{ version: string }>).map(({ version }) => version).reverse();
});

after(() => mount.remove());

interface Stat {
  readonly nskey: string;
  readonly nsid: string;
  readonly metadata: {
    readonly lock: { owner: string } | null;
    readonly overlay_base: { ns_id: string; snapshot_version: string } | null;
    readonly truncated_before: string;
  };
}

interface Version {
  readonly version: string;
}

async function stat(key: string): Promise<Stat> {
  return (await api.expect(200, 'POST', '/api/stat_namespace', { key })).json as Stat;
}

test('as its README calls it: curl -d, with metadata that is empty', async () => {
  const body = '{"key":"curled","metadata":""}';
  const socket = ['--unix-socket', String(api.target.socketPath)];
  const { stdout } = await run('curl', ['-s', '-i', ...socket, 'http://x/api/create_namespace', '-d', body]);
  assert.match(stdout, /^HTTP\/1.1 201 /);
});

test('create: 201, 422 for one that exists, 400', async () => {
  await api.expect(201, 'POST', '/api/create_namespace', { key: 'one' });
  await api.expect(422, 'POST', '/api/create_namespace', { key: 'one' });
  await api.expect(400, 'POST', '/api/create_namespace', {});
  await api.expect(400, 'POST', '/api/create_namespace', { key: 'a@b' });
  const refused = await api.expect(400, 'POST', '/api/create_namespace', { key: 'two', metadata: { tier: 'gold' } });
  assert.match(refused.text, /keeps no metadata/);
  await api.expect(404, 'POST', '/api/stat_namespace', { key: 'two' });
});

test('overlays: 409 for a version that is gone, or a base that is locked', async () => {
  const { nsid } = await stat('test');
  const overlay = (key: string, version: string, id = nsid) => ({
    key,
    overlay_base: { ns_id: id, snapshot_version: version },
  });
  await api.expect(201, 'POST', '/api/create_namespace', overlay('overlay', versions[2]!));
  assert.deepEqual((await stat('overlay')).metadata.overlay_base, { ns_id: nsid, snapshot_version: versions[2] });
  await api.expect(422, 'POST', '/api/create_namespace', overlay('overlay', versions[2]!));
  await api.expect(409, 'POST', '/api/create_namespace', overlay('other', `${'0'.repeat(19)}1`));
  await api.expect(400, 'POST', '/api/create_namespace', overlay('other', versions[2]!, 'f'.repeat(20)));
  assert.match((await api.expect(409, 'POST', '/api/delete_namespace', { key: 'test' })).text, /fork|overlay/);
  await api.expect(200, 'POST', '/api/delete_namespace', { key: 'overlay' });
});

test('overlays of what was deleted: 409 while they are there, and their base keeps its id', async () => {
  const make = async (key: string, base: Stat) => {
    const [newest] = (await api.expect(200, 'GET', `/api/v1/namespaces/${base.nskey}/versions`)).json as Version[];
    const overlay = { ns_id: base.nsid, snapshot_version: newest!.version };
    await api.expect(201, 'POST', '/api/create_namespace', { key, overlay_base: overlay });
    return stat(key);
  };
  const base = await make('base', await stat('test'));
  await make('top', base);
  await api.expect(409, 'POST', '/api/delete_namespace', { key: 'base' });
  await api.work('DELETE', '/api/v1/namespaces/base');
  await api.expect(201, 'POST', '/api/create_namespace', { key: 'base' });
  assert.equal((await stat('top')).metadata.overlay_base?.ns_id, base.nsid);
  await api.expect(200, 'POST', '/api/delete_namespace', { key: 'base' });
  await api.expect(200, 'POST', '/api/v1/namespaces/base/undelete', { id: Number.parseInt(base.nsid, 16) });
  await api.expect(409, 'POST', '/api/delete_namespace', { key: 'base' });
  await api.expect(200, 'POST', '/api/delete_namespace', { key: 'top' });
  // Deleted before it: what is left of that keeps nobody from deleting.
  await api.expect(200, 'POST', '/api/delete_namespace', { key: 'base' });
});

test('rename and delete', async () => {
  await api.expect(200, 'POST', '/api/rename_namespace', { old_key: 'one', new_key: 'uno' });
  await api.expect(404, 'POST', '/api/rename_namespace', { old_key: 'one', new_key: 'due' });
  await api.expect(422, 'POST', '/api/rename_namespace', { old_key: 'uno', new_key: 'test' });
  await api.expect(400, 'POST', '/api/rename_namespace', { old_key: 'uno' });
  await api.expect(200, 'POST', '/api/delete_namespace', { key: 'uno' });
  await api.expect(404, 'POST', '/api/delete_namespace', { key: 'uno' });
});

test('list: a line each, by prefix', async () => {
  const { lines } = await api.expect(200, 'GET', '/api/list_namespace?prefix=te');
  assert.deepEqual(
    lines.map(({ nskey }) => nskey),
    ['test'],
  );
  assert.equal((await api.expect(200, 'GET', '/api/list_namespace?prefix=nobody')).text, '');
});

test('stat tells of a lock', async () => {
  await api.expect(200, 'PUT', '/api/v1/namespaces/test/lock', { owner: 'me' });
  assert.equal((await stat('test')).metadata.lock?.owner, 'me');
  const { nsid } = await stat('test');
  const overlay_base = { ns_id: nsid, snapshot_version: versions.at(-1)! };
  const onTop = { key: 'of-locked', overlay_base };
  assert.match((await api.expect(409, 'POST', '/api/create_namespace', onTop)).text, /locked/);
  await api.expect(200, 'POST', '/api/v1/namespaces/test/unlock', { owner: 'me', how: 'commit' });
  assert.equal((await stat('test')).metadata.lock, null);
});

test('time2version: around a second, and the current version', async () => {
  const now = (await api.expect(200, 'GET', '/time2version?t=0')).json as {
    after: { version: string };
    not_after: null;
  };
  assert.equal(now.after.version, versions.at(-1));
  const second = Math.floor(Date.now() / 1000);
  const later = (await api.expect(200, 'GET', `/time2version?t=${second + 1000}`)).json as typeof now;
  assert.equal(later.after.version, versions.at(-1));
  assert.equal(later.not_after, null);
  const earlier = (await api.expect(200, 'GET', `/time2version?t=${second - 1000}`)).json as {
    after: null;
    not_after: { version: string };
  };
  assert.equal(earlier.after, null);
  assert.equal(earlier.not_after.version, versions[0]);
  await api.expect(400, 'GET', '/time2version');
  await api.expect(400, 'GET', '/time2version?t=now');
});

test('truncate is a dry run unless it is applied, and streams', async () => {
  await api.expect(404, 'POST', '/api/truncate_namespace', { key: 'missing', before_version: versions[2] });
  await api.expect(400, 'POST', '/api/truncate_namespace', { key: 'test', before_version: 'xyz' });
  const dry = (await api.work('POST', '/api/truncate_namespace', { key: 'test', before_version: versions[2] })) as {
    dryRun: boolean;
    versions: number;
  };
  assert.equal(dry.dryRun, true);
  assert.ok(dry.versions > 0);
  await api.expect(200, 'GET', `/api/v1/namespaces/test/versions/${versions[0]}`);
  await api.work('POST', '/api/truncate_namespace', { key: 'test', before_version: versions[2], apply: true });
  await api.expect(410, 'GET', `/api/v1/namespaces/test/versions/${versions[0]}`);
  assert.equal((await stat('test')).metadata.truncated_before, versions[2]);
  await api.expect(409, 'POST', '/api/create_namespace', {
    key: 'of-gone',
    overlay_base: { ns_id: (await stat('test')).nsid, snapshot_version: versions[0] },
  });
  assert.equal(await sqlite3(mount.path(), 'SELECT sum(a) FROM t'), '10');
});

test('delete_unreferenced_content is a dry run unless it is applied', async () => {
  const [dry] = (await api.work('POST', '/api/delete_unreferenced_content', { key: 'test' })) as [{ dryRun: boolean }];
  assert.equal(dry.dryRun, true);
  await api.work('POST', '/api/delete_unreferenced_content', { key: 'test', apply: true });
  await api.expect(404, 'POST', '/api/delete_unreferenced_content', { key: 'missing' });
});

test('an embedded store is in no cluster', async () => {
  assert.match((await api.expect(404, 'GET', '/fdb/status')).text, /embedded/);
});

test('each of them was seen to fail and, where there is no cluster, to succeed', () => {
  for (const { operation } of operations(api.document)) {
    const { operationId } = operation;
    if (!operationId.startsWith('mvstore')) continue;
    const statuses = [...(api.seen.get(operationId) ?? [])];
    assert.ok(operationId === 'mvstoreFdbStatus' || statuses.some((status) => status < 300), operationId);
    assert.ok(operationId === 'mvstoreListNamespace' || statuses.some((status) => status >= 400), operationId);
  }
});
