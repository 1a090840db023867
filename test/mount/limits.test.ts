// Each limit that an option sets, reached: SQLite gets the error that fits, the log names the limit and its option,
// nothing that was committed is lost, and what was taken is there again afterwards.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitsStatus } from '../../src/status.js';
import { Client, type ClientError, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let files: string;
let mount: TestMount;
let client: Client;

before(() => {
  files = mkdtempSync(join(tmpdir(), 'mvfuse-limits-'));
  writeFileSync(join(files, 'big'), Buffer.alloc(20_000_000, 1));
  writeFileSync(join(files, 'small'), Buffer.alloc(1_000_000, 2));
});

after(() => rmSync(files, { recursive: true, force: true }));

async function start(...flags: string[]): Promise<void> {
  await startWith('mydb=test,other=other', ...flags);
}

async function startWith(namespaces: string, ...flags: string[]): Promise<void> {
  client = new Client();
  mount = await TestMount.start({ namespaces }, flags);
}

afterEach(async () => {
  await client.kill();
  await mount.remove();
});

async function limits(): Promise<LimitsStatus> {
  const { stdout } = await run(process.execPath, [MAIN, 'status', '--json', '--store', mount.storeUrl]);
  return (JSON.parse(stdout) as { mounts: [{ limits: LimitsStatus }] }).mounts[0].limits;
}

/** A close is answered before the daemon has heard of it. */
async function untilLimits(wanted: (status: LimitsStatus) => boolean): Promise<void> {
  for (let tries = 0; !wanted(await limits()); tries += 1) {
    assert.ok(tries < 50, JSON.stringify(await limits()));
    await sleep(50);
  }
}

function loggedOptions(): unknown[] {
  const lines = mount.log.trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { option?: string }).option).filter((option) => option !== undefined);
}

function code(expected: string): (error: ClientError) => boolean {
  return (error) => {
    assert.equal(error.code, expected);
    return true;
  };
}

const FILL = `INSERT INTO t(b) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20)
  SELECT randomblob(100000) FROM n`;

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY']) {
  test(`past --dirty-limit a write is SQLITE_FULL and all goes on, journal_mode=${journal}`, async () => {
    await start('--dirty-limit', '8M', '--dirty-memory', '1M');
    await client.open(mount.path());
    await client.exec(`PRAGMA journal_mode=${journal}`);
    await client.exec('PRAGMA cache_size=50');
    await client.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b)');
    await client.exec(FILL);
    await client.open(mount.path('other'), 1);
    await client.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b)', 1);
    await client.exec('PRAGMA cache_size=5', 1);
    await client.exec('BEGIN', 1);
    await client.exec('INSERT INTO t(b) VALUES(zeroblob(1000000))', 1);

    for (let round = 0; round < 3; round += 1) {
      const before = await client.exec('SELECT count(*), max(a), sum(length(b)) FROM t');
      await client.exec('BEGIN');
      const work = async (): Promise<void> => {
        for (let step = 0; step < 10; step += 1) await client.exec(FILL);
        await client.exec('COMMIT');
      };
      await assert.rejects(work(), code('SQLITE_FULL'));
      if (await client.inTransaction()) await client.exec('ROLLBACK');
      assert.deepEqual(await client.exec('SELECT count(*), max(a), sum(length(b)) FROM t'), before);
      // Updates fill the journal, too.
      await assert.rejects(
        client.exec(
          'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9) INSERT INTO t(b) SELECT randomblob(1000000) FROM n',
        ),
        code('SQLITE_FULL'),
      );
      assert.deepEqual(await client.exec('SELECT count(*), max(a), sum(length(b)) FROM t'), before);
      const used = await limits();
      assert.ok(used.dirtyBytes.now <= used.dirtyBytes.max && used.dirtyMemoryBytes.now <= used.dirtyMemoryBytes.max);
      await client.exec(FILL);
      await client.exec('DELETE FROM t WHERE a > 20');
    }
    // Whoever was within the limit loses nothing by others that were not.
    await client.exec('COMMIT', 1);
    assert.equal(
      await sqlite3(mount.path('other'), 'SELECT sum(length(b)) FROM t; PRAGMA integrity_check'),
      '1000000\nok',
    );
    assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM t; PRAGMA integrity_check'), '20\nok');
    await client.close();
    await client.close(1);
    await untilLimits(({ dirtyBytes, dirtyMemoryBytes }) => dirtyBytes.now === 0 && dirtyMemoryBytes.now === 0);
    assert.ok(loggedOptions().includes('--dirty-limit'), mount.log);
  });
}

test('past --dirty-limit a copy is refused as a whole; a hole takes nothing', async () => {
  await start('--dirty-limit', '8M', '--dirty-memory', '1M');
  assert.equal((await run('cp', [join(files, 'small'), mount.path('other')])).status, 0);
  const copied = await run('cp', [join(files, 'big'), mount.path('other')]);
  assert.match(copied.stderr, /No space left on device/);
  assert.equal((await run('cmp', [join(files, 'small'), mount.path('other')])).status, 0);
  await untilLimits(({ dirtyBytes }) => dirtyBytes.now === 0);
  assert.equal((await run('truncate', ['-s', '1T', mount.path('other')])).stderr, '');
  await untilLimits(({ dirtyBytes }) => dirtyBytes.now === 0);
  assert.equal((await run('stat', ['-Lc', '%s', mount.path('other')])).stdout, `${2 ** 40}\n`);
  const { size } = statSync(join(files, 'small'));
  const beginning = await run('cmp', ['-n', String(size), join(files, 'small'), mount.path('other')]);
  assert.equal(beginning.status, 0, beginning.stdout);
});

test('--dirty-memory is one limit for all connections, also for journals that stay', async () => {
  await start('--dirty-memory', '1M');
  await sqlite3(mount.path(), 'CREATE TABLE t(a INTEGER PRIMARY KEY, b)');
  for (let c = 0; c < 20; c += 1) {
    await client.open(mount.path(), c, { timeout: 30 });
    await client.exec('PRAGMA journal_mode=PERSIST', c);
    await client.exec('INSERT INTO t(b) VALUES(zeroblob(200000))', c);
    await client.exec('UPDATE t SET b = randomblob(200000)', c);
  }
  const { dirtyBytes, dirtyMemoryBytes } = await limits();
  assert.ok(dirtyBytes.now > 4 * dirtyMemoryBytes.max, `${dirtyBytes.now} bytes`);
  assert.ok(dirtyMemoryBytes.now <= dirtyMemoryBytes.max + 20 * 3 * 4096, `${dirtyMemoryBytes.now} bytes`);
  assert.deepEqual(await client.exec('SELECT count(*), sum(length(b)) FROM t', 7), [[20, 4_000_000]]);
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
  for (let c = 0; c < 20; c += 1) await client.close(c);
  await untilLimits((status) => status.dirtyBytes.now === 0);
});

test('past --max-connections a database cannot be opened, until another is closed', async () => {
  await start('--max-connections', '3');
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  await untilLimits(({ connections }) => connections.now === 0);
  for (const c of [1, 2, 3]) {
    await client.open(mount.path(), c);
    await client.exec('SELECT * FROM t', c);
  }
  const refused = async (): Promise<void> => {
    await client.open(mount.path(), 4);
    await client.exec('SELECT * FROM t', 4);
  };
  for (let tries = 0; tries < 5; tries += 1) await assert.rejects(refused(), code('SQLITE_CANTOPEN'));
  assert.match((await run('cat', [mount.path('other')])).stderr, /Too many open files/);
  assert.deepEqual((await limits()).connections, { now: 3, max: 3 });
  await client.exec('INSERT INTO t VALUES(1)', 3);
  await client.close(2);
  await untilLimits(({ connections }) => connections.now === 2);
  await client.open(mount.path(), 5);
  assert.deepEqual(await client.exec('SELECT * FROM t', 5), [[1]]);
  // Once for all that came within a few seconds.
  assert.deepEqual(loggedOptions(), ['--max-connections']);
});

test('past --max-connections a file is not created, and its name stays free', async () => {
  await startWith('*', '--max-connections', '2');
  for (const c of [1, 2]) {
    await client.open(mount.path(`db${c}`), c);
    await client.exec('CREATE TABLE t(a)', c);
  }
  assert.match((await run('touch', [mount.path('new')])).stderr, /Too many open files/);
  assert.equal((await run('ls', [mount.directory])).stdout, 'db1\ndb2\n');
  assert.equal((await run('mkdir', [mount.path('new')])).stderr, '');
  await client.close(1);
  await untilLimits(({ connections }) => connections.now === 1);
  assert.equal((await run('touch', [mount.path('other')])).stderr, '');
});

test('more requests than --queue-length wait in the kernel, and all are served', async () => {
  await start('--queue-length', '16', '--writer-wait', '20s');
  await sqlite3(mount.path(), 'CREATE TABLE t(a); CREATE TABLE u(b)');
  await client.open(mount.path());
  await client.exec('BEGIN IMMEDIATE');
  // Copies wait for the lock; as many as half the queue, so that it can be given back.
  const copies = Array.from({ length: 40 }, () => run('cp', [join(files, 'small'), mount.path()]));
  const readers = Array.from({ length: 40 }, () => sqlite3(mount.path(), 'SELECT count(*) FROM t'));
  assert.deepEqual(await Promise.all(readers), Array(40).fill('0'));
  await untilLimits(({ waitingWriters }) => waitingWriters.now === 8);
  await client.exec('INSERT INTO t VALUES(1)');
  await client.exec('COMMIT');
  const statuses = await Promise.all(copies);
  const busy = statuses.filter(({ status }) => status !== 0);
  assert.equal(busy.length, 32);
  for (const { stderr } of busy) assert.match(stderr, /Device or resource busy/);
  assert.equal((await run('cmp', [join(files, 'small'), mount.path()])).status, 0);
  assert.ok(loggedOptions().includes('--queue-length'));
});

test('cp and import wait for --writer-wait', async () => {
  await start('--writer-wait', '300ms');
  const source = join(files, 'source.db');
  await sqlite3(source, 'CREATE TABLE s(a)');
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  await client.open(mount.path());
  await client.exec('BEGIN IMMEDIATE');
  const startMs = performance.now();
  assert.match((await run('cp', [source, mount.path()])).stderr, /Device or resource busy/);
  const imported = await run(process.execPath, [MAIN, 'import', source, 'test', '--store', mount.storeUrl]);
  assert.equal(imported.status, 5);
  assert.match(imported.stderr, /holds the write lock, after 300 ms \(--writer-wait\)/);
  assert.ok(performance.now() - startMs < 8_000);
  await client.exec('INSERT INTO t VALUES(1)');
  await client.exec('COMMIT');
  assert.equal(await sqlite3(mount.path(), 'SELECT * FROM t'), '1');
  assert.deepEqual(loggedOptions(), ['--writer-wait']);
});

test('status shows what is in use beside each limit', async () => {
  await start('--cache-size', '2M', '--dirty-limit', '100M', '--max-connections', '77');
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  const { stdout } = await run(process.execPath, [MAIN, 'status', '--store', mount.storeUrl]);
  for (const shown of [
    / of 2\.1 MB \(--cache-size\)/,
    / of 77 connections \(--max-connections\)/,
    / of 1024 requests \(--queue-length\)/,
    / of 104\.9 MB not committed \(--dirty-limit\)/,
    / of 33\.6 MB of it in memory \(--dirty-memory\)/,
    /writers waiting, each up to 10 s \(--writer-wait\)/,
  ]) {
    assert.match(stdout, shown);
  }
});
