// The API of a daemon through its unix socket: every call of its document, with its error cases, each answer held against
// the document's schema.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Database from 'better-sqlite3';
import { type CheckedApi, openApi, operations, send, socketOf, startEmbedded } from '../support/api.js';
import { Client, run, sqlite3 } from '../support/client.js';
import type { TestMount } from '../support/mounted.js';

const NS = '/api/v1/namespaces';
let directory: string;
let mount: TestMount;
let api: CheckedApi;
let versions: string[];

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mvfuse-api-'));
  mount = await startEmbedded({ namespaces: 'mydb=test' }, ['--truncate-min-age', '1h']);
  api = await openApi(socketOf(mount));
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  for (let value = 1; value <= 4; value += 1) await sqlite3(mount.path(), `INSERT INTO t VALUES(${value})`);
  const { json } = await api.expect(200, 'GET', `${NS}/test/versions`);
  versions = (json as Array<{ version: string }>).map(({ version }) => version).reverse();
});

after(async () => {
  await mount.remove();
  rmSync(directory, { recursive: true, force: true });
});

function field({ json }: { json: unknown }, name: string): unknown {
  return (json as Record<string, unknown>)[name];
}

function error({ json }: { json: unknown }): { code: string; message: string } {
  return json as { code: string; message: string };
}

test('the document is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(api.document) as never);
  assert.ok(result.valid, JSON.stringify(result.errors));
  assert.equal(api.document.openapi, '3.1.0');
  const ids = operations(api.document).map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
});

test('namespaces: list, create, stat, rename, delete', async () => {
  await api.expect(201, 'POST', NS, { name: 'second' });
  assert.equal(error(await api.expect(409, 'POST', NS, { name: 'second' })).code, 'ALREADY_EXISTS');
  assert.match(error(await api.expect(400, 'POST', NS, { name: 'a@b' })).message, /a@b/);
  await api.expect(400, 'POST', NS, { name: 5 });
  await api.expect(400, 'POST', NS, { nam: 'x' });
  await api.expect(400, 'POST', NS, { name: 'x', more: 1 });
  const listed = (await api.expect(200, 'GET', NS)).json as Array<{ name: string }>;
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['second', 'test'],
  );
  assert.equal(((await api.expect(200, 'GET', `${NS}?prefix=sec`)).json as unknown[]).length, 1);
  await api.expect(404, 'GET', `${NS}/missing`);
  const details = (await api.expect(200, 'GET', `${NS}/test`)).json as { head: { version: string }; forks: unknown[] };
  assert.equal(details.head.version, versions.at(-1));
  assert.deepEqual(details.forks, []);
  await api.expect(200, 'PATCH', `${NS}/second`, { name: 'renamed' });
  await api.expect(404, 'GET', `${NS}/second`);
  await api.expect(409, 'PATCH', `${NS}/renamed`, { name: 'test' });
  await api.expect(404, 'PATCH', `${NS}/second`, { name: 'third' });
  await api.work('DELETE', `${NS}/renamed`);
  await api.expect(404, 'DELETE', `${NS}/renamed`);
});

test('namespaces: what was deleted is listed, comes back, and is removed for good', async () => {
  const DELETED = '/api/v1/deleted-namespaces';
  const listed = async (query = '') =>
    (await api.expect(200, 'GET', `${DELETED}${query}`)).json as Array<{ id: number }>;
  const [found] = await listed('?prefix=ren');
  assert.deepEqual(await listed(), [found]);
  assert.deepEqual(await listed('?prefix=nobody'), []);
  await api.expect(400, 'GET', `${DELETED}?prefix=a&prefix=b`);
  await api.expect(404, 'POST', `${NS}/missing/undelete`);
  await api.expect(409, 'POST', `${NS}/renamed/undelete`, { as: 'test' });
  await api.expect(400, 'POST', `${NS}/renamed/undelete`, { id: 0 });
  await api.expect(404, 'POST', `${NS}/renamed/undelete`, { id: found!.id + 1 });
  const back = (await api.expect(200, 'POST', `${NS}/renamed/undelete`, { as: 'back', id: found!.id })).json;
  assert.equal((back as { id: number }).id, found!.id);
  await api.expect(409, 'DELETE', `${NS}/back?id=${found!.id + 1}`);
  const deleted = (await api.work('DELETE', `${NS}/back?id=${found!.id}`)) as {
    droppedMs: number;
    removedAfterMs: number;
  };
  assert.equal(deleted.removedAfterMs - deleted.droppedMs, 86_400_000);
  await api.expect(200, 'POST', `${NS}/back/undelete`);
  await api.work('DELETE', `${NS}/back`);
  assert.equal(await api.work('DELETE', `${NS}/back?purge=true&force=true`), null);
  await api.expect(404, 'DELETE', `${NS}/back?purge=true`);
  assert.deepEqual(await listed(), []);
});

test('names and moments may hold whatever the store allows', async () => {
  const name = encodeURIComponent('übel & co?#%');
  await api.expect(201, 'POST', NS, { name: decodeURIComponent(name) });
  await api.expect(200, 'GET', `${NS}/${name}`);
  const long = 'n'.repeat(200);
  await api.expect(201, 'POST', NS, { name: long });
  await api.expect(200, 'GET', `${NS}/${long}`);
  await api.work('DELETE', `${NS}/${name}`);
  await api.work('DELETE', `${NS}/${long}`);
});

test('versions: log, moments, points in time', async () => {
  const log = async (query: string) =>
    (await api.expect(200, 'GET', `${NS}/test/versions${query}`)).json as Array<{ version: string; pages?: number[] }>;
  assert.equal((await log('?limit=2')).length, 2);
  assert.deepEqual((await log(`?since=${versions[2]}`)).map(({ version }) => version).reverse(), versions.slice(3));
  assert.ok((await log('?pages=true&limit=1'))[0]!.pages!.length > 0);
  await api.expect(400, 'GET', `${NS}/test/versions?limit=0`);
  await api.expect(400, 'GET', `${NS}/test/versions?limit=many`);
  await api.expect(404, 'GET', `${NS}/missing/versions`);
  assert.equal(field(await api.expect(200, 'GET', `${NS}/test/versions/latest`), 'version'), versions.at(-1));
  assert.equal(field(await api.expect(200, 'GET', `${NS}/test/versions/${versions[1]}`), 'version'), versions[1]);
  await api.expect(404, 'GET', `${NS}/test/versions/${'0'.repeat(19)}1`);
  await api.expect(400, 'GET', `${NS}/test/versions/-5x`);
  const points = (await api.expect(200, 'GET', `/api/v1/time-points?timeMs=${Date.now() + 1e6}&namespace=test`)).json;
  assert.equal((points as { notAfter: { version: string } }).notAfter.version, versions.at(-1));
  await api.expect(400, 'GET', '/api/v1/time-points');
});

test('change files out and in', async () => {
  const out = await api.expect(200, 'GET', `${NS}/test/changes?since=first&until=${versions[2]}`);
  const header = JSON.parse(decodeURIComponent(String(out.headers['x-mvfuse-changes']))) as { to: string };
  assert.equal(header.to, versions[2]);
  await api.expect(404, 'GET', `${NS}/missing/changes?since=first`);
  await api.expect(400, 'GET', `${NS}/test/changes?since=-5x`);
  const apply = (raw: Buffer, target = 'replica') => api.call('POST', `${NS}/${target}/changes`, { raw });
  const applied = await apply(out.bytes);
  assert.equal(applied.status, 200, applied.text);
  const { created, head } = applied.json as { created: boolean; head: { version: string } };
  assert.ok(created);
  const again = (await apply(out.bytes)).json as { appliedVersions: number; head: { version: string } };
  assert.deepEqual([again.appliedVersions, again.head.version], [0, head.version]);
  const content = async (name: string, version: string) =>
    (await api.expect(200, 'GET', `${NS}/${name}/content?moment=${version}`)).bytes;
  assert.deepEqual(await content('replica', head.version), await content('test', versions[2]!));
  const damaged = Buffer.from(out.bytes);
  damaged[damaged.length - 40]! ^= 1;
  assert.equal((await apply(damaged, 'broken')).status, 500);
  assert.equal((await apply(out.bytes, 'test')).status, 409);
});

test('content out and in, and the check of its pages', async () => {
  const { text, headers } = await api.expect(200, 'GET', `${NS}/test/content?moment=${versions[2]}`);
  const head = JSON.parse(headers['x-mvfuse-head'] as string) as { sizeBytes: number; version: string };
  assert.equal(head.version, versions[2]);
  assert.equal(Number(headers['content-length']), head.sizeBytes);
  assert.ok(text.startsWith('SQLite format 3'));
  await api.expect(404, 'GET', `${NS}/missing/content`);

  const file = join(directory, 'in.db');
  await sqlite3(file, 'CREATE TABLE other(x); INSERT INTO other VALUES(7)');
  await api.expect(201, 'POST', NS, { name: 'content' });
  const put = (raw: Buffer | string, target = 'content') => api.call('PUT', `${NS}/${target}/content`, { raw });
  assert.equal((await put(readFileSync(file))).status, 200);
  assert.equal((await put('no database')).status, 400);
  assert.equal((await put(readFileSync(file), 'missing')).status, 404);
  const chunked = await run('curl', [
    ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', String(api.target.socketPath)],
    ...['-T', '-', `http://x${NS}/content/content`],
  ]);
  assert.equal(chunked.stdout, '411');
  const curled = await run('curl', [
    '-s',
    '--unix-socket',
    String(api.target.socketPath),
    '-T',
    file,
    `http://x${NS}/content/content`,
  ]);
  assert.match(curled.stdout, /"pageCount":\d+/, 'with Expect: 100-continue');
  const checked = (await api.work('POST', `${NS}/content/check`)) as { head: { sizeBytes: number }; bytes: number };
  assert.equal(checked.bytes, checked.head.sizeBytes);
  await api.expect(404, 'POST', `${NS}/missing/check`, { moment: 'latest' });
});

test('an error after the first bytes reaches the client', async () => {
  await api.expect(201, 'POST', NS, { name: 'damaged' });
  const file = join(directory, 'large.db');
  await sqlite3(file, 'CREATE TABLE t AS SELECT hex(randomblob(2000)) FROM generate_series(1, 2000)');
  await api.call('PUT', `${NS}/damaged/content`, { raw: readFileSync(file) });
  const data = new Database(join(mount.base, 'store', 'data.sqlite'));
  const { id, value } = data
    .prepare('SELECT id, value FROM content WHERE length(value) > 4000 ORDER BY id DESC LIMIT 1')
    .get() as { id: number; value: Buffer };
  value[value.length - 1]! ^= 1;
  data.prepare('UPDATE content SET value = ? WHERE id = ?').run(value, id);
  data.close();
  const trailed = await api.call('GET', `${NS}/damaged/content`, { headers: { te: 'trailers' } });
  assert.equal(trailed.status, 200);
  const told = JSON.parse(decodeURIComponent(trailed.headers['x-mvfuse-error'] as string)) as { code: string };
  assert.equal(told.code, 'CORRUPT');
  await assert.rejects(api.call('GET', `${NS}/damaged/content`), /aborted|hang up|ECONNRESET/, 'no whole answer');
  const { status, lines } = await api.call('POST', `${NS}/damaged/check`);
  // Found before or after the first line of progress.
  if (status === 200) assert.equal((lines.at(-1)!.error as { code: string }).code, 'CORRUPT');
  else assert.equal(status, 500);
  await api.work('DELETE', `${NS}/damaged`);
});

test('tags', async () => {
  const tag = (await api.expect(200, 'PUT', `${NS}/test/tags/first`, { moment: versions[0] })).json as {
    version: string;
  };
  assert.equal(tag.version, versions[0]);
  await api.expect(409, 'PUT', `${NS}/test/tags/first`, { moment: versions[1] });
  await api.expect(200, 'PUT', `${NS}/test/tags/first`, { moment: versions[1], move: true });
  await api.expect(400, 'PUT', `${NS}/test/tags/latest`, { moment: versions[1] });
  await api.expect(404, 'PUT', `${NS}/missing/tags/first`, { moment: 'latest' });
  assert.equal(field(await api.expect(200, 'GET', `${NS}/test/versions/first`), 'version'), versions[1]);
  assert.equal(((await api.expect(200, 'GET', `${NS}/test/tags`)).json as unknown[]).length, 1);
  await api.expect(404, 'GET', `${NS}/missing/tags`);
  await api.expect(204, 'DELETE', `${NS}/test/tags/first`);
  await api.expect(404, 'DELETE', `${NS}/test/tags/first`);
});

test('fork, diff and rollback', async () => {
  const fork = (await api.work('POST', `${NS}/test/forks`, { name: 'forked', moment: versions[2] })) as {
    name: string;
  };
  assert.equal(fork.name, 'forked');
  await api.expect(409, 'POST', `${NS}/test/forks`, { name: 'forked' });
  await api.expect(404, 'POST', `${NS}/missing/forks`, { name: 'x' });
  assert.equal(error(await api.expect(409, 'DELETE', `${NS}/test?purge=true`)).code, 'CONFLICT');
  const same = (await api.work('GET', `/api/v1/diff?from=test@${versions[2]}&to=forked`)) as { pages: number[] };
  assert.deepEqual(same.pages, []);
  const differs = (await api.work('GET', `/api/v1/diff?from=test@${versions[2]}&to=test`)) as { pages: number[] };
  assert.ok(differs.pages.length > 0);
  await api.expect(404, 'GET', '/api/v1/diff?from=test&to=missing');
  await api.expect(400, 'GET', '/api/v1/diff?from=test');
  const dry = (await api.work('POST', `${NS}/test/rollback`, { moment: versions[2], dryRun: true })) as {
    head: { version: string };
  };
  assert.equal(dry.head.version, versions.at(-1));
  await api.work('POST', `${NS}/test/rollback`, { moment: versions[2] });
  assert.equal(await sqlite3(mount.path(), 'SELECT max(a) FROM t'), '2');
  await api.work('POST', `${NS}/test/rollback`, { moment: versions.at(-1) });
  assert.equal(await sqlite3(mount.path(), 'SELECT max(a) FROM t'), '4');
  await api.expect(404, 'POST', `${NS}/test/rollback`, { moment: 'nowhere' });
  await api.work('DELETE', `${NS}/forked?purge=true&force=true`);
});

test('maintenance locks', async () => {
  const lock = (await api.expect(200, 'PUT', `${NS}/test/lock`, { owner: 'me' })).json as { owner: string };
  assert.equal(lock.owner, 'me');
  await api.expect(423, 'PUT', `${NS}/test/lock`, { owner: 'you' });
  await api.expect(404, 'PUT', `${NS}/missing/lock`, { owner: 'you' });
  await api.expect(409, 'POST', `${NS}/test/unlock`, { owner: 'you', how: 'commit' });
  await api.expect(400, 'POST', `${NS}/test/unlock`, { owner: 'me', how: 'maybe' });
  await api.expect(200, 'POST', `${NS}/test/unlock`, { owner: 'me', how: 'commit' });
});

test('retention, truncate and collect', async () => {
  await api.expect(204, 'PUT', `${NS}/test/retention`, { keepVersions: 100 });
  await api.expect(400, 'PUT', `${NS}/test/retention`, { keepVersion: 100 });
  await api.expect(404, 'PUT', `${NS}/missing/retention`, { keepVersions: 100 });
  assert.equal(field(await api.expect(200, 'GET', `${NS}/test`), 'hasOwnRetention'), true);
  await api.expect(204, 'DELETE', `${NS}/test/retention`);
  await api.expect(404, 'DELETE', `${NS}/missing/retention`);
  await api.expect(204, 'PUT', '/api/v1/retention', { keepMs: 86_400_000 });
  await api.expect(400, 'PUT', '/api/v1/retention', { keepMs: 'long' });
  assert.deepEqual((await api.expect(200, 'GET', '/api/v1/retention')).json, { keepMs: 86_400_000 });
  await api.expect(204, 'DELETE', '/api/v1/retention');
  const young = error(await api.expect(403, 'POST', `${NS}/test/truncate`, { moment: versions[3], dryRun: true }));
  assert.match(young.message, /--truncate-min-age/);
  await api.expect(404, 'POST', `${NS}/missing/truncate`, { moment: 'latest' });
  assert.ok(Array.isArray(await api.work('POST', '/api/v1/collect')));
  assert.equal(
    ((await api.work('POST', '/api/v1/collect', { namespace: 'test', dryRun: true })) as unknown[]).length,
    1,
  );
  await api.expect(404, 'POST', '/api/v1/collect', { namespace: 'missing' });
});

test('access proofs', async () => {
  await api.expect(201, 'POST', NS, { name: 'secret' });
  await api.expect(204, 'PUT', `${NS}/secret/access-proof`, { proof: 'ab'.repeat(32) });
  assert.equal(field(await api.expect(200, 'GET', `${NS}/secret`), 'isProtected'), true);
  await api.expect(400, 'PUT', `${NS}/secret/access-proof`, { proof: 'short' });
  await api.expect(404, 'PUT', `${NS}/missing/access-proof`, { proof: 'ab'.repeat(32) });
  await api.expect(204, 'DELETE', `${NS}/secret/access-proof`);
  await api.expect(404, 'DELETE', `${NS}/missing/access-proof`);
  await api.work('DELETE', `${NS}/secret`);
});

test('modes', async () => {
  await api.expect(201, 'POST', NS, { name: 'private' });
  const mode = async () => field(await api.expect(200, 'GET', `${NS}/private`), 'mode');
  assert.equal(await mode(), undefined);
  await api.expect(204, 'PUT', `${NS}/private/mode`, { mode: 0o600 });
  assert.equal(await mode(), 0o600);
  await api.expect(204, 'PUT', `${NS}/private/mode`, { mode: 0 });
  assert.equal(await mode(), 0);
  for (const wrong of [0o1000, -1, '600']) await api.expect(400, 'PUT', `${NS}/private/mode`, { mode: wrong });
  await api.expect(404, 'PUT', `${NS}/missing/mode`, { mode: 0o600 });
  await api.expect(204, 'DELETE', `${NS}/private/mode`);
  assert.equal(await mode(), undefined);
  await api.expect(404, 'DELETE', `${NS}/missing/mode`);
  await api.work('DELETE', `${NS}/private`);
});

test('status, health and metrics', async () => {
  const client = new Client();
  await client.open(mount.path());
  await client.exec('BEGIN IMMEDIATE');
  const status = (await api.expect(200, 'GET', '/api/v1/status')).json as {
    mounts: Array<{ files: Array<{ writer?: object }> }>;
  };
  assert.ok(status.mounts[0]!.files[0]!.writer);
  await client.kill();
  await api.expect(200, 'GET', '/healthz');
  const { checks } = (await api.expect(200, 'GET', '/readyz')).json as {
    checks: Array<{ kind: string; name: string }>;
  };
  assert.deepEqual(
    checks.map(({ kind, name }) => [kind, name]),
    [
      ['store', ''],
      ['mount', mount.directory],
      ['namespace', 'test'],
    ],
  );
  assert.match((await api.expect(200, 'GET', '/metrics')).text, /^mvfuse_process_resident_memory_bytes \d+/m);
});

test('what is not served, and bodies that are no JSON or too long', async () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/api/v1/nothing'],
    ['POST', '/healthz'],
    ['HEAD', '/healthz'],
  ] as const) {
    assert.equal((await send(api.target, method, path)).status, 404, `${method} ${path}`);
  }
  assert.equal((await api.call('POST', NS, { raw: '{"name":' })).status, 400);
  assert.equal((await api.call('POST', NS, { raw: '' })).status, 400);
  assert.equal((await api.call('POST', NS, { raw: JSON.stringify({ name: 'x'.repeat(70_000) }) })).status, 413);
  assert.equal((await send(api.target, 'GET', `${NS}/%E0%A4%A`)).status, 400);
});

test('every call of /api/v1 was seen to succeed and, but where nothing can be wrong, to fail', () => {
  const infallible = [
    'defaultRetention',
    'clearDefaultRetention',
    'status',
    'healthz',
    'readyz',
    'metrics',
    'openapi',
    'listNamespaces',
  ];
  for (const { operation, route } of operations(api.document)) {
    const { operationId } = operation;
    if (operationId.startsWith('mvstore') || operationId === 'openapi') continue;
    const statuses = [...(api.seen.get(operationId) ?? [])];
    const forbidden = operationId === 'truncate';
    assert.ok(
      forbidden || statuses.some((status) => status < 300),
      `${operationId} (${route}) was not seen to succeed`,
    );
    assert.ok(
      infallible.includes(operationId) || statuses.some((status) => status >= 400),
      `${operationId} was not seen to fail`,
    );
  }
});
