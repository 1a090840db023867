// A write-ahead log without shared memory: in the exclusive locking mode SQLite keeps one here, too. The same results as on a
// local disk, each commit a version that others see at once, whatever is killed or refused.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client, run, type Step, sqlite3 } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { EIO, ENOSPC } from '../support/injection-settings.js';
import { LEDGER_READ, LEDGER_SCHEMA, LedgerState, ledgerTransaction } from '../support/ledger.js';
import { FaultMount } from '../support/mounted.js';
import { chooseSeed, seededRandom } from '../support/random.js';
import { RandomSql } from '../support/random-sql.js';

const STEPS = LONG ? 5_000 : 75;
/** Between comparisons of everything. */
const CHECK_STEPS = 15;
const SEED = chooseSeed('exclusive-wal');
const SYNCHRONOUS = ['OFF', 'NORMAL', 'FULL'] as const;
/** On any filesystem there is no checkpoint (SQLITE_LOCKED) between `journal_mode=WAL` and the next use of a database. */
const TOUCH = 'SELECT count(*) FROM main.sqlite_schema, aux.sqlite_schema';
/** The last write of a transaction to the log commits it. */
const WRITE = 'W(wal)';

let mount: FaultMount;
let local: string;

before(async () => {
  mount = await FaultMount.startFaulty({ namespaces: '*,given=given', logLevel: 'silent' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-wal-'));
});

after(async () => {
  await mount.remove();
  rmSync(local, { recursive: true, force: true });
});

function pragmas(synchronous: string, pageBytes: number, cachePages: number): string[] {
  const settings = [
    `page_size=${pageBytes}`,
    'locking_mode=EXCLUSIVE',
    'journal_mode=WAL',
    `synchronous=${synchronous}`,
  ];
  return [...settings, `cache_size=${cachePages}`, `wal_autocheckpoint=20`].map((setting) => `PRAGMA ${setting}`);
}

/** The same statements on a mount and on a local disk. */
class Pair {
  readonly #sides: ReadonlyArray<{ readonly client: Client; readonly path: string }>;
  readonly #said: string[] = [];

  constructor(name: string) {
    const paths = [mount.path(name), join(local, name)];
    this.#sides = paths.map((path) => ({ client: new Client(), path }));
  }

  get path(): string {
    return this.#sides[0]!.path;
  }

  async open(...statements: readonly string[]): Promise<void> {
    for (const { client, path } of this.#sides) {
      await client.open(path);
      await client.exec(`ATTACH '${path}-aux' AS aux`);
    }
    for (const sql of statements) await this.tell(sql);
  }

  async close(): Promise<void> {
    for (const { client } of this.#sides) await client.close();
  }

  async tell(sql: string): Promise<void> {
    this.#said.push(sql);
    const answers = [];
    for (const { client } of this.#sides) {
      const answer = await client.exec(sql).catch((error) => error.code as string);
      answers.push(answer);
    }
    assert.deepEqual(answers[0], answers[1], this.#failure());
  }

  /** What the connections hold, and what another process reads on the mount. */
  async check(): Promise<void> {
    const other = new Client();
    try {
      for (const [schema, suffix] of [
        ['main', ''],
        ['aux', '-aux'],
      ] as const) {
        const [mounted, plain] = [
          await this.#sides[0]!.client.digest(0, schema),
          await this.#sides[1]!.client.digest(0, schema),
        ];
        assert.deepEqual(mounted, plain, this.#failure());
        await other.open(`${this.path}${suffix}`);
        assert.deepEqual(await other.digest(), plain, `another process, ${this.#failure()}`);
        await other.close();
      }
    } finally {
      await other.kill();
    }
  }

  async inTransaction(): Promise<boolean> {
    return this.#sides[0]!.client.inTransaction();
  }

  async kill(): Promise<void> {
    await Promise.all(this.#sides.map(({ client }) => client.kill()));
  }

  #failure(): string {
    return `MVFUSE_TEST_SEED=${SEED}, after:\n${this.#said.slice(-12).join('\n')}`;
  }
}

describe(`${STEPS} random steps`, { concurrency: 2 }, () => {
  for (const [index, pageBytes] of [512, 4096, 65536].entries()) {
    for (const by of ['its creator', 'another']) {
      test(`pages of ${pageBytes}, by ${by}`, async () => {
        const random = seededRandom(SEED + pageBytes + by.length);
        const sql = new RandomSql(random, pageBytes);
        const pair = new Pair(`random-${pageBytes}-${by.length}`);
        const settings = pragmas(SYNCHRONOUS[index]!, pageBytes, 10);
        try {
          await pair.open(...settings, ...RandomSql.schema());
          if (by === 'another') {
            await pair.close();
            await pair.open(...settings);
          }
          for (let step = 1; step <= STEPS; step += 1) {
            const inTransaction = await pair.inTransaction();
            const statement = next(sql, inTransaction);
            if (statement.startsWith('PRAGMA wal_checkpoint')) await pair.tell(TOUCH);
            await pair.tell(statement);
            if (step % CHECK_STEPS !== 0) continue;
            if (await pair.inTransaction()) await pair.tell(sql.chance(0.7) ? 'COMMIT' : 'ROLLBACK');
            await pair.check();
            if (!sql.chance(0.2)) continue;
            await pair.close();
            await pair.open(...settings);
          }
        } finally {
          await pair.kill();
        }
      });
    }
  }
});

function next(sql: RandomSql, inTransaction: boolean): string {
  if (inTransaction) {
    if (sql.chance(0.1)) return 'COMMIT';
    if (sql.chance(0.05)) return 'ROLLBACK';
    // More than the cache holds is written to the log before it is committed, and again.
    if (sql.chance(0.1)) return sql.insertBytes(100_000);
  } else {
    if (sql.chance(0.3)) return 'BEGIN';
    if (sql.chance(0.05)) return `PRAGMA wal_checkpoint(${sql.pick(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])})`;
    if (sql.chance(0.03)) return 'VACUUM';
    if (sql.chance(0.03)) return `PRAGMA journal_mode=${sql.pick(['WAL', 'DELETE', 'TRUNCATE', 'PERSIST', 'WAL'])}`;
  }
  return sql.statement({ inTransaction, careful: false, reading: false });
}

/** A ledger with a writer that has it in exclusive WAL mode. */
async function ledger(name: string, cachePages = 200): Promise<Client> {
  await sqlite3(mount.path(name), LEDGER_SCHEMA);
  const writer = new Client();
  await openLedger(writer, name, cachePages);
  return writer;
}

async function openLedger(writer: Client, name: string, cachePages = 200): Promise<void> {
  await writer.open(mount.path(name));
  for (const sql of pragmas('FULL', 4096, cachePages)) await writer.exec(sql);
}

const steps = (sql: readonly string[]): Step => ({ op: 'all', sql });
const READ: Step = { op: 'exec', sql: LEDGER_READ };

async function stateSeen(name: string): Promise<string> {
  const client = new Client();
  try {
    await client.open(mount.path(name));
    assert.deepEqual(await client.exec('PRAGMA integrity_check'), [['ok']]);
    return JSON.stringify((await client.exec(LEDGER_READ))[0]);
  } finally {
    await client.kill();
  }
}

for (const [what, cachePages, length] of [
  ['that fits the cache', 200, 3_500],
  ['that spills', 4, 35_000],
] as const) {
  test(`a transaction ${what}: refused at any write, it is not there, and the next one is`, async (t) => {
    const name = `refused-${cachePages}`;
    const writer = await ledger(name, cachePages);
    let state = new LedgerState();
    let id = 1;
    const commit = async (): Promise<string | undefined> => {
      const [answer] = await writer.steps([steps(ledgerTransaction(id, length))]);
      await writer.steps([{ op: 'rollback' }]);
      return answer!.error;
    };
    try {
      await mount.startTrace();
      assert.equal(await commit(), undefined);
      state = state.with(id);
      const writes = (await mount.stopTrace()).filter((label) => label === WRITE).length;
      assert.ok(writes > 2);
      let refused = 0;
      for (let nth = 1; nth <= writes; nth += LONG ? 1 : Math.ceil(writes / 5)) {
        for (const errno of [EIO, ENOSPC]) {
          id += 1;
          await mount.inject(WRITE, nth, errno);
          const error = await commit();
          await mount.clear();
          if ((await mount.hit(0)) === undefined) state = state.with(id);
          else {
            refused += 1;
            assert.notEqual(error, undefined, `write ${nth} of ${writes}`);
          }
          assert.equal(await stateSeen(name), String(state), `write ${nth} of ${writes}`);
          id += 1;
          assert.equal(await commit(), undefined, `after write ${nth} of ${writes}`);
          state = state.with(id);
          assert.equal(await stateSeen(name), String(state), `after write ${nth} of ${writes}`);
        }
      }
      t.diagnostic(`${refused} transactions refused, of ${writes} writes`);
      assert.ok(refused > 2);

      id += 1;
      await mount.failCommit('STORE_FAILED');
      assert.notEqual(await commit(), undefined);
      assert.equal(await stateSeen(name), String(state));
      id += 1;
      assert.equal(await commit(), undefined);
      assert.equal(await stateSeen(name), String(state.with(id)));
    } finally {
      await mount.clear();
      await writer.kill();
    }
  });
}

test('killed at any write, everything that was acknowledged is there, and nothing in half', async (t) => {
  const name = 'killed';
  let writer = await ledger(name);
  let state = new LedgerState();
  let committed = 0;
  try {
    await mount.startTrace();
    await writer.steps([steps(ledgerTransaction(1, 3500))]);
    const writes = (await mount.stopTrace()).filter((label) => label === WRITE).length;
    state = state.with(1);
    for (let nth = 1, id = 2; nth <= writes; nth += LONG ? 1 : 6, id += 2) {
      await writer.steps([steps(ledgerTransaction(id, 3500))]);
      state = state.with(id);
      await mount.hold(WRITE, nth);
      const cut = writer.steps([steps(ledgerTransaction(id + 1, 3500))]).catch(() => 'killed');
      const hit = await mount.hit(10_000);
      await Promise.all([hit === WRITE ? writer.kill() : cut.then(() => writer.kill()), mount.release()]);
      await cut;
      await mount.clear();
      const seen = await stateSeen(name);
      if (seen === String(state.with(id + 1))) {
        state = state.with(id + 1);
        committed += 1;
      }
      assert.equal(seen, String(state), `killed at write ${nth} of ${writes}`);
      writer = new Client();
      await openLedger(writer, name);
    }
    t.diagnostic(`${writes} writes, ${committed} of the killed transactions were complete`);
    // The last write is served in any case.
    assert.ok(committed <= 2);
    assert.equal((await run('sh', ['-c', 'ls -A "$0"/killed*', mount.directory])).stdout.trim(), mount.path(name));
  } finally {
    await writer.kill();
  }
});

test('under a name that was given, with a reader that keeps its snapshot', async () => {
  const writer = await ledger('given');
  const reader = new Client();
  try {
    await reader.open(mount.path('given'));
    await reader.exec('BEGIN');
    const before = await reader.exec(LEDGER_READ);
    const [answer, own] = await writer.steps([steps(ledgerTransaction(1)), READ]);
    assert.equal(answer!.error, undefined);
    assert.deepEqual(await reader.exec(LEDGER_READ), before);
    await reader.exec('COMMIT');
    assert.deepEqual(await reader.exec(LEDGER_READ), own!.value);
    await assert.rejects(sqlite3(mount.path('given'), 'INSERT INTO log VALUES(9)'), /locked/);
    assert.deepEqual(await writer.exec('PRAGMA journal_mode=DELETE'), [['delete']]);
    assert.deepEqual(await writer.exec('PRAGMA locking_mode=NORMAL'), [['normal']]);
    await writer.exec('SELECT count(*) FROM log');
    assert.equal(await sqlite3(mount.path('given'), 'INSERT INTO log VALUES(9); SELECT count(*) FROM log'), '2');
  } finally {
    await Promise.all([writer.kill(), reader.kill()]);
  }
});
