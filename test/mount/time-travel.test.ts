// History as files: a database at any moment, named beside it or in `.snapshots`, under ordinary tools.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

interface Entry {
  readonly version: string;
  readonly timeMs: number;
}

let mount: TestMount;
/** By number of rows, from 0. */
const entries: Entry[] = [];

async function log(): Promise<Entry[]> {
  const { stdout } = await run(process.execPath, [MAIN, 'log', 'test', '--json', '--store', mount.storeUrl]);
  return (JSON.parse(stdout) as Entry[]).reverse();
}

const count = (path: string): Promise<string> => sqlite3(path, 'SELECT count(*) FROM t');
const iso = (timeMs: number): string => new Date(timeMs).toISOString();

before(async () => {
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  for (let row = 1; row <= 3; row += 1) {
    // Apart, so that each has a time of its own.
    await sleep(30);
    await sqlite3(mount.path(), `INSERT INTO t VALUES(${row})`);
  }
  entries.push(...(await log()));
  assert.equal(entries.length, 4);
});

after(() => mount.remove());

test('a time is the newest version at or before it, in any zone', async () => {
  for (const [rows, { timeMs }] of entries.entries()) {
    assert.equal(await count(mount.path(`mydb@${iso(timeMs)}`)), String(rows));
    assert.equal(await count(mount.path(`mydb@${iso(timeMs + 29)}`)), String(rows));
  }
  const { timeMs } = entries[1]!;
  const elsewhere = iso(timeMs + 2 * 3_600_000).replace('Z', '+02:00');
  assert.equal(await count(mount.path(`mydb@${elsewhere}`)), '1');
  assert.equal(await count(mount.path('mydb@2999-01-01')), '3');
  assert.equal(await count(mount.path('mydb@latest')), '3');
  assert.equal(await count(mount.path('mydb@-0s')), '3');
});

test('a relative time moves on, with the same name', async () => {
  await sleep(600);
  await sqlite3(mount.path(), 'CREATE TABLE moved(a)');
  const tables = () => sqlite3(mount.path('mydb@-500ms'), "SELECT count(*) FROM sqlite_schema WHERE name = 'moved'");
  assert.equal(await tables(), '0');
  await sleep(600);
  assert.equal(await tables(), '1');
});

test('a moment before the first version, or none at all, is no file; the log says why', async () => {
  for (const moment of ['2000-01-01', '-10w', 'nothing', '-5x', '', `${'0'.repeat(19)}1`]) {
    const { status, stderr } = await run('stat', [mount.path(`mydb@${moment}`)]);
    assert.notEqual(status, 0, moment);
    assert.match(stderr, /No such file/);
  }
  assert.match(mount.log, /has no version as old as 2000-01-01T00:00:00.000Z: its first one, [0-9a-f]{20}, is of/);
  assert.match(mount.log, /has no tag .{1,4}nothing/);
});

test('one version is one inode, however it is named', async () => {
  const { version, timeMs } = entries[2]!;
  const names = [
    `mydb@${version}`,
    `mydb@${iso(timeMs)}`,
    `.snapshots/mydb/${version}`,
    `.snapshots/mydb/${iso(timeMs)}`,
  ];
  const inodes = await Promise.all(
    names.map(async (name) => (await run('stat', ['-c', '%i %Y %s', mount.path(name)])).stdout),
  );
  assert.equal(new Set(inodes).size, 1);
  assert.equal(inodes[0]!.split(' ')[1], String(Math.floor(timeMs / 1000)));
});

test('.snapshots lists the newest versions first, as files with their own size and time', async () => {
  const { stdout } = await run('ls', ['-U', mount.path('.snapshots/mydb')]);
  const versions = (await log()).map(({ version }) => version).reverse();
  assert.deepEqual(stdout.trim().split('\n'), versions);
  assert.equal((await run('ls', ['-A', mount.directory])).stdout, 'mydb\n');
  const kinds = await run('find', [mount.path('.snapshots'), '-type', 'f', '-perm', '444', '-printf', '%f %s\\n']);
  assert.equal(kinds.stdout.trim().split('\n').length, versions.length);
  assert.match((await run('stat', ['-c', '%F', mount.path('.snapshots/mydb')])).stdout, /directory/);
  assert.notEqual((await run('touch', [mount.path('.snapshots/mydb/x')])).status, 0);
  assert.notEqual((await run('rm', [mount.path(`.snapshots/mydb/${versions[0]}`)])).status, 0);
  assert.notEqual((await run('ls', [mount.path('.snapshots/other')])).status, 0);
});

test('.backup, .dump, ATTACH, cp and rsync -a take them as databases', async () => {
  const { version } = entries[1]!;
  const path = mount.path(`.snapshots/mydb/${version}`);
  const copy = join(mount.base, 'copy.db');
  await sqlite3(path, `.backup ${copy}`);
  assert.equal(await count(copy), '1');
  assert.match(await sqlite3(path, '.dump'), /INSERT INTO t VALUES\(1\);\s+COMMIT;/);
  const attached = `ATTACH '${path}' AS old; SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM old.t)`;
  assert.equal(await sqlite3(mount.path(), attached), '3|1');
  const target = join(mount.base, 'copies');
  mkdirSync(target);
  assert.equal((await run('rsync', ['-a', mount.path('.snapshots/mydb/'), `${target}/`])).status, 0);
  assert.equal((await run('cp', [path, join(mount.base, 'copied.db')])).status, 0);
  const sums = await run('sha256sum', [path, join(target, version), join(mount.base, 'copied.db')]);
  assert.equal(
    new Set(
      sums.stdout
        .trim()
        .split('\n')
        .map((line) => line.slice(0, 64)),
    ).size,
    1,
  );
  for (const [rows, entry] of entries.entries()) assert.equal(await count(join(target, entry.version)), String(rows));
});

test('names of the mount may stand for any moment', async () => {
  const { timeMs } = entries[1]!;
  await mount.unmount();
  const pinned = `mydb=test,then=test@${iso(timeMs)},newest=test@latest`;
  const again = await TestMount.start({ base: mount.base, namespaces: pinned });
  assert.equal(await count(again.path('then')), '1');
  assert.equal(await count(again.path('newest')), '3');
  await sqlite3(again.path(), 'INSERT INTO t VALUES(4)');
  assert.equal(await count(again.path('newest')), '3');
  assert.equal(await count(again.path()), '4');
  await again.unmount();
  const { status, stderr } = await run(process.execPath, [
    ...[MAIN, '--mountpoint', again.directory, '--store', again.storeUrl],
    ...['--namespaces', 'x=test@2000-01-01'],
  ]);
  assert.equal(status, 3);
  assert.match(stderr, /mvfuse: namespace "test" has no version as old as 2000-01-01/);
});
