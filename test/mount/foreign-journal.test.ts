// A database that is copied into the mount together with the hot journal of its last transaction is recovered by
// SQLite there, as it would be on any filesystem: by whichever connection comes first, also after a restart.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PENDING_BYTE } from '../../src/sqlite/lock-bytes.js';
import { Client, type Digest, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;
let local: string;
/** What the database held before the transaction that its journal takes back. */
let intact: Digest;

const JOURNAL_MODES = ['delete', 'truncate', 'persist'] as const;

before(async () => {
  mount = await TestMount.start({ namespaces: '*,fixed=given' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
  intact = await killedInTransaction(join(local, 'hot.db'));
});

after(async () => {
  await mount.remove();
  rmSync(local, { recursive: true, force: true });
});

/** A database of which some pages were written by a transaction that never ended, and its journal. */
async function killedInTransaction(
  path: string,
  sql = 'UPDATE t SET b = noise(a + 1000, 290); DELETE FROM t WHERE a > 300',
): Promise<Digest> {
  const client = new Client();
  await client.open(path);
  await client.script(
    `PRAGMA page_size=1024; PRAGMA cache_size=5; CREATE TABLE t(a INTEGER PRIMARY KEY, b); BEGIN;
     INSERT INTO t SELECT value, noise(value, 300) FROM generate_series(1, 400); COMMIT`.replace(
      'generate_series(1, 400)',
      '(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 400) SELECT value FROM n)',
    ),
  );
  const before = await client.digest();
  await client.exec('BEGIN');
  for (const statement of sql.split(';')) await client.exec(statement);
  await client.kill();
  return before;
}

async function shell(script: string): Promise<string> {
  const { status, stdout, stderr } = await run('bash', ['-c', `cd ${mount.directory} && L=${local} && ${script}`]);
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

async function digestOf(path: string, pragmas = ''): Promise<Digest> {
  const client = new Client();
  try {
    await client.open(path);
    if (pragmas !== '') await client.script(pragmas);
    return await client.digest();
  } finally {
    await client.kill();
  }
}

test('the database alone is damaged, or this test would show nothing', async () => {
  mkdirSync(join(local, 'alone'));
  await run('cp', [join(local, 'hot.db'), join(local, 'alone', 'hot.db')]);
  const alone = await digestOf(join(local, 'alone', 'hot.db')).catch(() => undefined);
  assert.notDeepEqual(alone, intact);
});

for (const mode of JOURNAL_MODES) {
  for (const synchronous of ['off', 'full']) {
    for (const order of ['hot.db hot.db-journal', 'hot.db-journal hot.db']) {
      test(`copied in as ${order}, recovered with ${mode} and synchronous=${synchronous}`, async () => {
        await shell(`for f in ${order}; do cp $L/$f .; done`);
        assert.deepEqual(
          await digestOf(mount.path('hot.db'), `PRAGMA journal_mode=${mode}; PRAGMA synchronous=${synchronous}`),
          intact,
        );
        assert.equal((await run('cat', [mount.path('hot.db-journal')])).status, 1);
        assert.deepEqual(await digestOf(mount.path('hot.db')), intact);
        assert.equal(await sqlite3(mount.path('hot.db'), 'DELETE FROM t WHERE a = 1; SELECT count(*) FROM t'), '399');
        await shell('rm hot.db');
      });
    }
  }
}

test('a database that the transaction had made longer than its page 1 states', async () => {
  const before = await killedInTransaction(
    join(local, 'longer.db'),
    'INSERT INTO t SELECT NULL, noise(a, 3000) FROM t',
  );
  await shell('for f in $L/longer.db*; do cp $f .; done');
  assert.deepEqual(await digestOf(mount.path('longer.db')), before);
  await shell('rm longer.db');
});

test('under a name that was given at the mount', async () => {
  await sqlite3(mount.path('fixed'), 'CREATE TABLE before(a); INSERT INTO before VALUES(1)');
  await shell('cp $L/hot.db fixed; cp $L/hot.db-journal fixed-journal');
  assert.deepEqual(await digestOf(mount.path('fixed')), intact);
  assert.equal((await run('cat', [mount.path('fixed-journal')])).status, 1);
});

/** What ends a journal of a transaction over several databases: the path of its super-journal. */
function superJournalRecord(path: string): Buffer {
  const name = Buffer.from(path);
  const record = Buffer.alloc(name.length + 20);
  record.writeUInt32BE(PENDING_BYTE / 1024 + 1);
  name.copy(record, 4);
  record.writeUInt32BE(name.length, name.length + 4);
  record.writeUInt32BE(
    name.reduce((sum, byte) => sum + byte, 0),
    name.length + 8,
  );
  record.write('d9d505f920a163d7', name.length + 12, 'hex');
  return record;
}

test('two databases with hot journals that name a super-journal: recovered as long as that is there', async () => {
  const names = ['one.db', 'two.db'];
  const superJournal = 'one.db-mj0A1B2C9D4';
  for (const name of names) {
    assert.deepEqual(await killedInTransaction(join(local, name)), intact);
    appendFileSync(join(local, `${name}-journal`), superJournalRecord(mount.path(superJournal)));
  }
  writeFileSync(join(local, superJournal), names.map((name) => `${mount.path(name)}-journal\0`).join(''));
  const copyIn = 'for f in one.db two.db one.db-journal two.db-journal; do cp $L/$f .; done';

  await shell(`${copyIn}; cp $L/${superJournal} .; cmp ${superJournal} $L/${superJournal}`);
  assert.deepEqual(await digestOf(mount.path('one.db')), intact);
  assert.equal(await shell('ls one.db* two.db*'), `one.db\n${superJournal}\ntwo.db\ntwo.db-journal`);
  assert.deepEqual(await digestOf(mount.path('two.db')), intact);
  assert.equal(await shell('ls one.db* two.db*'), 'one.db\ntwo.db');

  // Without it they are those of a transaction that was committed.
  await shell(copyIn);
  for (const name of names) {
    assert.notDeepEqual(await digestOf(mount.path(name)).catch(() => undefined), intact);
  }
  assert.equal(await shell('ls one.db* two.db*; rm one.db two.db'), 'one.db\ntwo.db');
});

test('it outlives the daemon, and a client that dies while it recovers', async () => {
  await shell('cp $L/hot.db* .');
  const { base } = mount;
  await mount.kill();
  mount = await TestMount.start({ base, namespaces: '*,fixed=given' });
  const client = new Client();
  await client.open(mount.path('hot.db'));
  // Whoever only looks at it has changed nothing.
  await client.kill();
  assert.deepEqual(await digestOf(mount.path('hot.db')), intact);
  await shell('rm hot.db');
});

test('several programs come at once: one of them recovers, none sees anything else', async () => {
  await shell('cp $L/hot.db* .');
  const clients = Array.from({ length: 6 }, () => new Client());
  const digests = await Promise.all(
    clients.map(async (client) => {
      await client.open(mount.path('hot.db'), 0, { timeout: 30 });
      return client.digest();
    }),
  );
  await Promise.all(clients.map((client) => client.kill()));
  for (const digest of digests) assert.deepEqual(digest, intact);
  await shell('rm hot.db');
});

test('a journal whose header is zeroed takes nothing back, and a database of such a name is none', async () => {
  await shell('cp $L/hot.db* .');
  await sqlite3(mount.path('hot.db'), 'SELECT 1 FROM t');
  await shell("sqlite3 other.db 'CREATE TABLE t(a)'; cp other.db hot.db-journal");
  assert.deepEqual(await digestOf(mount.path('hot.db')), intact);
  await shell('cmp other.db hot.db-journal');
  await shell('dd if=/dev/zero bs=600 count=1 of=hot.db-journal status=none');
  assert.deepEqual(await digestOf(mount.path('hot.db')), intact);
  await shell('rm other.db hot.db hot.db-journal');
});

test('the recovery is one commit, and what was there before it stays a version', async () => {
  await shell('cp $L/hot.db* .');
  await sqlite3(mount.path('hot.db'), 'SELECT count(*) FROM t');
  const { stdout } = await run(process.execPath, [MAIN, 'log', 'hot.db', '--json', '--store', mount.storeUrl]);
  const versions = (JSON.parse(stdout) as Array<{ version: string }>).map(({ version }) => version);
  assert.equal(versions.length, 2);
  await shell(`cmp $L/hot.db hot.db@${versions[1]}`);
});
