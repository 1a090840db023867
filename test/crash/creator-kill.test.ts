// SIGKILL of a program while one request of the transaction is being served by which it creates a database in a mounted
// directory. Afterwards the name shows all of it, or an empty file, or nothing; and the next writer gets in at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type Step } from '../support/client.js';
import { endsOfRuns, LONG } from '../support/injection-run.js';
import { FaultMount } from '../support/mounted.js';

const NEXT_WRITER_MS_MAX = 1_000;
const TABLES = 3;

let mount: FaultMount;
const checker = new Client();

before(async () => {
  // Every run asks for the same, however much the kernel has cached of the one before.
  mount = await FaultMount.startFaulty({ namespaces: '*', logLevel: 'silent', kernelCache: false });
  // Some things the kernel asks for once.
  await trace('DELETE', 'first');
});

after(async () => {
  await checker.kill();
  await mount.remove();
});

function creation(journal: string): Step {
  const sql = [`PRAGMA journal_mode=${journal}`, 'BEGIN'];
  for (let table = 0; table < TABLES; table += 1) {
    sql.push(`CREATE TABLE t${table}(a)`, `INSERT INTO t${table} SELECT hex(zeroblob(3000))`);
  }
  return { op: 'all', sql: [...sql, 'COMMIT'] };
}

async function trace(journal: string, name: string): Promise<string[]> {
  const client = new Client();
  await mount.startTrace();
  const answers = await client.steps([{ op: 'open', path: mount.path(name) }, creation(journal)]);
  const labels = await mount.stopTrace();
  await client.kill();
  assert.deepEqual(answers, [{ value: null }, { value: null }]);
  return labels;
}

/** @returns whether the database is there */
async function killAt(client: Client, journal: string, nth: number, labels: readonly string[]): Promise<boolean> {
  const path = mount.path(`${journal}-${nth}`);
  await mount.hold(undefined, nth);
  const ended = client.steps([{ op: 'open', path }, creation(journal)]).catch(() => 'killed');
  // About the one that was traced: what the checker closed is released in between, at one time or another.
  const label = await mount.hit(2_000);
  if (label === undefined) {
    await Promise.all([mount.release(), mount.clear()]);
    assert.deepEqual(await ended, [{ value: null }, { value: null }]);
  }
  // The kernel lets a process go only when its request is answered.
  await Promise.all([client.kill(), mount.release()]);
  if (label !== undefined) assert.equal(await ended, 'killed');

  const what = `killed at request ${nth} of ${labels.length} (${label})`;
  const startMs = performance.now();
  const tables = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 't_'";
  const answers = await checker.steps([
    { op: 'open', path },
    { op: 'exec', sql: 'PRAGMA integrity_check' },
    { op: 'exec', sql: tables },
    { op: 'exec', sql: 'CREATE TABLE next(a)' },
    { op: 'close' },
  ]);
  assert.ok(performance.now() - startMs < NEXT_WRITER_MS_MAX, what);
  assert.deepEqual(answers[1], { value: [['ok']] }, what);
  assert.deepEqual(answers[3], { value: [] }, what);
  const count = (answers[2]!.value as number[][])[0]![0]!;
  if (label === undefined) assert.equal(count, TABLES, what);
  assert.ok(count === 0 || count === TABLES, `${what}: ${count} tables`);
  return count === TABLES;
}

for (const journal of LONG ? ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY'] : ['DELETE']) {
  test(`SIGKILL at each request of who creates a database, ${journal}`, async (t) => {
    const labels = await trace(journal, `${journal}-0`);
    let numbers = labels.map((_, index) => ({ nth: index + 1, errno: 0 }));
    if (!LONG) numbers = endsOfRuns(labels, numbers).filter((_, index) => index % 2 === 0);
    let created = 0;
    // Starting a client takes the longest: the next one starts while this one is killed.
    const started = [new Client()];
    try {
      for (const [index, { nth }] of numbers.entries()) {
        started.push(new Client());
        if (await killAt(started[index]!, journal, nth, labels)) created += 1;
      }
    } finally {
      await mount.release();
      await Promise.all(started.map((client) => client.kill()));
    }
    t.diagnostic(`${numbers.length} kills, ${created} after the commit point`);
    assert.ok(created > 0 && created < numbers.length);
  });
}
