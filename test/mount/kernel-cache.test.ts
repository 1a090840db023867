// The kernel keeps the pages that SQLite has read, and never shows one that has changed or was discarded since.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import { Client, type Digest, sqlite3 } from '../support/client.js';
import { FaultMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';
import { type Job, Workload } from '../support/workload.js';

const ROWS = 400;
const EIO = 5;
const SCHEMA = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO t SELECT i, 0, randomblob(3000) FROM n;`;
const SUM = 'SELECT sum(v), count(*), sum(length(filler)) FROM t';

let mount: FaultMount;
let client: Client;

beforeEach(async () => {
  mount = await FaultMount.startFaulty();
  await sqlite3(mount.path(), SCHEMA);
  client = await connect();
});

afterEach(async () => {
  await client.kill();
  await mount.remove();
});

/** A connection that keeps next to nothing in SQLite's own cache. */
async function connect(): Promise<Client> {
  const connected = new Client();
  await connected.open(mount.path());
  await connected.exec('PRAGMA cache_size=1');
  return connected;
}

async function readsOf(work: () => Promise<unknown>): Promise<number> {
  await mount.startTrace();
  await work();
  return (await mount.stopTrace()).filter((label) => label === 'rd(db)').length;
}

test('a page is asked for once', async () => {
  await client.exec(SUM);
  assert.equal(await readsOf(() => client.exec(SUM)), 0);
});

test('after a commit of another connection only what it changed is asked for', async () => {
  assert.deepEqual(await client.exec(SUM), [[0, ROWS, ROWS * 3000]]);
  await sqlite3(mount.path(), `UPDATE t SET v = 7 WHERE id = ${ROWS / 2}`);
  const reads = await readsOf(async () => assert.deepEqual(await client.exec(SUM), [[7, ROWS, ROWS * 3000]]));
  assert.ok(reads > 0 && reads <= 4, `${reads} reads`);
});

test('what it has written itself is not asked for', async () => {
  await client.exec(SUM);
  await client.exec('UPDATE t SET v = v + 1');
  assert.equal(await readsOf(async () => assert.deepEqual(await client.exec(SUM), [[ROWS, ROWS, ROWS * 3000]])), 0);
});

test('the next program finds the pages of the last one, where they are still right', async () => {
  await client.exec(SUM);
  await client.kill();
  await sqlite3(mount.path(), 'UPDATE t SET v = 5 WHERE id = 1');
  client = await connect();
  const reads = await readsOf(async () => assert.deepEqual(await client.exec(SUM), [[5, ROWS, ROWS * 3000]]));
  assert.ok(reads <= 4, `${reads} reads`);
});

for (const end of ['kill', 'end'] as const) {
  test(`the next program finds nothing of a transaction that was not finished: ${end}`, async () => {
    const before = await client.digest();
    await client.exec('BEGIN');
    await client.exec('UPDATE t SET v = 1, filler = randomblob(3000)');
    await client[end]();
    client = await connect();
    assert.deepEqual(await client.digest(), before);
  });
}

test('nothing is cached where that is not wanted', async () => {
  const uncached = await FaultMount.startFaulty({ kernelCache: false });
  const reader = new Client();
  try {
    await sqlite3(uncached.path(), SCHEMA);
    await reader.open(uncached.path());
    await reader.exec('PRAGMA cache_size=1');
    await reader.exec(SUM);
    await uncached.startTrace();
    await reader.exec(SUM);
    assert.ok((await uncached.stopTrace()).filter((label) => label === 'rd(db)').length > ROWS / 2);
  } finally {
    await reader.kill();
    await uncached.remove();
  }
});

for (const [what, sql] of Object.entries({
  'a VACUUM that shrinks the file': 'DELETE FROM t WHERE id > 20; VACUUM',
  'a change of the page size': 'PRAGMA page_size=512; VACUUM',
  'a new database in its place': 'DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB)',
})) {
  test(`${what} is seen as a whole`, async () => {
    await client.exec(SUM);
    await sqlite3(mount.path(), sql);
    const expected = await sqlite3(mount.path(), SUM);
    assert.deepEqual((await client.exec(SUM))[0]!.map((value) => value ?? '').join('|'), expected);
    assert.deepEqual(await client.exec('PRAGMA integrity_check'), [['ok']]);
  });
}

for (const journal of ['delete', 'persist', 'memory']) {
  for (const locking of ['normal', 'exclusive']) {
    test(`a spilled transaction that is rolled back leaves nothing, ${journal}, ${locking}`, async () => {
      await client.exec(`PRAGMA journal_mode=${journal}`);
      await client.exec(`PRAGMA locking_mode=${locking}`);
      const before = await client.digest();
      await client.exec('BEGIN');
      await client.exec('UPDATE t SET v = 1, filler = randomblob(3000)');
      await client.exec('ROLLBACK');
      assert.deepEqual(await client.digest(), before);
    });

    test(`a transaction that fails while it spills leaves nothing, ${journal}, ${locking}`, async () => {
      await client.exec(`PRAGMA journal_mode=${journal}`);
      await client.exec(`PRAGMA locking_mode=${locking}`);
      const before = await client.digest();
      for (const nth of [1, 7, 40]) {
        await client.exec('BEGIN');
        await mount.inject('W(db)', nth, EIO);
        await assert.rejects(client.exec('UPDATE t SET v = 1, filler = randomblob(3000)'), /SQLITE_IOERR/);
        await mount.clear();
        if (await client.inTransaction()) await client.exec('ROLLBACK');
        assert.deepEqual(await client.digest(), before);
      }
    });
  }
}

test('without a journal a transaction that fails while it spills leaves nothing, either', async () => {
  await client.exec('PRAGMA journal_mode=off');
  await client.exec('PRAGMA locking_mode=exclusive');
  const before = await client.digest();
  await client.exec('BEGIN');
  await mount.inject('W(db)', 20, EIO);
  await assert.rejects(client.exec('UPDATE t SET v = 1, filler = randomblob(3000)'), /SQLITE_IOERR/);
  await mount.clear();
  if (await client.inTransaction()) await client.exec('ROLLBACK').catch(() => undefined);
  assert.deepEqual(await sameDigestSoon(), before);
});

/** SQLite may refuse what comes first after it could not roll back. */
async function sameDigestSoon(): Promise<Digest> {
  return client.digest().catch(() => client.digest());
}

const seed = chooseSeed('kernel cache');

for (const pageBytes of [512, 4096]) {
  for (const mmapBytes of [0, 1 << 28]) {
    test(`every snapshot is whole under many writers, pages of ${pageBytes}, mmap_size=${mmapBytes}`, async () => {
      await sqlite3(
        mount.path(),
        `DROP TABLE t; PRAGMA page_size=${pageBytes}; VACUUM;
        CREATE TABLE debit(id INTEGER PRIMARY KEY, amount INTEGER, filler BLOB);
        CREATE TABLE credit(id INTEGER PRIMARY KEY, amount INTEGER, filler BLOB);
        CREATE INDEX debit_amount ON debit(amount);
        CREATE TABLE counter(value); INSERT INTO counter VALUES(0);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
          INSERT INTO debit SELECT i, i, zeroblob(1000) FROM n;
        INSERT INTO credit SELECT id, -amount, filler FROM debit;`,
      );
      const pragmas = ['PRAGMA cache_size=1', `PRAGMA mmap_size=${mmapBytes}`];
      const job = (kind: Job['kind'], rest: Partial<Job>): Workload =>
        new Workload({ path: mount.path(), kind, threads: 2, count: 0, timeout: 30, pragmas, ...rest });
      const writers = [job('transfer', { count: 60, seed }), job('transfer', { count: 60, seed: seed + 1 })];
      const readers = [job('read', { threads: 3 })];
      try {
        for (const writer of writers) await writer.finished();
        for (const reader of readers) assert.ok((await reader.stop()).versions > 2);
      } finally {
        for (const workload of [...writers, ...readers]) await workload.kill();
      }
      assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check; SELECT value FROM counter'), 'ok\n240');
    });
  }
}

test('a program that reads without locks sees one version, whatever is cached of others', async () => {
  // Opens the path of the connection that the client has used, reads a half, and the other half when told to.
  const script = `
import hashlib, os, sys
link = os.path.join(os.path.dirname(sys.argv[1]), os.readlink(sys.argv[1]))
file = os.open(link, os.O_RDWR)
size = os.fstat(file).st_size
parts = [os.pread(file, size // 2, 0)]
print("half", flush=True)
sys.stdin.readline()
parts.append(os.pread(file, size, len(parts[0])))
print(hashlib.sha256(b"".join(parts)).hexdigest(), flush=True)
`;
  await client.exec(SUM);
  await client.kill();
  const before = await sqlite3(mount.path(), 'SELECT 1').then(() => sha256(mount.path()));
  const reader = spawn('python3', ['-c', script, mount.path()], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  reader.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  while (!output.includes('half')) await once(reader.stdout, 'data');
  await sqlite3(mount.path(), 'UPDATE t SET v = 9, filler = randomblob(3000)');
  reader.stdin.end('\n');
  await once(reader, 'close');
  assert.equal(output.trim().split('\n')[1], before);
  client = await connect();
  assert.deepEqual(await client.exec(SUM), [[9 * ROWS, ROWS, ROWS * 3000]]);
});

async function sha256(path: string): Promise<string> {
  const child = spawn('sha256sum', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await once(child, 'close');
  return output.split(' ')[0]!;
}
