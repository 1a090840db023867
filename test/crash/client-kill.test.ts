// SIGKILL of a program while one request of its transaction is being served, for every kind of request. The request
// itself still counts, as on any filesystem: what was committed by it is there, what came before it is not. Nobody sees
// a page of a transaction that was cut off, and the write lock is free for the next writer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, type Step, sqlite3 } from '../support/client.js';
import { endsOfRuns, LONG } from '../support/injection-run.js';
import { commitPoint, type Setting } from '../support/injection-settings.js';
import { LEDGER_READ, LEDGER_SCHEMA, LedgerState, ledgerTransaction } from '../support/ledger.js';
import { FaultMount } from '../support/mounted.js';

const NEXT_WRITER_MS_MAX = 1_000;

let mount: FaultMount;
const checker = new Client();
let state = new LedgerState();
let lastId = 0;

before(async () => {
  // Every run asks for the same, however much the kernel has cached of the one before.
  mount = await FaultMount.startFaulty({ logLevel: 'silent', kernelCache: false });
  await checker.open(mount.path());
  await checker.script(LEDGER_SCHEMA);
});

after(async () => {
  await checker.kill();
  await mount.remove();
});

function setting(journal: Setting['journal'], synchronous: Setting['synchronous'], spill = false): Setting {
  return { journal, synchronous, locking: 'NORMAL', cursor: 'none', spill };
}

function openedBy({ journal, synchronous, locking, spill }: Setting): Step[] {
  const pragmas = [`PRAGMA locking_mode=${locking}`, `PRAGMA journal_mode=${journal}`];
  pragmas.push(`PRAGMA synchronous=${synchronous}`, `PRAGMA cache_size=${spill ? 4 : 200}`);
  return [
    { op: 'open', path: mount.path() },
    { op: 'all', sql: pragmas },
  ];
}

/** A transaction whose last statement, or all of it when it spills, is what a kill hits. */
function cut(chosen: Setting, id: number): { first: Step; second: Step } {
  const sql = ledgerTransaction(id, 3500);
  const at = chosen.spill ? 1 : sql.length - 1;
  return { first: { op: 'all', sql: sql.slice(0, at) }, second: { op: 'all', sql: sql.slice(at) } };
}

async function expectState(expected: LedgerState, what: string): Promise<void> {
  const read: Step = { op: 'exec', sql: LEDGER_READ };
  const fresh = { c: 1 };
  const answers = await checker.steps([
    read,
    { op: 'open', path: mount.path(), ...fresh },
    { ...read, ...fresh },
    { op: 'exec', sql: 'PRAGMA integrity_check', ...fresh },
    { op: 'close', ...fresh },
  ]);
  const rows = [answers[0]!, answers[2]!].map(({ value, error }) => error ?? JSON.stringify((value as unknown[][])[0]));
  assert.deepEqual(rows, [String(expected), String(expected)], what);
  assert.deepEqual(answers[3], { value: [['ok']] }, what);
}

/** The next writer, and how long it waited. */
async function writeNext(what: string): Promise<void> {
  lastId += 1;
  const startMs = performance.now();
  const [answer] = await checker.steps([{ op: 'all', sql: ['DELETE FROM log', ...ledgerTransaction(lastId)] }]);
  assert.equal(answer!.error, undefined, what);
  assert.ok(performance.now() - startMs < NEXT_WRITER_MS_MAX, what);
  state = new LedgerState(lastId, [lastId], [lastId]);
}

async function trace(chosen: Setting): Promise<string[]> {
  lastId += 1;
  const client = new Client();
  const { first, second } = cut(chosen, lastId);
  await client.steps([...openedBy(chosen), first]);
  await mount.startTrace();
  const [answer] = await client.steps([second]);
  assert.equal(answer!.error, undefined);
  const labels = await mount.stopTrace();
  await client.end();
  await writeNext('after the trace');
  return labels;
}

/**
 * Whether it was after the commit point; undefined when another request was the nth: what the kernel has cached decides how
 * often SQLite's reads are requests.
 */
async function killAt(client: Client, chosen: Setting, nth: number, labels: string[]): Promise<boolean | undefined> {
  lastId += 1;
  const id = lastId;
  const { first, second } = cut(chosen, id);
  await client.steps([...openedBy(chosen), first]);
  await mount.hold(undefined, nth);
  const killed = client.steps([second]).catch(() => 'killed');
  const hit = await mount.hit(10_000);
  if (hit !== labels[nth - 1]) {
    assert.equal([hit, labels[nth - 1]].includes('rd(db)'), true, `${hit} came in place of ${labels[nth - 1]}`);
    await mount.release();
    await killed;
    await client.end();
    await writeNext('not killed');
    return undefined;
  }
  // The kernel lets a process go only when its request is answered.
  await Promise.all([client.kill(), mount.release()]);
  assert.equal(await killed, 'killed');

  const committed = nth >= labels.lastIndexOf(commitPoint(chosen)!) + 1;
  const what = `killed at request ${nth} of ${labels.length} (${labels[nth - 1]})`;
  await expectState(committed ? state.with(id) : state, what);
  await writeNext(what);
  return committed;
}

const ATTEMPTS_MAX = 5;
const SETTINGS = [
  setting('DELETE', 'FULL'),
  setting('PERSIST', 'FULL'),
  setting('MEMORY', 'OFF'),
  setting('TRUNCATE', 'OFF'),
  setting('OFF', 'OFF'),
  setting('DELETE', 'OFF'),
  setting('PERSIST', 'OFF'),
  setting('TRUNCATE', 'FULL'),
  setting('MEMORY', 'FULL'),
  setting('DELETE', 'FULL', true),
  setting('MEMORY', 'OFF', true),
  { ...setting('DELETE', 'FULL'), locking: 'EXCLUSIVE' as const },
];

for (const chosen of SETTINGS) {
  const { journal, synchronous, locking, spill } = chosen;
  test(`SIGKILL at each request, ${journal} ${synchronous} ${locking}${spill ? ' spilling' : ''}`, async (t) => {
    const labels = await trace(chosen);
    let numbers = labels.map((_, index) => ({ nth: index + 1, errno: 0 }));
    if (!LONG) numbers = endsOfRuns(labels, numbers);
    if (!LONG && spill) numbers = numbers.filter((_, index) => index % 5 === 0);
    let committed = 0;
    // Starting a client takes the longest: the next one starts while this one is killed.
    const started = [new Client()];
    try {
      for (const { nth } of numbers) {
        let after: boolean | undefined;
        for (let attempt = 1; after === undefined; attempt += 1) {
          assert.ok(attempt <= ATTEMPTS_MAX, `request ${nth} of ${labels.length} was another one each time`);
          started.push(new Client());
          after = await killAt(started.at(-2)!, chosen, nth, labels);
        }
        if (after) committed += 1;
      }
    } finally {
      await mount.release();
      await Promise.all(started.map((client) => client.kill()));
    }
    t.diagnostic(`${numbers.length} kills, ${committed} after the commit point`);
    assert.ok(committed > 0 && committed < numbers.length);
  });
}

test('SIGKILL of cp in the middle of a database: the old one stays whole', async () => {
  const source = join(mount.base, 'source.db');
  await sqlite3(source, 'CREATE TABLE y(a); INSERT INTO y SELECT zeroblob(1000000) FROM (VALUES(1),(2),(3),(4),(5))');
  for (const nth of [1, 2, 4]) {
    await mount.hold('W(db)', nth);
    const cp = spawn('cp', [source, mount.path()], { stdio: 'ignore' });
    const ended = once(cp, 'exit');
    assert.equal(await mount.hit(10_000), 'W(db)');
    cp.kill('SIGKILL');
    await Promise.all([ended, mount.release()]);
    await expectState(state, `killed at write ${nth}`);
    await writeNext(`killed at write ${nth}`);
  }
});
