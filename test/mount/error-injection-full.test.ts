// A full disk in the middle of a transaction. SQLite then may undo only the statement and let the transaction go on:
// a COMMIT that succeeds afterwards must hold every statement that succeeded, those too whose pages had been written
// to the database before the disk was full.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, type Step } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { ENOSPC } from '../support/injection-settings.js';
import { FaultMount } from '../support/mounted.js';

let mount: FaultMount;
const writer = new Client();
const checker = new Client();

const JOURNALS = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY'] as const;
const ATTEMPTS_MAX = 60;
/** Normally every fifth write. */
const STEP = LONG ? 1 : 5;

before(async () => {
  mount = await FaultMount.startFaulty({ logLevel: 'silent', namespaces: JOURNALS.map((j) => `${j}=${j}`).join(',') });
});

after(async () => {
  await writer.kill();
  await checker.kill();
  await mount.remove();
});

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS u(id INTEGER PRIMARY KEY, part, state, x TEXT UNIQUE, pad TEXT);
  DELETE FROM u;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
  INSERT INTO u SELECT i, (i + 29) / 30, 0, hex(randomblob(8)), hex(zeroblob(300)) FROM n`;

/** Rewrites a quarter of the rows; the UNIQUE column makes SQLite keep a statement journal. */
function rewrite(part: number, state: number): string {
  return `UPDATE u SET state = ${state}, x = hex(randomblob(8)) WHERE part = ${part}`;
}

/** The state of each quarter. */
async function states(path: string): Promise<number[]> {
  await checker.open(path);
  assert.deepEqual(await checker.exec('PRAGMA integrity_check'), [['ok']]);
  const rows = await checker.exec('SELECT min(state), max(state), count(*) FROM u GROUP BY part ORDER BY part');
  await checker.close();
  assert.ok(
    rows.every(([least, most, count]) => least === most && count === 30),
    JSON.stringify(rows),
  );
  return rows.map(([state]) => state as number);
}

for (const journal of JOURNALS) {
  for (const locking of ['NORMAL', 'EXCLUSIVE'] as const) {
    for (const synchronous of ['OFF', 'FULL'] as const) {
      // No commit event before the connection is closed: see InjectionLedger.
      if (journal === 'MEMORY' && locking === 'EXCLUSIVE' && synchronous === 'OFF') continue;
      test(`a full disk in a statement, ${journal} ${synchronous} ${locking}`, async (t) => {
        const path = mount.path(journal);
        const counts = { injections: 0, wentOn: 0 };
        for (const label of ['W(db)', 'W(j)']) {
          for (let nth = 1; nth <= ATTEMPTS_MAX; nth += STEP) {
            const wentOn = await attempt(path, [journal, synchronous, locking], label, nth);
            if (wentOn === undefined) break;
            counts.injections += 1;
            if (wentOn) counts.wentOn += 1;
          }
        }
        t.diagnostic(`${counts.injections} injections, after ${counts.wentOn} of them the transaction went on`);
      });
    }
  }
}

/** @returns whether the transaction went on after the error; undefined when there was no nth write */
async function attempt(
  path: string,
  [journal, synchronous, locking]: string[],
  label: string,
  nth: number,
): Promise<boolean | undefined> {
  const exec = (sql: string): Step => ({ op: 'exec', sql });
  const pragmas = [`PRAGMA locking_mode=${locking}`, `PRAGMA journal_mode=${journal}`];
  pragmas.push(`PRAGMA synchronous=${synchronous}`, 'PRAGMA cache_size=4');
  const prepared = await writer.steps([
    { op: 'open', path, timeout: 0 },
    { op: 'all', sql: [...pragmas, ...SCHEMA.split(';'), rewrite(1, 1), 'BEGIN', rewrite(2, 2)] },
  ]);
  assert.deepEqual(prepared, [{ value: null }, { value: null }]);

  await mount.inject(label, nth, ENOSPC);
  const [third, open] = await writer.steps([exec(rewrite(3, 2)), { op: 'in_transaction' }]);
  await mount.clear();
  const met = (await mount.hit(0)) !== undefined;
  const expected = [1, 2, third!.error === undefined ? 2 : 0, 0];
  let committed = false;
  if (open!.value === true) {
    const [fourth] = await writer.steps([exec(rewrite(4, 2))]);
    if (fourth!.error === undefined) expected[3] = 2;
    const [commit] = await writer.steps([exec('COMMIT')]);
    committed = commit!.error === undefined;
    if (!met) assert.ok(committed);
  }
  await writer.steps([{ op: 'rollback' }]);
  if (!committed) expected.fill(0, 1);
  assert.deepEqual(await states(path), expected, `${label} ${nth}, the statement: ${JSON.stringify(third)}`);

  const [next] = await writer.steps([exec(rewrite(1, 3))]);
  await writer.steps([{ op: 'close' }]);
  if (next!.error === undefined) expected[0] = 3;
  assert.deepEqual(
    await states(path),
    expected,
    `${label} ${nth}, after the next transaction: ${JSON.stringify(next)}`,
  );
  return met ? third!.error !== undefined && open!.value === true : undefined;
}
