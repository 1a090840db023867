// The commands while a daemon has the store: they reach it through its socket, and the programs that have the databases open see
// at once what they did.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, type ClientError, run, sqlite3 } from '../support/client.js';
import { Commands } from '../support/command.js';
import { TestMount } from '../support/mounted.js';

let base: string;
let mvfuse: Commands;
let replica: Commands;
let mount: TestMount;
const client = new Client();

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-through-'));
  mvfuse = new Commands(`sqlite:${join(base, 'store')}`);
  replica = new Commands(`sqlite:${join(base, 'replica')}`);
  mount = await TestMount.start({ base, namespaces: 'mydb=test,other=other' });
  await client.open(mount.path(), 0, { timeout: 0.1 });
  await client.script('CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)');
});

after(async () => {
  await client.kill();
  await mount.remove();
});

const ids = async (): Promise<unknown[]> => (await client.exec('SELECT id FROM t ORDER BY id')).flat();

test('tags, log and diff', async () => {
  const tag = await mvfuse.json('tag', 'add', 'test', 'one');
  await client.exec('INSERT INTO t VALUES(2)');
  assert.equal(await sqlite3(mount.path('mydb@one'), 'SELECT count(*) FROM t'), '1');
  const [newest] = await mvfuse.json('log', 'test', '--since', 'one', '--pages');
  assert.ok(newest.version > tag.version && newest.pages.includes(2));
  assert.deepEqual((await mvfuse.json('log', 'test'))[1].tags, ['one']);
  assert.deepEqual((await mvfuse.json('diff', 'test@one', 'test', '--no-sql')).pages, [[2, 2]]);
  assert.equal((await mvfuse.json('tag', 'list', 'test')).length, 1);
  await mvfuse.refused(4, /has a tag "one" already/, 'tag', 'add', 'test', 'one');
  await mvfuse.refused(3, /no tag "nothing"/, 'tag', 'rm', 'test', 'nothing');
});

test('a rollback is seen by who has the database open, and waits for who writes it', async () => {
  assert.deepEqual(await ids(), [1, 2]);
  assert.match(await mvfuse.done('rollback', 'test@one', '--dry-run'), /would write 2 pages/);
  await mvfuse.done('rollback', 'test@one');
  assert.deepEqual(await ids(), [1]);
  assert.match(await mvfuse.done('rollback', 'test@one'), /nothing to do/);
  await client.exec('BEGIN IMMEDIATE');
  await client.exec('INSERT INTO t VALUES(3)');
  const waiting = mvfuse.run('rollback', 'test@one');
  await client.exec('COMMIT');
  assert.equal((await waiting).status, 0);
  const seen = await ids();
  assert.ok(seen.length === 1 || seen.length === 2, 'before the commit or after it');
});

test('forks, locks, settings, names', async () => {
  assert.equal((await mvfuse.json('fork', 'test@one', 'fork')).parent.namespace, 'test');
  await mvfuse.done('lock', 'test', '--owner', 'upgrade');
  await assert.rejects(client.exec('INSERT INTO t VALUES(50)'), (error: ClientError) =>
    error.code.startsWith('SQLITE_BUSY'),
  );
  await sqlite3(mount.path('mydb@lock:upgrade'), 'INSERT INTO t VALUES(60)');
  assert.equal((await ids()).includes(60), false);
  await mvfuse.refused(5, /locked for maintenance by "upgrade"/, 'rollback', 'test@one');
  const head = await mvfuse.json('unlock', 'test', '--owner', 'upgrade', '--commit');
  assert.equal(head.how, 'commit');
  assert.equal((await ids()).includes(60), true);
  assert.deepEqual((await mvfuse.json('ns', 'set', 'test', 'keep=1h', 'keep-versions=2')).retention, {
    keepMs: 3_600_000,
    keepVersions: 2,
  });
  assert.equal((await mvfuse.json('ns', 'set', 'fork', 'keep=default')).hasOwnRetention, false);
  await mvfuse.done('ns', 'rename', 'fork', 'renamed');
  assert.deepEqual((await mvfuse.json('ns', 'list', '--prefix', 're')).length, 1);
  await mvfuse.refused(5, /has forks/, 'ns', 'delete', 'test', '--purge', '--yes');
  assert.match(await mvfuse.done('ns', 'delete', 'renamed', '--yes'), /^deleted renamed; until /);
  const [{ id }] = await mvfuse.json('ns', 'list', '--deleted');
  assert.equal((await mvfuse.json('ns', 'undelete', 'renamed', '--id', String(id), '--as', 'back')).id, id);
  assert.equal(await mvfuse.done('ns', 'delete', 'back', '--purge', '--yes'), 'removed back for good\n');
});

test('a namespace that is deleted under a mount is read and written on, and comes back with that', async () => {
  await mvfuse.done('ns', 'delete', 'test', '--yes');
  await client.exec('INSERT INTO t VALUES(70)');
  assert.equal((await ids()).includes(70), true);
  await mvfuse.refused(3, /no namespace "test"/, 'log', 'test');
  await mvfuse.done('ns', 'undelete', 'test');
  await client.exec('INSERT INTO t VALUES(71)');
  assert.deepEqual((await ids()).slice(-2), [70, 71]);
});

test('versions are removed by hand and by policy; status tells', async () => {
  const before = (await mvfuse.json('log', 'test')).length;
  const dry = await mvfuse.json('truncate', 'test', '--before', 'latest', '--dry-run');
  assert.ok(dry.versions > 0 && dry.dryRun);
  assert.equal((await mvfuse.json('log', 'test')).length, before);
  const done = await mvfuse.json('truncate', 'test', '--before', 'latest');
  assert.equal(done.versions, dry.versions);
  assert.match(
    await mvfuse.done('status'),
    /\nremoval +last run .*, \d+ versions removed(?:.*\n)+ {2}test is kept from /,
  );
  assert.equal((await mvfuse.json('gc')).length, 2);
  const { retention } = await mvfuse.json('status');
  assert.ok(retention.versions >= done.versions && retention.failures === 0);
  assert.match(await mvfuse.done('truncate', 'test', '--before', '-5m'), /^test: 0 versions removed/);
});

test('a replica of a database that goes on being written, and one that is mounted itself', async () => {
  let since = 'first';
  let isDone = false;
  const writing = (async () => {
    for (let id = 1000; !isDone; id += 1) await client.exec(`INSERT INTO t VALUES(${id})`);
  })();
  for (let link = 0; link < 4; link += 1) {
    const file = join(base, `link-${link}`);
    const { to } = await mvfuse.json('export', 'test', '--since', since, file);
    assert.equal((await replica.json('apply', file, 'test')).to, to);
    since = to;
  }
  isDone = true;
  await writing;
  const pipe = [mvfuse.words('export', 'test', '--since', since, '-'), mvfuse.words('apply', '-', 'other')];
  const script = `set -o pipefail; n=${pipe[0]!.length}; "\${@:1:$n}" | "\${@:$((n + 1))}"`;
  // Onto a mounted database of the same store; it has no beginning of the chain.
  const refused = await run('bash', ['-c', script, 'bash', ...pipe.flat()]);
  assert.equal(refused.status, 5, refused.stderr);
  assert.match(refused.stderr, /"other" has no version yet: apply the file that begins the chain first/);
  for (const file of ['link-0', 'link-1', 'link-2', 'link-3']) await mvfuse.done('apply', join(base, file), 'other');
  const applied = await run('bash', ['-c', script, 'bash', ...pipe.flat()]);
  assert.equal(applied.status, 0, applied.stderr);
  assert.equal(await sqlite3(mount.path('other'), 'SELECT count(*) FROM t'), String((await ids()).length));
  assert.equal(
    await sqlite3(mount.path('other'), 'SELECT group_concat(id) FROM t; PRAGMA integrity_check'),
    await sqlite3(mount.path(), 'SELECT group_concat(id) FROM t; PRAGMA integrity_check'),
  );
  await mvfuse.refused(3, /no tag "nothing"/, 'export', 'test', '--since', 'nothing', join(base, 'x'));
  await sqlite3(mount.path('other'), 'INSERT INTO t VALUES(-1)');
  await mvfuse.refused(5, /its own and no copy/, 'apply', join(base, 'link-3'), 'other');
});
