// Readers keep their snapshot while others commit, and are never told SQLITE_BUSY; copies made meanwhile are whole
// databases; clients that are killed at random leave nothing behind.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { type Job, Workload } from '../support/workload.js';

const ACCOUNTS = 100;
const TRANSFERS = 60;
const VICTIMS = 8;
const SUM = 'SELECT (SELECT sum(amount) FROM debit) + (SELECT sum(amount) FROM credit)';
const SCHEMA = `
  CREATE TABLE debit(id INTEGER PRIMARY KEY, amount INTEGER, filler BLOB);
  CREATE TABLE credit(id INTEGER PRIMARY KEY, amount INTEGER, filler BLOB);
  CREATE INDEX debit_amount ON debit(amount);
  CREATE TABLE counter(value); INSERT INTO counter VALUES(0);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ACCOUNTS})
    INSERT INTO debit SELECT i, i, zeroblob(1000) FROM n;
  INSERT INTO credit SELECT id, -amount, filler FROM debit;`;

let mount: TestMount;
let local: string;

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-copies-'));
  mount = await TestMount.start();
  await sqlite3(mount.path(), SCHEMA);
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

const seed = chooseSeed('readers and writers');

function job(kind: Job['kind'], rest: Partial<Job> = {}): Job {
  return { path: mount.path(), kind, threads: 2, count: 0, timeout: 30, seed, ...rest };
}

test('snapshots hold while writers commit, and no reader is ever refused', async () => {
  const writers = [job('transfer', { count: TRANSFERS }), job('transfer', { count: TRANSFERS, seed: seed + 1 })];
  const running = writers.map((each) => new Workload(each));
  // A reader that must wait for anything gets SQLITE_BUSY at once, and fails.
  const readers = [new Workload(job('read', { timeout: 0 })), new Workload(job('read', { timeout: 0 }))];
  try {
    for (const writer of running) await writer.finished();
    for (const reader of readers) {
      const { done, versions } = await reader.stop();
      assert.ok(done > 10 && versions > 2, `${done} reads of ${versions} states`);
      console.log(`# a reader saw ${versions} states in ${done} transactions`);
    }
  } finally {
    for (const workload of [...running, ...readers]) await workload.kill();
  }
  assert.equal(await sqlite3(mount.path(), SUM), '0');
  assert.equal(await sqlite3(mount.path(), 'SELECT value FROM counter'), String(2 * 2 * TRANSFERS));
});

test('writers and readers killed at random leave a sound database, and the others go on', async () => {
  const random = seededRandom(seed);
  const survivors = [new Workload(job('transfer', { count: TRANSFERS })), new Workload(job('read', { timeout: 0 }))];
  try {
    for (let i = 0; i < VICTIMS; i += 1) {
      // Small caches spill, so that some die with pages already written.
      const pragmas = ['PRAGMA cache_size=2', `PRAGMA journal_mode=${['delete', 'persist', 'memory', 'off'][i % 4]}`];
      const kind = i % 3 === 2 ? 'read' : 'transfer';
      const victim = new Workload(job(kind, { seed: seed + i, pragmas }));
      await victim.committed(randomInteger(random, 1, 6));
      // Not to wait for anything: to hit another moment of its next transaction each time.
      await pause(randomInteger(random, 0, 15));
      await victim.kill();
      assert.equal(await sqlite3(mount.path(), SUM), '0');
    }
    await survivors[0]!.finished();
    await survivors[1]!.stop();
  } finally {
    for (const workload of survivors) await workload.kill();
  }
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
});

test('cp during writes always copies one version', async () => {
  const writers = [new Workload(job('transfer')), new Workload(job('transfer', { seed: seed + 1 }))];
  const states = new Set<string>();
  const copy = join(local, 'copy.db');
  try {
    for (const writer of writers) await writer.committed(5);
    for (let i = 0; i < 25; i += 1) {
      const { status, stderr } = await run('cp', [mount.path(), copy]);
      assert.equal(status, 0, stderr);
      const answer = await sqlite3(copy, `PRAGMA integrity_check; ${SUM}; SELECT value FROM counter`);
      const [integrity, sum, value] = answer.split('\n');
      assert.deepEqual([integrity, sum], ['ok', '0']);
      states.add(value!);
    }
    for (const writer of writers) await writer.stop();
  } finally {
    for (const writer of writers) await writer.kill();
  }
  assert.ok(states.size > 5, `only ${states.size} different versions were copied`);
});
