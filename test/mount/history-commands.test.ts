// tag, log, diff, rollback, fork, truncate, gc, lock and unlock through the real binary: what they do, print and refuse.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, sqlite3 } from '../support/client.js';
import { Commands } from '../support/command.js';
import { TestMount } from '../support/mounted.js';

const MISSING = `${'0'.repeat(19)}1`;
const VERSION = '[0-9a-f]{20}';

let base: string;
let mvfuse: Commands;
/** Of namespace "test", the oldest first: each has one row more than the one before. */
const versions: string[] = [];

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-history-commands-'));
  mvfuse = new Commands(`sqlite:${join(base, 'store')}`, [`TMPDIR=${base}`]);
  await withMount('mydb=test', async (mount) => {
    await sqlite3(mount.path(), 'CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)');
    for (const id of [1, 2, 3]) await sqlite3(mount.path(), `INSERT INTO t VALUES(${id}, 'row ${id}')`);
  });
  for (const { version } of await mvfuse.json('log', 'test')) versions.unshift(version);
  assert.equal(versions.length, 4);
});

after(() => rmSync(base, { recursive: true, force: true }));

async function withMount(namespaces: string, use: (mount: TestMount) => Promise<unknown>): Promise<void> {
  const mount = await TestMount.start({ base, namespaces });
  try {
    await use(mount);
  } finally {
    assert.equal(await mount.unmount(), 0);
  }
}

/** The rows of a version. */
async function rows(target: string): Promise<string> {
  const file = join(base, 'rows.db');
  await mvfuse.done('export', target, file, '--force');
  return sqlite3(file, 'SELECT group_concat(id) FROM t');
}

test('every command explains itself with examples', async () => {
  await mvfuse.explained('log', 'tag add', 'tag list', 'tag rm', 'diff', 'rollback', 'fork');
  await mvfuse.explained('truncate', 'gc', 'lock', 'unlock', 'status');
});

test('tags: add, move, list, remove; they are moments, and shown in the log', async () => {
  assert.equal(await mvfuse.done('tag', 'add', `test@${versions[1]}`, 'v1'), `test@v1 is version ${versions[1]}\n`);
  const tag = await mvfuse.json('tag', 'add', 'test', 'Grün');
  assert.deepEqual([tag.namespace, tag.name, tag.version], ['test', 'Grün', versions[3]]);
  await mvfuse.refused(4, /has a tag "v1" already, for version/, 'tag', 'add', 'test', 'v1');
  await mvfuse.done('tag', 'add', `test@${versions[2]}`, 'v1', '--move');
  assert.equal(await rows('test@v1'), '1,2');
  await mvfuse.done('tag', 'add', `test@${versions[1]}`, 'v1', '--move');
  const tags = (await mvfuse.json('tag', 'list', 'test')) as Array<{ name: string; version: string }>;
  assert.deepEqual(
    tags.map(({ name, version }) => [name, version]),
    [
      ['Grün', versions[3]],
      ['v1', versions[1]],
    ],
  );
  assert.match(
    await mvfuse.done('tag', 'list', 'test'),
    new RegExp(`^NAME +VERSION +TAGGED\nGrün +${VERSION} .*\nv1 `),
  );
  assert.match(
    await mvfuse.done('log', 'test'),
    new RegExp(`SIZE  TAGS\n${versions[3]} .* Grün\n${versions[2]} .* -\n`),
  );
  assert.equal(await mvfuse.done('tag', 'rm', 'test', 'Grün'), 'test has no tag Grün any more\n');
  assert.deepEqual(
    await mvfuse.json('tag', 'add', 'test', 'gone').then(() => mvfuse.json('tag', 'rm', 'test', 'gone')),
    {
      namespace: 'test',
      removed: 'gone',
    },
  );
  await mvfuse.refused(3, /no tag "Grün"/, 'tag', 'rm', 'test', 'Grün');
  await mvfuse.refused(3, /no namespace "missing"/, 'tag', 'list', 'missing');
  await mvfuse.refused(3, /has no version/, 'tag', 'add', `test@${MISSING}`, 'x');
  await mvfuse.refused(2, /cannot be a tag/, 'tag', 'add', 'test', '12');
  await mvfuse.refused(2, /names that begin with "lock:"/, 'tag', 'add', 'test', 'lock:me');
  await mvfuse.refused(2, /missing required argument/, 'tag', 'add', 'test');
});

test('log: since a moment, which pages', async () => {
  const since = async (moment: string) =>
    ((await mvfuse.json('log', 'test', '--since', moment)) as Array<{ version: string }>).map(({ version }) => version);
  const newestFirst = versions.toReversed();
  assert.deepEqual(await since('v1'), newestFirst.slice(0, 2));
  assert.deepEqual(await since(versions[2]!), newestFirst.slice(0, 1));
  assert.deepEqual(await since('latest'), []);
  assert.deepEqual(await since('-5m'), newestFirst);
  assert.deepEqual(await since('-1ms'), []);
  const [newest] = await mvfuse.json('log', 'test', '--pages', '--limit', '1');
  assert.ok(Array.isArray(newest.pages) && newest.pages.length === newest.pageCount);
  assert.match(await mvfuse.done('log', 'test', '--pages'), / WRITTEN\n.* 1-2\n/);
  await mvfuse.refused(3, /no tag "nothing"/, 'log', 'test', '--since', 'nothing');
  await mvfuse.refused(2, /a moment is a version/, 'log', 'test', '--since', '-5x');
});

test('diff: pages as runs', async () => {
  const report = await mvfuse.json('diff', `test@${versions[1]}`, 'test@latest', '--no-sql');
  assert.deepEqual([report.from.version, report.to.version], [versions[1], versions[3]]);
  assert.deepEqual([report.pageCount, report.pages], [1, [[2, 2]]]);
  assert.deepEqual([report.from.namespace, 'sql' in report], ['test', false]);
  const text = await mvfuse.done('diff', 'test@v1', 'test', '--no-sql');
  assert.match(text, new RegExp(`^from  test@${versions[1]} .*\nto    test@${versions[3]} .*\n1 page differs: 2\n$`));
  const same = await mvfuse.run('diff', 'test@v1', `test@${versions[1]}`);
  assert.match(same.stdout, /\nno page differs\n$/);
  assert.match(same.stderr, /no statements: the versions are the same/);
  await mvfuse.refused(3, /no namespace "missing"/, 'diff', 'test', 'missing');
  await mvfuse.refused(3, /has no version/, 'diff', 'test', `test@${MISSING}`);
  await mvfuse.refused(2, /missing required argument/, 'diff', 'test');
});

test('diff without sqldiff says so and where it is', async () => {
  const poor = new Commands(`sqlite:${join(base, 'store')}`, ['PATH=/nonexistent', `TMPDIR=${base}`]);
  const outcome = await poor.run('diff', 'test@v1', 'test');
  assert.equal(outcome.status, 0, outcome.stderr);
  assert.match(outcome.stdout, /1 page differs/);
  assert.match(outcome.stderr, /no statements: sqldiff is not installed \(Debian: apt-get install sqlite3-tools\)/);
  const report = await poor.json('diff', 'test@v1', 'test');
  assert.deepEqual([report.sql, /not installed/.test(report.sqlMissing)], [null, true]);
});

test('diff with sqldiff: the statements, streamed, and no file left', async (t) => {
  if ((await run('sh', ['-c', 'command -v sqldiff'])).status !== 0) return t.skip('sqldiff is not installed');
  const text = await mvfuse.done('diff', 'test@v1', 'test');
  assert.match(text, /\n\nINSERT INTO t\(id,b\) VALUES\(2,'row 2'\);\nINSERT INTO t\(id,b\) VALUES\(3,'row 3'\);\n$/);
  assert.match((await mvfuse.json('diff', 'test', 'test@v1')).sql, /^DELETE FROM t WHERE id=2;\nDELETE/);
  const large = join(base, 'large.db');
  await sqlite3(large, 'CREATE TABLE w(a, b)');
  await mvfuse.done('import', large, 'large');
  await sqlite3(large, `INSERT INTO w SELECT value, 'ü"\n' || hex(randomblob(500)) FROM generate_series(1, 9000)`);
  await mvfuse.done('import', large, 'large');
  await mvfuse.done('tag', 'add', 'large', 'full');
  const first = (await mvfuse.json('log', 'large')).at(-1).version;
  const { sql } = await mvfuse.json('diff', `large@${first}`, 'large');
  const applied = join(base, 'applied.db');
  await mvfuse.done('export', `large@${first}`, applied);
  const fed = await run('sqlite3', [applied], sql);
  assert.equal(fed.status, 0, fed.stderr);
  assert.equal(await sqlite3(applied, '.sha3sum'), await sqlite3(large, '.sha3sum'));
  // Who reads it stops early, or it gets a signal: nothing stays behind.
  const cut = await run('bash', [
    '-c',
    '"$@" | head -c 100',
    'bash',
    ...mvfuse.words('diff', `large@${first}`, 'large'),
  ]);
  assert.equal(cut.stdout.length, 100);
  const [program, ...words] = mvfuse.words('diff', `large@${first}`, 'large');
  const child = spawn(program!, words, { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  while (leftovers().length === 0) await sleep(5);
  child.kill('SIGTERM');
  child.stdout.resume();
  assert.deepEqual(await exited, [11, null]);
  assert.deepEqual(leftovers(), []);
});

function leftovers(): string[] {
  return readdirSync(base).filter((name) => /mvfuse-diff|partial/.test(name));
}

test('what is no database has pages, and no statements', async () => {
  await withMount('mydb=test,text=text', async (mount) => {
    await run('sh', ['-c', `echo one > ${mount.path('text')}; echo two > ${mount.path('text')}`]);
  });
  const [, first] = await mvfuse.json('log', 'text');
  const outcome = await mvfuse.run('diff', `text@${first.version}`, 'text');
  assert.equal(outcome.status, 0, outcome.stderr);
  assert.match(outcome.stdout, /1 page differs: 1/);
  assert.match(outcome.stderr, /not both of them are SQLite databases/);
});

test('rollback: as a new version; a dry run and nothing to do say so', async () => {
  const dry = await mvfuse.json('rollback', 'test@v1', '--dry-run');
  assert.deepEqual([dry.dryRun, dry.changed, dry.pageCount, dry.head.version], [true, true, 2, versions[3]]);
  assert.match(
    await mvfuse.done('rollback', 'test@v1', '--dry-run'),
    /would write 2 pages, 8192 bytes; nothing was changed\n$/,
  );
  assert.equal((await mvfuse.json('log', 'test')).length, 4);
  assert.match(
    await mvfuse.done('rollback', 'test@v1'),
    new RegExp(`is as version ${versions[1]} .* again; 2 pages, .* as version ${VERSION}\n$`),
  );
  assert.equal(await rows('test'), '1');
  assert.match(await mvfuse.done('rollback', 'test@v1'), /already; nothing to do\n$/);
  assert.equal((await mvfuse.json('rollback', 'test@v1')).changed, false);
  // A rollback can be rolled back.
  const back = await mvfuse.json('rollback', `test@${versions[3]}`);
  assert.deepEqual([back.changed, back.restored.version], [true, versions[3]]);
  assert.equal(await rows('test'), '1,2,3');
  assert.equal((await mvfuse.json('log', 'test')).length, 6);
  await mvfuse.refused(2, /which version of "test"\? Name it: test@<moment>/, 'rollback', 'test');
  await mvfuse.refused(3, /no tag "nothing"/, 'rollback', 'test@nothing');
  await mvfuse.refused(3, /no version as old as/, 'rollback', 'test@-1d');
});

test('fork: a namespace of its own, from any version', async () => {
  assert.match(
    await mvfuse.done('fork', 'test@v1', 'old'),
    new RegExp(`^old: forked from test@${versions[1]}, 8192 bytes\n$`),
  );
  assert.equal(await rows('old'), '1');
  const fork = await mvfuse.json('fork', 'test@-1ms', 'new');
  assert.deepEqual([fork.name, fork.parent.namespace], ['new', 'test']);
  await withMount('mydb=old,other=new', async (mount) => {
    await sqlite3(mount.path(), "INSERT INTO t VALUES(9, 'nine')");
    assert.equal(await sqlite3(mount.path('other'), 'SELECT count(*) FROM t'), '3');
  });
  assert.equal(await rows('old'), '1,9');
  assert.equal(await rows('test'), '1,2,3');
  assert.match(await mvfuse.done('ns', 'stat', 'old'), new RegExp(`\nforked from  test@${versions[1]}\n`));
  assert.match(await mvfuse.done('ns', 'stat', 'test'), /\nforks +old \(from .*\), new \(from /);
  await mvfuse.refused(4, /"old" exists already/, 'fork', 'test', 'old');
  await mvfuse.refused(2, /cannot name a namespace/, 'fork', 'test', 'a@b');
  await mvfuse.refused(3, /no namespace "missing"/, 'fork', 'missing', 'x');
  await mvfuse.refused(
    5,
    /has forks, which need its pages: "(new", "old|old", "new)"/,
    'ns',
    'delete',
    '--purge',
    'test',
    '--yes',
  );
});

test('truncate: what is needed stays, a dry run removes nothing', async () => {
  const before = await mvfuse.json('log', 'test');
  const dry = await mvfuse.json('truncate', 'test', '--before', 'latest', '--dry-run');
  assert.deepEqual([dry.dryRun, dry.versions, dry.truncatedBefore], [true, 4, before[0].version]);
  assert.match(await mvfuse.done('truncate', 'test', '--before', 'latest', '--dry-run'), /4 versions would be removed/);
  assert.equal((await mvfuse.json('log', 'test')).length, before.length);
  // Before all that there is: nothing to do, and no error, for whoever does it every day.
  assert.match(await mvfuse.done('truncate', 'test', '--before', '-5m'), /^test: 0 versions removed/);
  assert.match(await mvfuse.done('truncate', 'test', '--before=-5m'), /^test: 0 versions removed/);
  const text = await mvfuse.done('truncate', 'test', '--before', 'latest');
  assert.match(
    text,
    new RegExp(
      `4 versions removed .*; kept from ${before[0].version} on, and before it ${versions[1]} \\(tag v1, fork old\\)`,
    ),
  );
  assert.deepEqual(
    (await mvfuse.json('log', 'test')).map(({ version }: { version: string }) => version),
    [before[0].version, versions[1]],
  );
  const details = await mvfuse.json('ns', 'stat', 'test');
  assert.equal(details.truncatedBefore, before[0].version);
  assert.deepEqual(new Set(details.held.map(({ by }: { by: string }) => by)), new Set(['tag', 'fork']));
  assert.match(await mvfuse.done('ns', 'stat', 'test'), new RegExp(`\nheld +${versions[1]} \\(tag v1, fork old\\)`));
  const { retention } = await mvfuse.json('status');
  const kept = retention.namespaces.find(({ name }: { name: string }) => name === 'test');
  assert.deepEqual([kept.truncatedBefore, kept.heldVersions], [before[0].version, 1]);
  assert.match(await mvfuse.done('status'), new RegExp(`test is kept from ${before[0].version} of .* on, and 1 older`));
  await mvfuse.refused(3, /was removed: the oldest that is kept is/, 'export', `test@${versions[2]}`, join(base, 'x'));
  await mvfuse.refused(3, /was removed/, 'truncate', 'test', '--before', versions[2]!);
  await mvfuse.refused(2, /required option '--before <moment>'/, 'truncate', 'test');
  await mvfuse.refused(3, /no namespace "missing"/, 'truncate', 'missing', '--before', 'latest');
});

test('gc applies the policies', async () => {
  await withMount('mydb=new', async (mount) => {
    for (const id of [4, 5, 6]) await sqlite3(mount.path(), `INSERT INTO t VALUES(${id}, 'x')`);
  });
  await mvfuse.done('ns', 'set', 'new', 'keep-versions=2');
  const [dry] = await mvfuse.json('gc', 'new', '--dry-run');
  assert.deepEqual([dry.namespace, dry.dryRun, dry.versions], ['new', true, 2]);
  assert.match(await mvfuse.done('gc'), /(^|\n)new: 2 versions removed/);
  assert.equal((await mvfuse.json('log', 'new')).length, 2);
  assert.equal(await rows('new'), '1,2,3,4,5,6');
  await mvfuse.refused(3, /no namespace "missing"/, 'gc', 'missing');
});

test('lock: its owner writes, the others read; commit and rollback', async () => {
  const locked = await mvfuse.done('lock', 'old', '--owner', 'upgrade');
  assert.match(locked, new RegExp(`^old: locked by upgrade since .*; all others read ${VERSION}\n`));
  assert.match(locked, /<file>@lock:upgrade in any mount of it, or --namespaces file=old@lock:upgrade\n$/);
  const again = await mvfuse.json('lock', 'old', '--owner', 'upgrade');
  assert.deepEqual([again.namespace, again.owner], ['old', 'upgrade']);
  await mvfuse.refused(5, /locked for maintenance by "upgrade"/, 'lock', 'old', '--owner', 'other');
  await mvfuse.refused(5, /locked for maintenance by "upgrade"/, 'rollback', 'old@-1ms');
  await mvfuse.refused(5, /locked/, 'ns', 'delete', 'old', '--yes');
  assert.match(await mvfuse.done('ns', 'stat', 'old'), /\nlocked +by "upgrade" since .*; others read /);
  await withMount('mydb=old,mine=old@lock:upgrade', async (mount) => {
    await sqlite3(mount.path('mydb@lock:upgrade'), "INSERT INTO t VALUES(10, 'ten')");
    await sqlite3(mount.path('mine'), "INSERT INTO t VALUES(11, 'eleven')");
    assert.equal(await sqlite3(mount.path(), 'SELECT group_concat(id) FROM t'), '1,9');
    const status = await mvfuse.json('status');
    assert.equal(status.mounts[0].files[0].lock.owner, 'upgrade');
    assert.match(await mvfuse.done('status'), /mydb = old@.* locked for maintenance by "upgrade" since/);
  });
  assert.equal(await rows('old'), '1,9');
  await mvfuse.refused(
    5,
    /"other" has no maintenance lock.*locked by "upgrade"/,
    'unlock',
    'old',
    '--owner',
    'other',
    '--commit',
  );
  await mvfuse.refused(2, /--commit or --rollback says it/, 'unlock', 'old', '--owner', 'upgrade');
  await mvfuse.refused(2, /--commit or --rollback/, 'unlock', 'old', '--owner', 'upgrade', '--commit', '--rollback');
  assert.match(
    await mvfuse.done('unlock', 'old', '--owner', 'upgrade', '--commit'),
    /^old: unlocked \(commit\); the newest/,
  );
  assert.equal(await rows('old'), '1,9,10,11');
  await mvfuse.refused(5, /it is not locked/, 'unlock', 'old', '--owner', 'upgrade', '--commit');

  const lock = await mvfuse.json('lock', 'old', '--owner', 'upgrade', '--at', '-1ms');
  await withMount('mine=old@lock:upgrade', (mount) => sqlite3(mount.path('mine'), 'DELETE FROM t'));
  const { how, head } = await mvfuse.json('unlock', 'old', '--owner', 'upgrade', '--rollback');
  assert.equal(how, 'rollback');
  assert.ok(head.version > lock.base);
  assert.equal(await rows('old'), '1,9,10,11');
  await mvfuse.refused(2, /cannot own a lock/, 'lock', 'old', '--owner', 'a/b');
  await mvfuse.refused(2, /required option '--owner <name>'/, 'lock', 'old');
  await mvfuse.refused(3, /no namespace "missing"/, 'lock', 'missing', '--owner', 'me');
});
