// Databases whose page 1 says nothing, and those with reserved bytes: SQLCipher encrypts everything, other extensions keep a
// checksum of each page behind it. Their bytes are theirs, their transactions are versions like all others.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { withService } from '../../src/cli/store-access.js';
import { CLIENT_ENVIRONMENT, run, sqlite3 } from '../support/client.js';
import { FaultMount } from '../support/mounted.js';

const PROGRAM = '/usr/bin/sqlcipher';
const EIO = 5;
const FILL = (count: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) INSERT INTO t(x) SELECT hex(zeroblob(100)) FROM n`;
const SCHEMA = `CREATE TABLE t(id INTEGER PRIMARY KEY, x); ${FILL(400)}`;
/** Pages are written before the transaction ends. */
const SPILLED = 'PRAGMA cache_size=5; BEGIN; UPDATE t SET x = hex(zeroblob(200))';
const CONTENT = 'SELECT count(*), sum(length(x)), max(id) FROM t; PRAGMA integrity_check';

let mount: FaultMount;
let local: string;

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-encrypted-'));
  mount = await FaultMount.startFaulty({ namespaces: 'mydb=test,reserved=reserved', logLevel: 'silent' });
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

afterEach(async () => {
  await mount.clear();
  await mount.release();
});

async function cipher(path: string, sql: string, options = ''): Promise<string> {
  const { status, stdout, stderr } = await run(PROGRAM, ['-batch', path], `PRAGMA key='secret';${options}\n${sql};\n`);
  return status === 0 && stderr === '' ? stdout.trim() : `${stdout}${stderr}`.trim();
}

async function succeed(program: string, ...args: string[]): Promise<void> {
  const { status, stdout, stderr } = await run(program, args);
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`);
}

/** Of the namespace, the newest first. */
async function versions(): Promise<string[]> {
  const log = await withService(mount.storeUrl, (service) => service.log('test', { limit: 1000 }));
  return log.map(({ version }) => version);
}

async function copyIn(name: string, sql = SCHEMA, options = ''): Promise<string> {
  const path = join(local, name);
  rmSync(path, { force: true });
  await cipher(path, sql, options);
  await succeed('cp', path, mount.path());
  return path;
}

describe('encrypted as a whole', { skip: !existsSync(PROGRAM) && 'no sqlcipher' }, () => {
  beforeEach(async () => {
    await copyIn('start.db');
  });

  test('a copy is there as soon as it was made, goes out again, and its versions open with the key', async () => {
    for (let i = 0; i < 10; i += 1) {
      const path = await copyIn('copy.db', `CREATE TABLE t(x); ${FILL(10 * i + 1)}`);
      await succeed('cmp', path, mount.path());
      await succeed('cp', mount.path(), join(local, 'back.db'));
      await succeed('cmp', path, join(local, 'back.db'));
    }
    const [newest, , older] = await versions();
    assert.equal(await cipher(mount.path(`mydb@${newest}`), 'SELECT count(*) FROM t'), '91');
    assert.equal(await cipher(mount.path(`mydb@${older}`), 'SELECT count(*) FROM t'), '71');
    assert.match(await sqlite3(mount.path(), '.tables').catch(String), /not a database/);
    assert.equal(await cipher(mount.path(), 'SELECT count(*) FROM t'), '91');
  });

  for (const mode of ['delete', 'truncate', 'persist', 'memory', 'off']) {
    for (const synchronous of ['full', 'off']) {
      test(`as on a local disk: journal_mode=${mode}, synchronous=${synchronous}`, async () => {
        const path = join(local, 'start.db');
        const set = `PRAGMA journal_mode=${mode}; PRAGMA synchronous=${synchronous}`;
        // What is left of a rolled back transaction without a journal is a damaged file, but not here.
        const undone = mode === 'off' ? '' : `${SPILLED}; ROLLBACK`;
        const scripts = [
          `INSERT INTO t(x) VALUES(1); INSERT INTO t(x) VALUES(2)`,
          `BEGIN; DELETE FROM t WHERE id % 2; ${FILL(300)}; COMMIT`,
          undone,
          `${SPILLED}; COMMIT`,
          'SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; INSERT INTO t(x) VALUES(3); RELEASE a',
          'DELETE FROM t WHERE id > 50; VACUUM; PRAGMA page_count',
          'PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t(x) VALUES(4); INSERT INTO t(x) VALUES(5)',
        ];
        for (const script of scripts) {
          assert.equal(
            await cipher(mount.path(), `${set}; ${script}`),
            await cipher(path, `${set}; ${script}`),
            script,
          );
          const content = await cipher(path, CONTENT);
          assert.match(content, /^\d+\|\d+\|\d+\nok$/);
          assert.equal(await cipher(mount.path(), CONTENT), content, `after ${script}`);
        }
        const [size, expected] = await Promise.all(
          [mount.path(), path].map((each) => run('stat', ['-Lc', '%s', each])),
        );
        assert.equal(size!.stdout, expected!.stdout);
      });
    }
  }

  for (const pageBytes of [512, 2048, 4096, 65_536]) {
    test(`pages of ${pageBytes} bytes, which nothing outside can know`, async () => {
      const options = `PRAGMA cipher_page_size=${pageBytes};`;
      const path = await copyIn('pages.db', SCHEMA, options);
      for (const sql of [FILL(2000), 'DELETE FROM t WHERE id > 300', 'VACUUM', FILL(100), `${SPILLED}; ROLLBACK`]) {
        for (const each of [path, mount.path()]) await cipher(each, sql, options);
        assert.equal(await cipher(mount.path(), CONTENT, options), await cipher(path, CONTENT, options), sql);
      }
      const back = join(local, 'back.db');
      await succeed('cp', mount.path(), back);
      assert.equal(await cipher(back, CONTENT, options), await cipher(path, CONTENT, options));
    });
  }

  test('a transaction is one version, and one that is rolled back none', async () => {
    const before = (await versions()).length;
    await cipher(mount.path(), 'BEGIN; INSERT INTO t(x) VALUES(1); DELETE FROM t WHERE id < 100; COMMIT');
    await cipher(mount.path(), 'BEGIN; DELETE FROM t; ROLLBACK; SELECT count(*) FROM t');
    assert.equal((await versions()).length, before + 1);
  });

  test('a reader keeps its snapshot while another writes', async () => {
    const write = `${PROGRAM} ${mount.path()} "PRAGMA key='secret'; DELETE FROM t WHERE id > 10; VACUUM;"`;
    const sql = `BEGIN; SELECT count(*) FROM t;\n.shell ${write}\nSELECT count(*), sum(length(x)) FROM t; COMMIT; SELECT count(*) FROM t`;
    assert.equal(await cipher(mount.path(), sql), '400\n400|80000\n10');
  });

  for (const pageBytes of [1024, 65_536]) {
    test(`a wish for a write-ahead log is taken back, pages of ${pageBytes} bytes`, async () => {
      const options = `PRAGMA cipher_page_size=${pageBytes};`;
      await copyIn('wal.db', SCHEMA, options);
      const before = await cipher(mount.path(), CONTENT, options);
      const refused = /unable to open database file/;
      assert.match(await cipher(mount.path(), 'PRAGMA journal_mode=WAL; INSERT INTO t(x) VALUES(1)', options), refused);
      assert.equal(await cipher(mount.path(), CONTENT, options), before);
      // Set by one program, met by the next.
      assert.equal(await cipher(mount.path(), 'PRAGMA journal_mode=WAL', options), 'wal');
      assert.match(await cipher(mount.path(), CONTENT, options), refused);
      assert.equal(await cipher(mount.path(), CONTENT, options), before);
      await cipher(mount.path(), 'INSERT INTO t(x) VALUES(1)', options);
      assert.equal(await cipher(mount.path(), 'SELECT max(id) FROM t', options), '401');
      // Nobody takes anything else back by making such a file.
      await cipher(mount.path(), 'PRAGMA user_version=5', options);
      await run('sh', ['-c', 'touch "$(readlink -f "$1")-wal"', 'sh', mount.path()]);
      assert.equal(await cipher(mount.path(), 'PRAGMA user_version', options), '5');
    });
  }

  for (const pragmas of ['', 'PRAGMA synchronous=OFF;', 'PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;']) {
    test(`a client that is killed while it writes leaves nothing half: ${pragmas}`, async () => {
      const before = await cipher(mount.path(), CONTENT);
      for (const nth of [1, 2, 20]) {
        await mount.hold('W(db)', nth);
        const args = [mount.path(), `PRAGMA key='secret'; ${pragmas} ${SPILLED}; COMMIT`];
        const client = spawn(PROGRAM, args, { env: CLIENT_ENVIRONMENT, stdio: 'ignore' });
        assert.equal(await mount.hit(20_000), 'W(db)');
        client.kill('SIGKILL');
        await mount.release();
        await once(client, 'exit');
        assert.equal(await cipher(mount.path(), `.timeout 20000\n${CONTENT}`), before);
      }
      assert.equal(await cipher(mount.path(), `.timeout 20000\nUPDATE t SET x = 1; SELECT sum(x) FROM t`), '400');
    });
  }

  test('a commit that fails is undone, and the next one works', async () => {
    const before = await cipher(mount.path(), CONTENT);
    await mount.inject('FSYNC(db)', 1, EIO);
    assert.match(
      await cipher(mount.path(), `UPDATE t SET x = 7; ${CONTENT}; INSERT INTO t(x) VALUES(8); ${CONTENT}`),
      /disk I\/O error/,
    );
    assert.equal(await cipher(mount.path(), CONTENT), before);
    await cipher(mount.path(), 'INSERT INTO t(x) VALUES(8)');
    assert.equal(await cipher(mount.path(), 'SELECT max(id) FROM t'), '401');
  });

  test('an open transaction is gone with the daemon, and what was committed is not', async () => {
    const killed = await FaultMount.startFaulty({ logLevel: 'silent' });
    await cipher(killed.path(), SCHEMA);
    await cipher(killed.path(), 'PRAGMA synchronous=FULL; DELETE FROM t WHERE id > 100');
    const before = await cipher(killed.path(), CONTENT);
    await killed.hold('W(db)', 10);
    const client = run(PROGRAM, [killed.path(), `PRAGMA key='secret'; ${SPILLED}; COMMIT`]);
    assert.equal(await killed.hit(20_000), 'W(db)');
    await killed.kill();
    await client;
    const again = await FaultMount.startFaulty({ base: killed.base, logLevel: 'silent' });
    try {
      assert.equal(await cipher(again.path(), CONTENT), before);
    } finally {
      await again.remove();
    }
  });
});

test('with reserved bytes every byte is as on a local disk, counters too', async () => {
  const path = join(local, 'reserved.db');
  const scripts = [
    `.filectrl reserve_bytes 8\nPRAGMA page_size=2048; VACUUM; ${SCHEMA}`,
    'BEGIN; DELETE FROM t WHERE id % 2; INSERT INTO t(x) VALUES(1); COMMIT',
    `${SPILLED}; COMMIT`,
    'BEGIN; DELETE FROM t; ROLLBACK',
    'PRAGMA synchronous=OFF; INSERT INTO t(x) VALUES(2)',
    'PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; INSERT INTO t(x) VALUES(3); BEGIN; DELETE FROM t; ROLLBACK',
    'PRAGMA journal_mode=PERSIST; PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t(x) VALUES(3); INSERT INTO t(x) VALUES(4)',
    'DELETE FROM t WHERE id > 100; VACUUM',
    `PRAGMA page_size=8192; VACUUM; ${FILL(100)}`,
  ];
  for (const script of scripts) {
    assert.equal(await sqlite3(mount.path('reserved'), script), await sqlite3(path, script), script);
    await succeed('cmp', path, mount.path('reserved'));
  }
  assert.equal(await sqlite3(mount.path('reserved'), CONTENT), await sqlite3(path, CONTENT));
  assert.equal(await sqlite3(mount.path('reserved'), 'PRAGMA journal_mode=WAL'), 'wal');
  await assert.rejects(sqlite3(mount.path('reserved'), CONTENT), /unable to open|readonly/);
  assert.equal(await sqlite3(mount.path('reserved'), CONTENT), await sqlite3(path, CONTENT));
  await sqlite3(mount.path('reserved'), 'INSERT INTO t(x) VALUES(9)');
  assert.equal((await run('od', ['-An', '-tu1', '-j20', '-N1', mount.path('reserved')])).stdout.trim(), '8');
});
