// Programs that know nothing of mvfuse, each with a SQLite of its own, on one mounted database: one after the other in
// every journal mode, and all at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';
import { staticClient } from '../support/static-client.js';
import { rows, type StockClient, stockClients } from '../support/stock-clients.js';

const MODES = ['delete', 'truncate', 'persist', 'memory', 'off', 'wal'] as const;
const ROUNDS = 12;
const ATTEMPTS_MAX = 1_000;

let mount: TestMount;
let clients: StockClient[];

before(async () => {
  clients = await stockClients();
  mount = await TestMount.start();
});

after(() => mount?.remove());

test('the statically linked client needs no library of the system', async () => {
  const { stdout, stderr } = await run('ldd', [await staticClient()]);
  assert.match(stdout + stderr, /not a dynamic executable|statically linked/);
  assert.match((await rows(clients[0]!, ':memory:', 'SELECT sqlite_version()'))[0]!, /^3\.\d+\.\d+$/);
});

for (const mode of MODES) {
  test(`each client alone, journal_mode=${mode}: what one writes, every other reads`, async () => {
    const table = `t_${mode}`;
    await sqlite3(
      mount.path(),
      `CREATE TABLE ${table}(id INTEGER PRIMARY KEY, who, x); CREATE INDEX ${table}_x ON ${table}(x)`,
    );
    for (const [index, client] of clients.entries()) {
      const answer = await rows(
        client,
        mount.path(),
        `PRAGMA journal_mode=${mode}`,
        `INSERT INTO ${table}(who, x) VALUES('${client.name}', 1)`,
        'BEGIN',
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
           INSERT INTO ${table}(who, x) SELECT '${client.name}', hex(zeroblob(i)) FROM n`,
        'COMMIT',
        `DELETE FROM ${table} WHERE who = '${client.name}' AND x = 1`,
        `SELECT count(*) FROM ${table}`,
      );
      const answered = mode === 'off' && client.defensive === true ? 'delete' : mode;
      assert.deepEqual(answer, [answered, String(200 * (index + 1))], client.name);
    }
    const question = `SELECT who, count(*), sum(length(x)) FROM ${table} GROUP BY who ORDER BY who`;
    const expected = await rows(clients[0]!, mount.path(), question);
    assert.equal(expected.length, clients.length);
    for (const client of clients) {
      assert.deepEqual(await rows(client, mount.path(), question), expected, client.name);
      assert.deepEqual(await rows(client, mount.path(), 'PRAGMA integrity_check'), ['ok'], client.name);
    }
  });
}

/**
 * A client that sets its journal mode and then works. SQLite's busy handler is not asked when journal_mode=WAL has to be
 * written to the file: while somebody else writes, the pragma answers SQLITE_BUSY at once. Nothing was done then.
 */
async function work(client: StockClient, mode: string, statements: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const texts = ['PRAGMA busy_timeout=60000', `PRAGMA journal_mode=${mode}`, 'SELECT 1', ...statements];
    const { status, stdout, stderr } = await client.run(mount.path(), texts);
    if (status === 0) return;
    const refused = mode === 'wal' && stdout.trim() === '60000' && attempt < ATTEMPTS_MAX;
    assert.ok(refused, `${client.name}, ${mode}: ${status}, ${stderr}`);
  }
}

test('all clients at once, in every journal mode, count exactly', async () => {
  await sqlite3(mount.path(), 'CREATE TABLE counter(value); INSERT INTO counter VALUES(0)');
  const round = [
    'BEGIN IMMEDIATE',
    'UPDATE counter SET value = value + 1',
    'COMMIT',
    'UPDATE counter SET value = value + 1',
  ];
  const statements = Array.from({ length: ROUNDS }, () => round).flat();
  const jobs = clients.flatMap((client, index) =>
    [MODES[index]!, MODES[index + 2]!].map((mode) => work(client, mode, statements)),
  );
  const outcomes = await Promise.allSettled(jobs);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  assert.equal(await sqlite3(mount.path(), 'SELECT value FROM counter'), String(jobs.length * ROUNDS * 2));
  assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
});

test('a memory map that cannot be had is done without', async () => {
  for (const client of clients) {
    const answer = await rows(
      client,
      mount.path(),
      'PRAGMA mmap_size=268435456',
      'SELECT count(*) FROM t_delete',
      "INSERT INTO t_delete(who, x) VALUES('mapped', 1)",
      "SELECT count(*) FROM t_delete WHERE who = 'mapped'",
      "DELETE FROM t_delete WHERE who = 'mapped'",
      'PRAGMA integrity_check',
    );
    assert.deepEqual(answer.slice(-3), [String(200 * clients.length), '1', 'ok'], client.name);
  }
});
