// What a daemon takes stays bounded, with the limits that it has by default: 500 connections at once, and while they are
// open a dump far larger than its memory, loaded in one transaction.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const RESIDENT_BYTES_MAX = 512 * 1024 * 1024;
const CONNECTIONS = 500;
const LONG = process.env.MVFUSE_TEST_LONG === '1';
/** Bytes of the dump, at the least; the long version has eight times what the daemon may have in memory. */
const DUMP_BYTES = LONG ? 4_000_000_000 : 128_000_000;
const WAIT_MS_MAX = LONG ? 3_600_000 : 300_000;

let mount: TestMount;
const client = new Client();

before(async () => {
  mount = await TestMount.start({ namespaces: 'mydb=test,other=other' });
  await sqlite3(
    mount.path(),
    'CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t SELECT value, hex(randomblob(400)) FROM generate_series(1, 20000)',
  );
});

after(async () => {
  await client.kill();
  await mount.remove();
});

/** The most that was ever resident. */
function requireBounded(): void {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${mount.child.pid}/status`, 'utf8'))!;
  console.log(`# ${Math.round(Number(kibibytes) / 1024)} MiB resident at the most`);
  assert.ok(Number(kibibytes) * 1024 < RESIDENT_BYTES_MAX, `${kibibytes} KiB were resident`);
}

async function shell(script: string, ...args: string[]): Promise<Outcome> {
  const outcome = await run('sh', ['-c', script, 'sh', ...args], '', WAIT_MS_MAX);
  assert.equal(outcome.status, 0, outcome.stderr);
  assert.equal(outcome.stderr, '');
  return outcome;
}

test(`${CONNECTIONS} connections, each with a snapshot, while others write`, async () => {
  for (let c = 1; c <= CONNECTIONS; c += 1) {
    await client.open(mount.path(), c, { timeout: 30 });
    await client.cursor('SELECT b FROM t', 'held', c);
    await client.fetch('held', 100, c);
  }
  await sqlite3(mount.path(), 'DELETE FROM t WHERE a > 10000; VACUUM');
  for (let c = 1; c <= CONNECTIONS; c += 50) assert.equal((await client.fetch('held', 30_000, c)).length, 19_900);
  for (let c = 1; c <= CONNECTIONS; c += 1) await client.drop('held', c);
  for (let c = 1; c <= CONNECTIONS; c += 25) await client.exec('INSERT INTO t(b) VALUES(1)', c);
  assert.deepEqual(await client.exec('SELECT count(*) FROM t', 1), [[10_000 + CONNECTIONS / 25]]);
  requireBounded();
});

test(`a dump of ${DUMP_BYTES / 1e6} MB in one transaction, with ${CONNECTIONS} connections open`, async () => {
  const [source, dump] = [join(mount.base, 'source.db'), join(mount.base, 'dump.sql')];
  const unit = Math.ceil(DUMP_BYTES / 4_000);
  await shell(
    `exec sqlite3 "$1" "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
      CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE);
      CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INT REFERENCES customers, total REAL, note TEXT);
      CREATE TABLE files(id INTEGER PRIMARY KEY, body BLOB);
      CREATE INDEX orders_by_customer ON orders(customer);
      INSERT INTO customers SELECT value, 'name ' || hex(randomblob(12)), value || '@example.com' FROM generate_series(1, ${unit});
      INSERT INTO orders SELECT value, abs(random()) % ${unit}, value * 1.5, hex(randomblob(300)) FROM generate_series(1, ${unit * 3});
      INSERT INTO files SELECT value, randomblob(40000) FROM generate_series(1, ${unit / 40})"`,
    source,
  );
  await shell('exec sqlite3 "$1" .dump > "$2"', source, dump);
  rmSync(source);
  assert.ok(statSync(dump).size >= DUMP_BYTES, `${statSync(dump).size} bytes`);

  // The other database has a transaction open all the time, which commits in the end.
  await client.open(mount.path('other'));
  await client.script('PRAGMA cache_size=10; CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(randomblob(1000000))');
  const startMs = performance.now();
  await shell('exec sqlite3 "$1" < "$2"', mount.path(), dump);
  console.log(`# loaded in ${Math.round((performance.now() - startMs) / 1000)} s`);
  requireBounded();
  await client.exec('COMMIT');
  assert.deepEqual(await client.exec('SELECT sum(length(a)) FROM t'), [[1_000_000]]);

  for (let c = 1; c <= CONNECTIONS; c += 50) {
    assert.deepEqual(await client.exec('SELECT count(*), max(id) FROM files', c), [[unit / 40, unit / 40]]);
  }
  await shell('sqlite3 "$1" "DROP TABLE t" && sqlite3 "$1" .dump | cmp - "$2"', mount.path(), dump);
  for (let c = 1; c <= CONNECTIONS; c += 1) await client.close(c);
  requireBounded();
});
