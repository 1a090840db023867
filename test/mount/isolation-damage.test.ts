// Pages whose stored bytes were changed on the disk: reading one is an I/O error and never wrong data, everything else
// goes on, check names the page, and writing it anew mends it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, ClientError, type Outcome, run, sqlite3 } from '../support/client.js';
import { damagePage } from '../support/damage.js';
import { MAIN, TestMount } from '../support/mounted.js';
import { versions } from '../support/several-databases.js';

const BETTER_SQLITE3 = fileURLToPath(new URL('../support/better-sqlite3-client.js', import.meta.url));
const ROWS = 100;
const NAMES = ['leaf', 'head', 'sound'];
const NAMESPACES = NAMES.map((name) => `${name}=${name}`).join(',');
/** What is damaged. */
const LEAF = { name: 'leaf', page: 30 };
const HEAD = { name: 'head', page: 1 };

let mount: TestMount;
let headVersion: string;
const client = new Client();

before(async () => {
  mount = await TestMount.start({ namespaces: NAMESPACES });
  for (const name of NAMES) {
    await sqlite3(
      mount.path(name),
      `CREATE TABLE t(id INTEGER PRIMARY KEY, pad TEXT);
       INSERT INTO t SELECT value, printf('%03d', value) || hex(zeroblob(750)) FROM generate_series(1, ${ROWS})`,
    );
  }
  headVersion = (await versions(mount, 'head'))[0]!;
  const ids = new Map<string, number>();
  const listed = await run(process.execPath, [MAIN, 'ns', 'list', '--store', mount.storeUrl, '--json']);
  for (const { name, id } of JSON.parse(listed.stdout) as Array<{ name: string; id: number }>) ids.set(name, id);
  await mount.unmount();
  for (const { name, page } of [LEAF, HEAD]) damagePage(join(mount.base, 'store'), ids.get(name)!, page);
  mount = await TestMount.start({ base: mount.base, namespaces: `${NAMESPACES},old=head@${headVersion}` });
});

after(async () => {
  await client.kill();
  await mount.remove();
});

function check(name: string): Promise<Outcome> {
  return run(process.execPath, [MAIN, 'check', name, '--store', mount.storeUrl]);
}

test('rows of a damaged page are an I/O error for every client; all others are right', async () => {
  for (const name of ['leaf', `leaf@${(await versions(mount, 'leaf'))[0]}`]) {
    await client.open(mount.path(name));
    const failed: number[] = [];
    for (let id = 1; id <= ROWS; id += 1) {
      try {
        const [[start, length] = []] = await client.exec(
          'SELECT substr(pad, 1, 3), length(pad) FROM t WHERE id = ?',
          0,
          [id],
        );
        assert.deepEqual([start, length], [String(id).padStart(3, '0'), 1_503]);
      } catch (error) {
        assert.ok(error instanceof ClientError && error.code === 'SQLITE_IOERR_READ', String(error));
        failed.push(id);
      }
    }
    assert.ok(failed.length >= 1 && failed.length <= 3, `rows that cannot be read: ${failed}`);
    await assert.rejects(client.exec('SELECT sum(length(pad)) FROM t'), { code: 'SQLITE_IOERR_READ' });
    await client.close();
  }
  const stock = await run('sqlite3', [mount.path('leaf'), 'SELECT sum(length(pad)) FROM t']);
  assert.match(stock.stderr, /disk I\/O error/);
  const better = await run(process.execPath, [BETTER_SQLITE3, mount.path('leaf'), 'SELECT sum(length(pad)) FROM t']);
  assert.match(better.stderr, /^SQLITE_IOERR_READ/);
});

test('other pages of the same database are written as ever', async () => {
  await client.open(mount.path('leaf'));
  await client.exec(`UPDATE t SET pad = '001' || hex(zeroblob(750)) WHERE id IN (1, ${ROWS})`);
  await client.exec('INSERT INTO t VALUES(1000, 1000)');
  await client.exec('DELETE FROM t WHERE id = 1000');
  await client.close();
});

test('a damaged page 1 concerns its own database only: the mount starts, names are listed, others go on', async () => {
  for (const name of ['head', 'old', `head@${headVersion}`]) {
    const attempt = client.open(mount.path(name), 1).then(() => client.exec('SELECT count(*) FROM t', 1));
    await assert.rejects(attempt, (error: ClientError) => /^SQLITE_(IOERR|CANTOPEN)/.test(error.code));
    await client.close(1).catch(() => undefined);
  }
  assert.deepEqual((await run('ls', [mount.directory])).stdout.trim().split('\n'), ['head', 'leaf', 'old', 'sound']);
  assert.equal(await sqlite3(mount.path('sound'), 'SELECT count(*) FROM t; PRAGMA integrity_check'), `${ROWS}\nok`);
  assert.equal(await sqlite3(mount.path('sound'), 'INSERT INTO t VALUES(1000, 0); DELETE FROM t WHERE id = 1000'), '');
});

test('check names the page', async () => {
  const [leaf, head, sound] = await Promise.all(NAMES.map(check));
  assert.equal(leaf!.status, 9);
  assert.match(leaf!.stderr, /page 30 of namespace .* is damaged: its checksum does not match/);
  assert.equal(head!.status, 9);
  assert.match(head!.stderr, /page 1 of namespace .* is damaged/);
  assert.equal(sound!.status, 0, sound!.stderr);
});

test('what is written anew is whole again', async () => {
  // A program that overwrites the file, and the command for a database that cannot even be opened.
  const good = join(mount.base, 'good.db');
  assert.equal((await run('cp', [mount.path('sound'), good])).status, 0);
  const copied = await run('cp', [good, mount.path('leaf')]);
  assert.equal(copied.status, 0, copied.stderr);
  const imported = await run(process.execPath, [MAIN, 'import', good, 'head', '--store', mount.storeUrl]);
  assert.equal(imported.status, 0, imported.stderr);
  for (const name of ['leaf', 'head']) {
    assert.equal((await check(name)).status, 0);
    assert.equal(await sqlite3(mount.path(name), 'SELECT count(*) FROM t; PRAGMA integrity_check'), `${ROWS}\nok`);
  }
});
