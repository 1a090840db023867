// Applications that insist on a write-ahead log: they are told "wal" and work on in rollback mode, nothing is
// written to a -wal file; but where SQLite cannot do without one, it has it for itself.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withService } from '../../src/cli/store-access.js';
import { Client, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';
import { rows, type StockClient, stockClients } from '../support/stock-clients.js';

let mount: TestMount;
let local: string;
let clients: StockClient[];

before(async () => {
  clients = await stockClients();
  local = mkdtempSync(join(tmpdir(), 'mvfuse-wal-'));
  mount = await TestMount.start();
  await sqlite3(mount.path(), 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

async function count(): Promise<number> {
  return Number(await sqlite3(mount.path(), 'SELECT count(*) FROM t'));
}

test('an application that sets WAL, writes and checkpoints goes on as if it had it', async () => {
  for (const client of clients) {
    const before = await count();
    const answer = await rows(
      client,
      mount.path(),
      'PRAGMA journal_mode=WAL',
      'PRAGMA synchronous=NORMAL',
      'INSERT INTO t(x) VALUES(1)',
      'BEGIN',
      'INSERT INTO t(x) VALUES(2)',
      'INSERT INTO t(x) VALUES(3)',
      'COMMIT',
      'SELECT count(*) FROM t',
      'PRAGMA wal_checkpoint(TRUNCATE)',
      'PRAGMA journal_mode=WAL',
      'PRAGMA integrity_check',
    );
    assert.deepEqual(answer, ['wal', String(before + 3), '0|-1|-1', 'wal', 'ok'], client.name);
    assert.equal(await count(), before + 3);
  }
});

test('readers and a writer of a WAL application do not wait for each other', async () => {
  const [reader, writer] = [new Client(), new Client()];
  try {
    for (const client of [reader, writer]) {
      await client.open(mount.path(), 0, { timeout: 0 });
      assert.deepEqual(await client.exec('PRAGMA journal_mode=WAL'), [['wal']]);
    }
    const before = await count();
    await reader.exec('BEGIN');
    await reader.exec('SELECT count(*) FROM t');
    for (let i = 0; i < 5; i += 1) await writer.exec('INSERT INTO t(x) VALUES(4)');
    assert.deepEqual(await reader.exec('SELECT count(*) FROM t'), [[before]]);
    await reader.exec('COMMIT');
    assert.deepEqual(await reader.exec('SELECT count(*) FROM t'), [[before + 5]]);
  } finally {
    for (const client of [reader, writer]) await client.kill();
  }
});

test('the pragma alone makes no version', async () => {
  const newest = async (): Promise<string> =>
    (await withService(mount.storeUrl, (service) => service.log('test', { limit: 1 })))[0]!.version;
  const before = await newest();
  for (const client of clients) assert.deepEqual(await rows(client, mount.path(), 'PRAGMA journal_mode=WAL'), ['wal']);
  assert.equal(await newest(), before);
  await sqlite3(mount.path(), 'INSERT INTO t(x) VALUES(5)');
  assert.notEqual(await newest(), before);
});

test('a file that asks for WAL is copied in, and every client reads and writes it', async () => {
  const source = join(local, 'wal.db');
  await sqlite3(
    source,
    'PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t(x) VALUES(1), (2)',
  );
  assert.equal((await run('cp', [source, mount.path()])).status, 0);
  for (const [index, client] of clients.entries()) {
    assert.deepEqual(await rows(client, mount.path(), 'SELECT count(*) FROM t'), [String(2 + index)], client.name);
    await rows(client, mount.path(), 'INSERT INTO t(x) VALUES(9)');
    assert.deepEqual(await rows(client, mount.path(), 'PRAGMA integrity_check'), ['ok'], client.name);
  }
  assert.equal(await count(), 2 + clients.length);
});

test('no -wal and no -shm file can be made', async () => {
  const script = `
import os, sys
path = os.path.realpath(sys.argv[1])
handle = open(path, "rb")
for suffix in ("-wal", "-shm"):
    try:
        open(path + suffix, "wb")
        print("made")
    except PermissionError:
        print("refused")
`;
  assert.equal((await run('python3', ['-c', script, mount.path()])).stdout, 'refused\nrefused\n');
});

test('WAL with locking_mode=EXCLUSIVE, where SQLite has a log, is there for others and afterwards', async () => {
  for (const client of clients) {
    const before = await count();
    const answer = await rows(
      client,
      mount.path(),
      'PRAGMA locking_mode=EXCLUSIVE',
      'INSERT INTO t(x) VALUES(6)',
      'PRAGMA journal_mode=WAL',
      'INSERT INTO t(x) VALUES(7)',
      'BEGIN',
      'INSERT INTO t(x) VALUES(8)',
      'ROLLBACK',
      'SELECT count(*) FROM t',
    );
    assert.deepEqual(answer, ['exclusive', 'wal', String(before + 2)], client.name);
    assert.equal(await count(), before + 2, client.name);
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
  }
});
