// What a daemon takes stays bounded: 500 connections at once, and a transaction far larger than its memory.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Client, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const RESIDENT_BYTES_MAX = 512 * 1024 * 1024;
const CONNECTIONS = 500;
/** In one transaction; the long version is eight times what the daemon may have in memory. */
const TRANSACTION_MEGABYTES = process.env.MVFUSE_TEST_LONG === '1' ? 4_096 : 128;

let mount: TestMount;
const client = new Client();

before(async () => {
  mount = await TestMount.start();
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
function residentBytesMax(): number {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${mount.child.pid}/status`, 'utf8'))!;
  return Number(kibibytes) * 1024;
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
  for (let c = 1; c <= CONNECTIONS; c += 1) await client.close(c);
  assert.ok(residentBytesMax() < RESIDENT_BYTES_MAX, `${residentBytesMax()} bytes were resident`);
  console.log(`# ${Math.round(residentBytesMax() / 2 ** 20)} MiB resident at the most`);
});

test(`${TRANSACTION_MEGABYTES} MB in one transaction`, async () => {
  const rows = TRANSACTION_MEGABYTES * 10;
  await sqlite3(
    mount.path(),
    `BEGIN; CREATE TABLE big(a); INSERT INTO big SELECT randomblob(100000) FROM generate_series(1, ${rows}); COMMIT;`,
  );
  assert.equal(await sqlite3(mount.path(), 'SELECT count(*), sum(length(a)) FROM big'), `${rows}|${rows * 100_000}`);
  assert.ok(residentBytesMax() < RESIDENT_BYTES_MAX, `${residentBytesMax()} bytes were resident`);
  console.log(`# ${Math.round(residentBytesMax() / 2 ** 20)} MiB resident at the most`);
});
