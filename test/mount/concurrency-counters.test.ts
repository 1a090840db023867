// Many writers at once never lose an increment and never give up: each on a connection of its own, and all of them on
// one resolved path, where they must exclude each other as on any file.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';
import { type Job, runAll, Workload } from '../support/workload.js';

const PROCESSES = 4;
const THREADS = 4;
const ROUNDS = 15;
const TIMEOUT_S = 30;

let mount: TestMount;

before(async () => {
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE counter(value); INSERT INTO counter VALUES(0)');
});

after(() => mount?.remove());

async function counter(): Promise<number> {
  return Number(await sqlite3(mount.path(), 'SELECT value FROM counter'));
}

/** The path that the symlink leads to now: one connection, whoever opens it. */
async function resolved(): Promise<string> {
  const script = 'import os, sys; print(os.path.realpath(sys.argv[1]))';
  const { stdout } = await run('python3', ['-c', script, mount.path()]);
  assert.match(stdout, /\/\.c\/[0-9a-f]{12}\/mydb\n$/);
  return stdout.trim();
}

for (const kind of ['immediate', 'autocommit', 'deferred'] as const) {
  test(`${PROCESSES} processes of ${THREADS} threads increment a counter: ${kind}`, async () => {
    const before = await counter();
    const job: Job = { path: mount.path(), kind, threads: THREADS, count: ROUNDS, timeout: TIMEOUT_S };
    const totals = await runAll(Array.from({ length: PROCESSES }, () => job));
    assert.equal(await counter(), before + PROCESSES * THREADS * ROUNDS);
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
    const busy = totals.reduce((sum, { busy }) => sum + busy, 0);
    console.log(`# ${kind}: ${busy} transactions done again after SQLITE_BUSY`);
  });
}

test('two processes on one resolved path exclude each other', async () => {
  const path = await resolved();
  const [a, b] = [new Client(), new Client()];
  try {
    for (const client of [a, b]) await client.open(path, 0, { timeout: 0 });
    await a.exec('BEGIN IMMEDIATE');
    assert.deepEqual(await b.exec('SELECT count(*) FROM counter'), [[1]], 'RESERVED lets readers in');
    await assert.rejects(b.exec('BEGIN IMMEDIATE'), { code: 'SQLITE_BUSY' });
    await a.exec('UPDATE counter SET value = value + 1');
    await b.exec('BEGIN');
    await b.exec('SELECT * FROM counter');
    await assert.rejects(a.exec('COMMIT'), { code: 'SQLITE_BUSY' }, 'a reader keeps the writer out');
    await b.exec('COMMIT');
    await a.exec('COMMIT');
    await a.exec('BEGIN EXCLUSIVE');
    await assert.rejects(b.exec('SELECT * FROM counter'), { code: 'SQLITE_BUSY' });
    // Somebody with a connection of their own is not concerned.
    await sqlite3(mount.path(), 'SELECT * FROM counter');
    await a.exec('ROLLBACK');
    assert.deepEqual(await b.exec('SELECT * FROM counter'), [[await counter()]]);
  } finally {
    for (const client of [a, b]) await client.kill();
  }
});

test('two processes on one resolved path both count exactly, beside two with their own', async () => {
  const before = await counter();
  const path = await resolved();
  const shared: Job = { path, kind: 'immediate', threads: 2, count: ROUNDS, timeout: TIMEOUT_S };
  const own: Job = { ...shared, path: mount.path() };
  await runAll([shared, shared, own, own]);
  assert.equal(await counter(), before + 4 * 2 * ROUNDS);
});

test('of two processes on one resolved path one is killed in its transaction, and the other goes on', async () => {
  const path = await resolved();
  const [victim, survivor] = [new Client(), new Client()];
  try {
    for (const client of [victim, survivor]) await client.open(path, 0, { timeout: TIMEOUT_S });
    const before = await counter();
    await victim.exec('PRAGMA cache_size=5');
    await victim.exec('BEGIN');
    await victim.exec('UPDATE counter SET value = -1');
    await victim.exec('CREATE TABLE large AS SELECT noise(1, 300000) AS x');
    await victim.kill();
    await survivor.exec('UPDATE counter SET value = value + 1');
    assert.deepEqual(await survivor.exec('SELECT value FROM counter'), [[before + 1]]);
    assert.equal(await counter(), before + 1);
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
    assert.equal(await sqlite3(mount.path(), "SELECT count(*) FROM sqlite_schema WHERE name = 'large'"), '0');
  } finally {
    for (const client of [victim, survivor]) await client.kill();
  }
});

test('killed writers keep nobody waiting and lose only what they had not committed', async () => {
  const before = await counter();
  const job: Job = { path: mount.path(), kind: 'immediate', threads: THREADS, count: ROUNDS, timeout: TIMEOUT_S };
  const survivors = [new Workload(job), new Workload(job)];
  let killed = 0;
  let unacknowledged = 0;
  try {
    for (let round = 0; round < 5; round += 1) {
      const victim = new Workload({ ...job, count: 0 });
      await victim.committed(3 + round);
      await victim.kill();
      killed += victim.commits;
      // Of each thread one commit may have happened without its "commit" having been printed.
      unacknowledged += THREADS;
    }
    for (const survivor of survivors) await survivor.finished();
  } finally {
    for (const survivor of survivors) await survivor.kill();
  }
  const counted = (await counter()) - before - 2 * THREADS * ROUNDS;
  assert.ok(counted >= killed && counted <= killed + unacknowledged, `${counted} for ${killed} acknowledged`);
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
});
