// Large databases, against a plain file that the same statements are run on: across the page of the lock bytes at 1 GiB with
// every page size, around the far end of 100 GB, and up to the largest page number that there is. They are sparse, so they
// take neither time nor space: page 1 states a size of which nearly nothing was ever written. The long version has a
// database of 1.2 GB that is full.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PAGE_BYTES_MAX, PAGE_BYTES_MIN, PAGE_COUNT_MAX } from '../../src/limits.js';
import { CHANGE_COUNTER_AT, PAGE_COUNT_AT, VALID_FOR_AT } from '../../src/sqlite/header.js';
import { lockBytePage, PENDING_BYTE } from '../../src/sqlite/lock-bytes.js';
import { Client, type Row, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const LARGE_BYTES = 100 * 2 ** 30;
const RESIDENT_BYTES_MAX = 512 * 1024 * 1024;
const STORE_BYTES_MAX = 64 * 1024 * 1024;
/** Files on it may be as large as SQLite's largest. */
const MEMORY = '/dev/shm';

let mount: TestMount;
let local: string;
let inMemory: string | undefined;

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-sizes-'));
  inMemory = existsSync(MEMORY) ? mkdtempSync(join(MEMORY, 'mvfuse-sizes-')) : undefined;
  mount = await TestMount.start();
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
  if (inMemory !== undefined) rmSync(inMemory, { recursive: true, force: true });
});

/** A database of `count` pages, of which all but the first two were never used. */
async function sparse(path: string, pageBytes: number, count: number): Promise<void> {
  rmSync(path, { force: true });
  await sqlite3(
    path,
    `PRAGMA page_size=${pageBytes}; CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(0, 1)`,
  );
  const file = await open(path, 'r+');
  const counter = await bytesOf(file, CHANGE_COUNTER_AT, 4);
  const stated = Buffer.alloc(4);
  stated.writeUInt32BE(count);
  await file.write(stated, 0, 4, PAGE_COUNT_AT);
  await file.write(counter, 0, 4, VALID_FOR_AT);
  await file.truncate(count * pageBytes);
  await file.close();
}

async function bytesOf(file: FileHandle, position: number, length: number): Promise<Buffer> {
  return (await file.read(Buffer.alloc(length), 0, length, position)).buffer;
}

async function succeed(program: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, '', LONG ? 3_600_000 : 120_000);
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** What each statement answered: rows, or the error. */
async function answers(path: string, statements: readonly string[]): Promise<Array<Row[] | string>> {
  const client = new Client();
  try {
    await client.open(path);
    const result: Array<Row[] | string> = [];
    for (const sql of statements) result.push(await client.exec(sql).catch((error) => error.code as string));
    return result;
  } finally {
    await client.kill();
  }
}

const ROWS = 'SELECT count(*), sum(length(x)), max(id) FROM t';
const COUNTS = ['PRAGMA page_count', 'PRAGMA freelist_count', ROWS];

/** Bytes of the files from `from` on, and those of the first pages. */
async function requireSameEnds(path: string, other: string, from: number, pageBytes: number): Promise<void> {
  await succeed('cmp', '-n', String(3 * pageBytes), path, other);
  await succeed('cmp', '-i', String(from), path, other);
  const [a, b] = [await succeed('stat', '-Lc', '%s', path), await succeed('stat', '-Lc', '%s', other)];
  assert.equal(a, b);
}

function storeBytes(): number {
  const sizes = readdirSync(mount.base).filter((name) => name.startsWith('store'));
  return sizes.reduce((sum, name) => sum + statSync(join(mount.base, name)).size, 0);
}

for (let pageBytes = PAGE_BYTES_MIN; pageBytes <= PAGE_BYTES_MAX; pageBytes *= 2) {
  test(`across the page of the lock bytes, with pages of ${pageBytes} bytes`, async () => {
    const path = join(local, `${pageBytes}.db`);
    const count = lockBytePage(pageBytes) - 4;
    await sparse(path, pageBytes, count);
    await succeed('cp', '--sparse=always', path, mount.path());
    const fill = Array.from({ length: 10 }, (_, i) => `INSERT INTO t VALUES(${i + 1}, zeroblob(${pageBytes}))`);
    const statements = [
      ...fill,
      ...COUNTS,
      'DELETE FROM t WHERE id % 3 = 1',
      `UPDATE t SET x = hex(zeroblob(${pageBytes / 4})) WHERE id < 9`,
      ...COUNTS,
    ];
    const expected = await answers(path, statements);
    assert.deepEqual(await answers(mount.path(), statements), expected);
    await requireSameEnds(path, mount.path(), (count - 2) * pageBytes, pageBytes);
    const { size } = statSync(path);
    assert.ok(size > PENDING_BYTE + pageBytes, 'it is past the lock bytes');

    // Pages that were spilled and rolled back; in a free one a plain file keeps what was written.
    const rollback = ['PRAGMA cache_size=3', 'BEGIN', `UPDATE t SET x = hex(zeroblob(${pageBytes}))`, 'ROLLBACK'];
    const whole = [...rollback, ...COUNTS, 'VACUUM', 'PRAGMA integrity_check', ...COUNTS];
    assert.deepEqual(await answers(mount.path(), whole), await answers(path, whole));
    await succeed('cmp', path, mount.path());
    assert.ok(statSync(path).size < size / 10);
  });
}

test('100 GB of nearly nothing: written and read around the far end, in little memory and space', async () => {
  const path = join(local, 'large.db');
  const count = LARGE_BYTES / 4096;
  await sparse(path, 4096, count);
  await succeed('cp', '--sparse=always', path, mount.path());
  const statements = [
    `INSERT INTO t VALUES(1, zeroblob(100000))`,
    `INSERT INTO t SELECT id + 10, hex(x) FROM t`,
    ...COUNTS,
    'DELETE FROM t WHERE id = 1',
    ...COUNTS,
  ];
  assert.deepEqual(await answers(mount.path(), statements), await answers(path, statements));
  await requireSameEnds(path, mount.path(), LARGE_BYTES - 100_000, 4096);
  // Another one over it would have to write all that is cut off.
  const { stderr } = await run('cp', ['--sparse=always', path, mount.path()]);
  assert.match(stderr, /No space left on device/);
  await requireSameEnds(path, mount.path(), LARGE_BYTES - 100_000, 4096);
  // A version of it, with its holes; and a file of another kind.
  const tail = ['-i', String(LARGE_BYTES - 4096), path, mount.path('mydb@-0s')];
  await succeed('cmp', ...tail);
  await succeed('truncate', '-s', '0', mount.path());
  await succeed('truncate', '-s', String(LARGE_BYTES), mount.path());
  assert.equal(await succeed('stat', '-Lc', '%s', mount.path()), `${LARGE_BYTES}\n`);
  await succeed(
    'sh',
    '-c',
    'printf end | dd of="$1" bs=1 seek="$2" conv=notrunc 2>&1',
    'sh',
    mount.path(),
    String(LARGE_BYTES - 3),
  );
  assert.equal(await succeed('tail', '-c', '6', mount.path()), '\0\0\0end');
  await succeed('truncate', '-s', '0', mount.path());

  assert.ok(storeBytes() < STORE_BYTES_MAX, `${storeBytes()} bytes of store`);
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${mount.child.pid}/status`, 'utf8'))!;
  assert.ok(Number(kibibytes) * 1024 < RESIDENT_BYTES_MAX, `${kibibytes} KiB were resident`);
});

for (const pageBytes of [PAGE_BYTES_MIN, 4096, PAGE_BYTES_MAX]) {
  test(`the largest page number, with pages of ${pageBytes} bytes`, async (t) => {
    if (inMemory === undefined) return t.skip(`no ${MEMORY}`);
    const path = join(inMemory, 'largest.db');
    const count = PAGE_COUNT_MAX - 4;
    await sparse(path, pageBytes, count);
    await succeed('cp', '--sparse=always', path, mount.path());
    const fill = Array.from({ length: 8 }, (_, i) => `INSERT INTO t VALUES(${i + 1}, zeroblob(${pageBytes / 2}))`);
    const statements = [`PRAGMA max_page_count=${PAGE_COUNT_MAX}`, ...fill, ...COUNTS];
    const expected = await answers(path, statements);
    assert.ok(expected.includes('SQLITE_FULL'));
    assert.deepEqual(await answers(mount.path(), statements), expected);
    assert.equal(statSync(path).size, PAGE_COUNT_MAX * pageBytes);
    await requireSameEnds(path, mount.path(), (count - 1) * pageBytes, pageBytes);
    await succeed('truncate', '-s', '0', mount.path());
    rmSync(path);
  });
}

test('bytes in the place of the lock bytes of what is no SQLite database are kept, also by a rollback', async () => {
  const path = join(local, 'other');
  const file = await open(path, 'w');
  await file.truncate(PENDING_BYTE + 100_000);
  await file.write(Buffer.alloc(50_000, 'no SQLite'), 0, 50_000, PENDING_BYTE - 10_000);
  await file.close();
  const cut = ['-i', String(PENDING_BYTE - 50_000), path, mount.path()];
  await succeed('cp', '--sparse=always', path, mount.path());
  await succeed('cmp', ...cut);
  const [{ version }] = JSON.parse(
    await succeed(process.execPath, MAIN, 'log', 'test', '--json', '--limit', '1', '--store', mount.storeUrl),
  );
  await sqlite3(join(local, 'small.db'), 'CREATE TABLE t(a)');
  await succeed('cp', join(local, 'small.db'), mount.path());
  await succeed(process.execPath, MAIN, 'rollback', `test@${version}`, '--store', mount.storeUrl);
  await succeed('cmp', ...cut);

  // Nor do they show in a database that replaces it.
  const database = join(local, 'large.db');
  await sparse(database, 4096, PENDING_BYTE / 4096 + 50);
  const replacements = [['cp', '--sparse=always', database, mount.path()]];
  if (LONG) replacements.push([process.execPath, MAIN, 'import', database, 'test', '--store', mount.storeUrl]);
  for (const [program, ...args] of replacements) {
    await succeed(program!, ...args);
    await succeed('cmp', '-i', String(PENDING_BYTE - 50_000), database, mount.path());
    await succeed(process.execPath, MAIN, 'rollback', `test@${version}`, '--store', mount.storeUrl);
  }
  assert.ok(storeBytes() < STORE_BYTES_MAX, `${storeBytes()} bytes of store`);
});

test('a full database across the lock bytes goes in and out, is vacuumed and backed up', {
  skip: !LONG && 'long',
}, async () => {
  for (const pageBytes of [4096, 65_536]) {
    const path = join(local, 'full.db');
    rmSync(path, { force: true });
    await succeed(
      'sqlite3',
      path,
      `PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, x);
        INSERT INTO t SELECT value, randomblob(40000) FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 30000) SELECT value FROM n)`,
    );
    assert.ok(statSync(path).size > PENDING_BYTE + 1e8);
    await succeed('cp', path, mount.path());
    await succeed('cmp', path, mount.path());
    await succeed('sqlite3', mount.path(), 'DELETE FROM t WHERE id % 10 = 0; VACUUM');
    const back = join(local, 'back.db');
    await succeed('sqlite3', mount.path(), `.backup '${back}'`);
    assert.equal(await succeed('sqlite3', back, 'PRAGMA integrity_check; SELECT count(*) FROM t'), 'ok\n27000\n');
    await succeed('sqlite3', mount.path(), `.restore '${path}'`);
    assert.equal(
      await succeed('sqlite3', mount.path(), 'PRAGMA integrity_check; SELECT count(*) FROM t'),
      'ok\n30000\n',
    );
    rmSync(back);
  }
});
