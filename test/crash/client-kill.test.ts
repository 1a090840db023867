// SIGKILL of a program while one request of its transaction is being served, for every kind of request. The request
// itself still counts, as on any filesystem: what was committed by it is there, what came before it is not. Nobody sees
// a page of a transaction that was cut off, and the write lock is free for the next writer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Client, type Step, sqlite3 } from '../support/client.js';
import { DirectoryLoad } from '../support/directory-load.js';
import { endsOfRuns, LONG } from '../support/injection-run.js';
import { commitPoint, type Setting } from '../support/injection-settings.js';
import { LEDGER_READ, LEDGER_SCHEMA, LedgerState, ledgerTransaction } from '../support/ledger.js';
import { FaultMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';
import { must } from '../support/several-databases.js';

const NEXT_WRITER_MS_MAX = 1_000;

/** How the program that is killed reaches its database. */
interface Way {
  readonly title: string;
  readonly namespaces: string;
  /** It creates the database itself, in a mounted directory, and has it as a plain file. */
  readonly creates: boolean;
  /** Other processes at work in the same directory: eight in all with the program, the next one, and the one that checks. */
  readonly others: number;
  readonly settings: readonly Setting[];
  /** Every how many requests are tried. */
  readonly stride: number;
}

let way: Way;
let mount: FaultMount;
let load: DirectoryLoad | undefined;
let path: string;
let checker: Client;
let state = new LedgerState();
let lastId = 0;

function setting(journal: Setting['journal'], synchronous: Setting['synchronous'], spill = false): Setting {
  return { journal, synchronous, locking: 'NORMAL', cursor: 'none', spill };
}

function pragmasOf({ journal, synchronous, locking, spill }: Setting): Step {
  const pragmas = [`PRAGMA locking_mode=${locking}`, `PRAGMA journal_mode=${journal}`];
  pragmas.push(`PRAGMA synchronous=${synchronous}`, `PRAGMA cache_size=${spill ? 4 : 200}`);
  return { op: 'all', sql: pragmas };
}

/** The database is open, and the transaction has begun. */
async function prepare(client: Client, chosen: Setting, first: Step): Promise<void> {
  if (way.others > 0) await mount.only(client.child.pid);
  if (way.creates) {
    path = mount.path(`mydb${lastId}`);
    state = new LedgerState();
    must(
      await client.steps([
        { op: 'open', path },
        { op: 'script', sql: LEDGER_SCHEMA },
      ]),
    );
    await checker.close();
    await checker.open(path);
  } else must(await client.steps([{ op: 'open', path }]));
  must(await client.steps([pragmasOf(chosen), first]));
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
    { op: 'open', path, ...fresh },
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
  // Among others it takes its time, and SQLite waits for a lock only so long.
  if (way.others === 0) assert.ok(performance.now() - startMs < NEXT_WRITER_MS_MAX, what);
  state = new LedgerState(lastId, [lastId], [lastId]);
}

async function trace(chosen: Setting): Promise<string[]> {
  lastId += 1;
  const client = new Client();
  const { first, second } = cut(chosen, lastId);
  await prepare(client, chosen, first);
  await mount.startTrace();
  const [answer] = await client.steps([second]);
  assert.equal(answer!.error, undefined);
  const labels = await mount.stopTrace();
  state = state.with(lastId);
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
  await prepare(client, chosen, first);
  await mount.hold(undefined, nth);
  const killed = client.steps([second]).catch(() => 'killed');
  const hit = await mount.hit(10_000);
  if (hit !== labels[nth - 1]) {
    const varies = [hit, labels[nth - 1]].some((label) => /^(rd|GA|L)\(/.test(label ?? ''));
    assert.ok(varies, `${hit} came in place of ${labels[nth - 1]}`);
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

/** Where it takes long, some of them. */
function some(...indices: number[]): readonly Setting[] {
  return LONG ? SETTINGS : indices.map((index) => SETTINGS[index]!);
}

const IN_DIRECTORY = { namespaces: '*', others: 5, stride: LONG ? 1 : 2 };
const WAYS: readonly Way[] = [
  { title: 'given a name', namespaces: 'mydb=test', creates: false, others: 0, settings: SETTINGS, stride: 1 },
  { title: 'among eight, created by another', ...IN_DIRECTORY, creates: false, settings: some(0, 4) },
  { title: 'among eight, created by who is killed', ...IN_DIRECTORY, creates: true, settings: some(0, 7) },
];

for (const each of WAYS) {
  describe(each.title, () => {
    before(async () => {
      way = each;
      // Every run asks for the same, however much the kernel has cached of the one before.
      mount = await FaultMount.startFaulty({ namespaces: way.namespaces, logLevel: 'silent', kernelCache: false });
      path = mount.path();
      state = new LedgerState();
      checker = new Client();
      await checker.open(path);
      await checker.script(LEDGER_SCHEMA);
      // From now on its creator has it as everybody else.
      await checker.close();
      await checker.open(path);
      if (way.others === 0) return;
      load = new DirectoryLoad(mount, chooseSeed('client-kill'));
      await load.start(way.others);
    });

    after(async () => {
      await load?.kill();
      load = undefined;
      await checker.kill();
      await mount.remove();
    });

    for (const chosen of each.settings) {
      const { journal, synchronous, locking, spill } = chosen;
      const title = `SIGKILL at each request, ${journal} ${synchronous} ${locking}${spill ? ' spilling' : ''}`;
      test(title, (t) => killAtEach(t, chosen));
    }
    if (!each.creates) test('SIGKILL of cp in the middle of a database: the old one stays whole', killCopies);
    if (each.others > 0) {
      test('the others have lost nothing', async (t) => {
        await load!.kill();
        t.diagnostic(await load!.verify());
      });
    }
  });
}

async function killAtEach(t: TestContext, chosen: Setting): Promise<void> {
  const labels = await trace(chosen);
  let numbers = labels.map((_, index) => ({ nth: index + 1, errno: 0 }));
  if (!LONG) numbers = endsOfRuns(labels, numbers);
  if (!LONG && chosen.spill) numbers = numbers.filter((_, index) => index % 5 === 0);
  // Nobody waits for the answer to a RELEASE: when it is held, the client may be at the next request.
  numbers = numbers.filter(({ nth }) => !labels[nth - 1]!.startsWith('RELEASE'));
  // From the end, where the commit point is.
  numbers = numbers.filter((_, index) => (numbers.length - 1 - index) % way.stride === 0);
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
      load?.check();
    }
  } finally {
    await mount.release();
    await Promise.all(started.map((client) => client.kill()));
  }
  t.diagnostic(`${numbers.length} kills, ${committed} after the commit point`);
  assert.ok(committed > 0 && committed < numbers.length);
}

async function killCopies(): Promise<void> {
  const source = join(mount.base, 'source.db');
  await sqlite3(source, 'CREATE TABLE y(a); INSERT INTO y SELECT zeroblob(1000000) FROM (VALUES(1),(2),(3),(4),(5))');
  for (const nth of [1, 2, 4]) {
    // Its process is there before it does anything.
    const cp = spawn('sh', ['-c', 'read go && exec cp "$0" "$1"', source, path], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = once(cp, 'exit');
    await mount.only(cp.pid);
    await mount.hold('W(db)', nth);
    cp.stdin!.end('go\n');
    assert.equal(await mount.hit(10_000), 'W(db)');
    cp.kill('SIGKILL');
    await Promise.all([ended, mount.release()]);
    await expectState(state, `killed at write ${nth}`);
    await writeNext(`killed at write ${nth}`);
  }
}
