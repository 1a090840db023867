// A real application's database (application.py: at least ROWS_MIN rows from this machine's packages and files, indexes,
// full-text search) is copied in, queried, changed, and copied out again, beside the same file on a local disk.
//
// A copy is the same bytes, with one exception: bytes 18 and 19, by which a file asks for a write-ahead log, are shown as 1.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

const BUILDER = fileURLToPath(new URL('../../../test/support/application.py', import.meta.url));
const ROWS_MIN = 300_000;
const BYTES_MIN = 20_000_000;
const PROGRAM_MS_MAX = 300_000;

const QUERIES = [
  'SELECT section, count(*), sum(bytes) FROM package GROUP BY section ORDER BY 2 DESC, 1 LIMIT 20',
  "SELECT name, version FROM package WHERE name LIKE 'lib%' ORDER BY name DESC, version, id LIMIT 50",
  'SELECT kind, count(*), sum(bytes) FROM file GROUP BY kind ORDER BY kind',
  'SELECT d.path, count(*), sum(f.bytes) FROM file f JOIN file d ON f.directory = d.id GROUP BY d.id ORDER BY 3 DESC, 1 LIMIT 20',
  "SELECT f.path, l.number, l.text FROM search s JOIN line l ON l.id = s.rowid JOIN file f ON f.id = l.file WHERE search MATCH 'lock AND file' ORDER BY l.id LIMIT 20",
  "SELECT count(*) FROM search WHERE search MATCH 'struct OR changed'",
  'SELECT text, count(*) FROM line GROUP BY text ORDER BY 2 DESC, 1 LIMIT 20',
  'SELECT count(*), max(id), sum(length(text)) FROM line',
  'PRAGMA integrity_check',
];

/** Each is one transaction, and one version. */
const CHANGES = [
  "UPDATE file SET kind = upper(kind), bytes = bytes + 1 WHERE path LIKE '%.h' OR id % 5 = 0",
  "BEGIN; INSERT INTO search(search, rowid, text) SELECT 'delete', id, text FROM line WHERE id % 3 = 0; DELETE FROM line WHERE id % 3 = 0; COMMIT",
  'CREATE TABLE package_copy AS SELECT * FROM package',
  'BEGIN; DELETE FROM package WHERE id % 2 = 0; DROP TABLE package_copy; COMMIT',
  "INSERT INTO search(search) VALUES('optimize')",
  'VACUUM',
];

let mount: TestMount;
let local: string;
let plain: string;
let imported: string;

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-real-'));
  plain = join(local, 'app.db');
  mount = await TestMount.start({}, ['--log-level', 'warn']);
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

interface LogLine {
  readonly version: string;
  readonly sizeBytes: number;
}

async function log(): Promise<LogLine[]> {
  const { status, stdout, stderr } = await run(process.execPath, [
    MAIN,
    'log',
    'test',
    '--json',
    '--store',
    mount.storeUrl,
  ]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as LogLine[];
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  console.log(`# ${what}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  return result;
}

async function ok(program: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, '', PROGRAM_MS_MAX);
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function hash(path: string): Promise<string> {
  const sum = createHash('sha256');
  await pipeline(createReadStream(path), sum);
  return sum.digest('hex');
}

async function sameAnswers(): Promise<void> {
  for (const query of QUERIES) {
    const [mounted, expected] = await Promise.all([sqlite3(mount.path(), query), sqlite3(plain, query)]);
    assert.equal(mounted, expected, query);
    assert.notEqual(expected, '', query);
  }
}

test('a database of real rows is copied in as one version, and answers as the local file does', async () => {
  const rows = JSON.parse(await timed('built', () => ok('python3', [BUILDER, plain, String(ROWS_MIN)]))) as object;
  const count = Object.values(rows).reduce((sum: number, each: number) => sum + each, 0);
  console.log(`# ${JSON.stringify(rows)}: ${count} rows, ${statSync(plain).size} bytes`);
  assert.ok(count >= ROWS_MIN && statSync(plain).size >= BYTES_MIN);
  await timed('copied in', () => ok('cp', [plain, mount.path()]));
  const versions = await log();
  assert.equal(versions.length, 1);
  assert.equal(versions[0]!.sizeBytes, statSync(plain).size);
  imported = versions[0]!.version;
  await timed('queries, both sides', sameAnswers);
});

test('what was copied in comes out as the same bytes', async () => {
  const copy = join(local, 'first.db');
  await timed('copied out', () => ok('cp', [mount.path(), copy]));
  assert.equal(await hash(copy), await hash(plain));
  await ok('cp', [mount.path(`mydb@${imported}`), join(local, 'imported.db')]);
  assert.equal(await hash(join(local, 'imported.db')), await hash(plain));
});

test('changes make one version each, and the same content as locally', async () => {
  for (const change of CHANGES) {
    const before = (await log()).length;
    await timed(change.slice(0, 60), () => sqlite3(mount.path(), change));
    assert.equal((await log()).length, before + 1, change);
    await sqlite3(plain, change);
  }
  await sameAnswers();
});

test('every way of copying gives the newest version', async () => {
  const target = (name: string): string => join(local, `${name}.db`);
  await timed('cp', () => ok('cp', [mount.path(), target('cp')]));
  await timed('rsync -L', () => ok('rsync', ['-L', mount.path(), target('rsync')]));
  await timed('cat', () => ok('sh', ['-c', 'cat "$1" > "$2"', 'sh', mount.path(), target('cat')]));
  await timed('.backup', () => sqlite3(mount.path(), `.backup '${target('backup')}'`));
  const [newest] = await log();
  await ok('cp', [mount.path(`mydb@${newest!.version}`), target('version')]);
  for (const name of ['rsync', 'cat', 'version'])
    assert.equal(await hash(target(name)), await hash(target('cp')), name);
  for (const name of ['cp', 'backup']) {
    for (const query of QUERIES) assert.equal(await sqlite3(target(name), query), await sqlite3(plain, query), name);
  }
});

test('the old version is still the bytes that were copied in', async () => {
  const again = join(local, 'again.db');
  await ok('cp', [mount.path(`mydb@${imported}`), again]);
  assert.equal(await hash(again), await hash(join(local, 'imported.db')));
  assert.equal(await sqlite3(again, 'PRAGMA integrity_check'), 'ok');
  assert.notEqual(await hash(again), await hash(join(local, 'cp.db')));
});

test('a file that asks for a write-ahead log differs from its copy in that wish alone', async () => {
  const [source, copy] = [join(local, 'wal.db'), join(local, 'wal-copy.db')];
  await sqlite3(source, 'PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  await ok('cp', [source, mount.path()]);
  await ok('cp', [mount.path(), copy]);
  const { status, stdout } = await run('cmp', ['-l', source, copy]);
  assert.equal(status, 1);
  // One line for each byte: its number from 1, and the two values.
  const differing = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/ +/));
  assert.deepEqual(differing, [
    ['19', '2', '1'],
    ['20', '2', '1'],
  ]);
});
