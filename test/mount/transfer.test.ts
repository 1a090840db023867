// import, export and check, with and without a daemon: a database goes in as one commit, comes out as it was, and
// damage is found.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let base: string;
let store: string;
let source: string;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-transfer-'));
  mkdirSync(join(base, 'store'));
  store = `sqlite:${join(base, 'store')}`;
  source = join(base, 'source.db');
  await sqlite3(
    source,
    'CREATE TABLE t(a, b); INSERT INTO t SELECT value, hex(randomblob(50)) FROM generate_series(1, 30000);',
  );
});

after(() => rmSync(base, { recursive: true, force: true }));

function mvfuse(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, ...args, '--store', store]);
}

async function done(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await mvfuse(...args);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
  const outcome = await mvfuse(...args);
  assert.equal(outcome.status, status, outcome.stderr);
  assert.match(outcome.stderr, message);
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** The same steps whether a daemon owns the store or not. */
async function roundTrip(namespace: string, out: (name: string) => string): Promise<void> {
  assert.match(await done('import', source, namespace), new RegExp(`^${namespace}: \\d+ pages, version `));
  const first = JSON.parse(await done('log', namespace, '--json')) as Array<{ version: string }>;
  assert.equal(first.length, 1);
  await done('export', namespace, out('copy.db'));
  assert.equal(await sqlite3(out('copy.db'), '.sha3sum'), await sqlite3(source, '.sha3sum'));
  const copied = digest(out('copy.db'));
  await refused(4, /exists/, 'export', namespace, out('copy.db'));
  await sqlite3(out('copy.db'), 'DELETE FROM t WHERE a > 100; VACUUM');
  await done('import', out('copy.db'), namespace);
  assert.match(await done('check', namespace), /: ok, /);
  await done('export', `${namespace}@${first[0]!.version}`, out('copy.db'), '--force');
  assert.equal(digest(out('copy.db')), copied);
  await done('check', `${namespace}@${first[0]!.version}`);
}

test('without a daemon', () => roundTrip('alone', (name) => join(base, `alone-${name}`)));

test('through a daemon, while the database is mounted and open', async () => {
  const mount = await TestMount.start({ base, namespaces: 'mydb=served' });
  const client = new Client();
  try {
    await client.open(mount.path());
    await roundTrip('served', (name) => join(base, `served-${name}`));
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[100]]);
    await client.exec('BEGIN IMMEDIATE');
    await client.exec('DELETE FROM t');
    const importing = mvfuse('import', source, 'served');
    await client.exec('COMMIT');
    assert.equal((await importing).status, 0);
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[30000]]);
  } finally {
    await client.kill();
    await mount.unmount();
  }
});

test('a database in WAL mode, open elsewhere, with commits only in its log', async () => {
  const wal = join(base, 'wal.db');
  const open = new Database(wal);
  open.pragma('journal_mode = WAL');
  open.exec('CREATE TABLE w(a); INSERT INTO w VALUES(1),(2)');
  await done('import', wal, 'wal');
  open.close();
  await done('export', 'wal', join(base, 'wal-out.db'));
  assert.equal(await sqlite3(join(base, 'wal-out.db'), 'SELECT sum(a) FROM w; PRAGMA journal_mode'), '3\ndelete');
});

test('what cannot be taken in or given out', async () => {
  writeFileSync(
    join(base, 'text'),
    'no database at all, but long enough to hold a header of a hundred bytes or so. '.repeat(9),
  );
  await refused(2, /cannot be read as a SQLite database/, 'import', join(base, 'text'), 'x');
  await refused(3, /no file/, 'import', join(base, 'missing'), 'x');
  await refused(3, /no namespace/i, 'export', 'missing', join(base, 'out'));
  await refused(3, /has no version/, 'export', `alone@${'0'.repeat(19)}1`, join(base, 'out'));
  await refused(3, /no tag "xyz"/, 'export', 'alone@xyz', join(base, 'out'));
});

test('a damaged page is found, by name, with and without a daemon', async () => {
  await done('import', source, 'damaged');
  const data = new Database(join(base, 'store', 'data.sqlite'));
  // The largest values are page images; the last one written belongs to the last import.
  const { id, value } = data.prepare('SELECT id, value FROM content ORDER BY id DESC LIMIT 1').get() as {
    id: number;
    value: Buffer;
  };
  value[value.length - 1]! ^= 1;
  data.prepare('UPDATE content SET value = ? WHERE id = ?').run(value, id);
  data.close();
  await refused(9, /page \d+/, 'check', 'damaged');
  await refused(9, /page \d+/, 'export', 'damaged', join(base, 'damaged.db'));
  const mount = await TestMount.start({ base, namespaces: 'mydb=damaged' });
  try {
    await refused(9, /page \d+/, 'check', 'damaged');
  } finally {
    await mount.unmount();
  }
  assert.match(await done('check', 'alone'), /ok/);
});
