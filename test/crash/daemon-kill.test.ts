// SIGKILL of the daemon under load. Every transaction of a writer leaves its row in two tables, of one database or of
// two. Writers note each commit that was acknowledged to them; after a restart on the same store each of those is
// there, none is there in half, and both databases are sound; what others did in the same directory meanwhile is, too.
//
// A round costs little more than the start of a daemon: clients outlive it, and the store is a new one now and then.

import assert from 'node:assert/strict';
import { afterEach, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type Step } from '../support/client.js';
import { DirectoryLoad } from '../support/directory-load.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';
import { must } from '../support/several-databases.js';

/** How the writers reach the databases. */
interface Way {
  readonly title: string;
  readonly namespaces: string;
  /** In every round writers create the databases anew, and have them as plain files. */
  readonly creates: boolean;
  /** Other processes at work in the same directory: eight in all with the writers. */
  readonly others: number;
  readonly rounds: number;
}

const WAYS: readonly Way[] = [
  { title: 'under load', namespaces: 'a=a,b=b', creates: false, others: 0, rounds: LONG ? 1_000 : 50 },
  { title: 'under eight processes', namespaces: '*', creates: false, others: 4, rounds: LONG ? 200 : 4 },
  { title: 'under eight processes and creators', namespaces: '*', creates: true, others: 4, rounds: LONG ? 200 : 4 },
];

/** Rounds on one store; then what it holds has grown to some megabytes, and reading it back takes time. */
const STORE_ROUNDS = 25;
/** Commits of a round before the kill, at the least. */
const COMMITS = 10;
/** The moment of the kill lies somewhere in this time after them. */
const KILL_MS_MAX = 30;
/** Between the transactions of a writer of one database: those of both would hardly find both free. */
const PAUSE_MS = 5;

const NAMES = ['a', 'b'] as const;
const TABLES = ['one', 'two'] as const;
type Name = (typeof NAMES)[number];
type Paths = Readonly<Record<Name, string>>;
/** What each writer writes. Over two databases only journal files make a commit atomic, with SQLite as such. */
const WRITERS: ReadonlyArray<{ readonly names: readonly Name[]; readonly journals: readonly string[] }> = [
  { names: ['a'], journals: ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY'] },
  { names: ['b'], journals: ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY'] },
  { names: ['a', 'b'], journals: ['DELETE', 'PERSIST'] },
  { names: ['a', 'b'], journals: ['DELETE', 'TRUNCATE'] },
];
const SYNCHRONOUS = ['NORMAL', 'FULL', 'EXTRA'];
const PAD = 'hex(zeroblob(200 + n % 7 * 300))';

const clients: Client[] = [];
let mount: TestMount | undefined;
let load: DirectoryLoad | undefined;

afterEach(async () => {
  // Clients in a request of the daemon end only after it.
  mount?.child.kill('SIGKILL');
  await mount?.exited();
  await load?.kill();
  await mount?.kill();
  await Promise.all(clients.splice(0).map((client) => client.kill()));
  await mount?.remove();
  [mount, load] = [undefined, undefined];
});

function newClient(): Client {
  const client = new Client();
  clients.push(client);
  return client;
}

/** Every transaction of writer `w` leaves row (w, n) in both tables of each of its databases. */
class Writer {
  readonly names: readonly Name[];
  /** Numbers of the transactions that were acknowledged, or found after a kill, since the store is this one. */
  committed = new Set<number>();
  /** The number tried last. */
  last = 0;
  readonly #client = newClient();
  readonly #w: number;
  readonly #journals: readonly string[];

  constructor(w: number) {
    this.#w = w;
    ({ names: this.names, journals: this.#journals } = WRITERS[w]!);
  }

  /** Where they are not there yet it creates the databases. */
  async open(paths: Paths, random: Random): Promise<void> {
    const [first, ...others] = this.names.map((name) => paths[name]);
    const sql = others.map((path) => `ATTACH '${path}' AS other`);
    for (const schema of this.#schemas) {
      sql.push(`PRAGMA ${schema}.journal_mode=${choose(this.#journals, random)}`);
      sql.push(`PRAGMA ${schema}.synchronous=${choose(SYNCHRONOUS, random)}`);
    }
    sql.push('PRAGMA cache_size=20', ...this.#schemas.flatMap(tablesOf));
    must(
      await this.#client.steps([
        { op: 'open', path: first!, timeout: 20 },
        { op: 'all', sql },
      ]),
    );
  }

  get spans(): boolean {
    return this.names.length > 1;
  }

  /** Writes until the daemon is gone; what SQLite said then. `answered` is called after every commit. */
  async run(answered: (writer: Writer) => void): Promise<string> {
    for (;;) {
      this.last += 1;
      const inserts = this.#schemas.flatMap((schema) =>
        TABLES.map(
          (table) => `INSERT INTO ${schema}.${table} SELECT ${this.#w}, n, ${PAD} FROM (SELECT ${this.last} n)`,
        ),
      );
      const sql = ['BEGIN IMMEDIATE', ...inserts, 'COMMIT'];
      const [answer] = await this.#client.steps([{ op: 'all', sql }]);
      if (answer!.error !== undefined) {
        await this.#client.steps([{ op: 'close' }]);
        return answer!.error;
      }
      this.committed.add(this.last);
      answered(this);
      if (!this.spans) await sleep(PAUSE_MS);
    }
  }

  get #schemas(): readonly string[] {
    return this.names.map((_, index) => (index === 0 ? 'main' : 'other'));
  }
}

function choose<T>(items: readonly T[], random: Random): T {
  return items[randomInteger(random, 0, items.length - 1)]!;
}

/** What it takes to have the tables in a database. */
function tablesOf(schema: string): string[] {
  const columns = '(w, n, pad, PRIMARY KEY(w, n)) WITHOUT ROWID';
  return TABLES.map((table) => `CREATE TABLE IF NOT EXISTS ${schema}.${table}${columns}`);
}

async function create(client: Client, paths: Paths): Promise<void> {
  for (const name of NAMES) {
    await client.open(paths[name]);
    for (const sql of tablesOf('main')) await client.exec(sql);
    await client.close();
  }
}

/** One round of writing, ended by SIGKILL while every writer is at it; the first ones to open may create the databases. */
async function writeUntilKilled(
  mount: TestMount,
  paths: Paths,
  writers: readonly Writer[],
  random: Random,
): Promise<void> {
  for (const writer of writers) await writer.open(paths, random);
  const running: Array<Promise<string>> = [];
  const loaded = new Promise<void>((resolve) => {
    let commits = 0;
    let spanning = 0;
    const answered = ({ spans }: Writer): void => {
      commits += 1;
      if (spans) spanning += 1;
      if (commits >= COMMITS && spanning > 0) resolve();
    };
    for (const writer of writers) running.push(writer.run(answered));
  });
  // A writer that ends before the kill is a failure, not something to wait for.
  const ended = Promise.race(running).then((error) => assert.fail(`a writer ended by itself: ${error}`));
  ended.catch(() => undefined);
  await Promise.race([loaded, ended]);
  // Not to wait for anything: the moment of the kill is what varies.
  await Promise.race([sleep(random() * KILL_MS_MAX), ended]);
  load?.check();
  mount.child.kill('SIGKILL');
  await mount.exited();
  await load?.kill();
  await mount.kill();
  // A file that cannot be looked at any more counts as moved away for SQLite.
  const gone = /^SQLITE_(IOERR|CANTOPEN|READONLY_DBMOVED)/;
  for (const error of await Promise.all(running)) assert.match(error, gone);
}

/** By database, table and writer: the numbers that it holds. */
async function readBack(client: Client, paths: Paths): Promise<Map<string, number[]>> {
  const held = new Map<string, number[]>();
  for (const name of NAMES) {
    const steps: Step[] = [
      { op: 'open', path: paths[name] },
      { op: 'exec', sql: 'PRAGMA integrity_check' },
    ];
    for (const table of TABLES) {
      steps.push({ op: 'exec', sql: `SELECT w, n, pad = ${PAD} FROM ${table} ORDER BY w, n` });
    }
    const answers = await client.steps([...steps, { op: 'close' }]);
    must(answers);
    assert.deepEqual(answers[1]!.value, [['ok']]);
    for (const [index, table] of TABLES.entries()) {
      for (const [w, n, whole] of answers[2 + index]!.value as number[][]) {
        assert.equal(whole, 1, `row (${w}, ${n}) of ${name}.${table} is what was written`);
        const key = `${name}.${table} ${w}`;
        const numbers = held.get(key) ?? [];
        numbers.push(n!);
        held.set(key, numbers);
      }
    }
  }
  return held;
}

for (const way of WAYS) {
  test(`the daemon killed ${way.title}, ${way.rounds} times`, (t) => killDaemons(t, way));
}

async function killDaemons(t: TestContext, { namespaces, creates, others, rounds }: Way): Promise<void> {
  const seed = chooseSeed('daemon-kill');
  const random = seededRandom(seed);
  const writers = WRITERS.map((_, w) => new Writer(w));
  const reader = newClient();
  let total = 0;
  let unanswered = 0;

  for (let round = 1; round <= rounds; round += 1) {
    if (round % STORE_ROUNDS === 1) {
      await mount?.remove();
      mount = await TestMount.start({ namespaces });
      load = others === 0 ? undefined : new DirectoryLoad(mount, seed);
    }
    await load?.start(others);
    const suffix = creates ? String(round) : '';
    const paths: Paths = { a: mount!.path(`a${suffix}`), b: mount!.path(`b${suffix}`) };
    if (creates || round % STORE_ROUNDS === 1) {
      for (const writer of writers) writer.committed = new Set();
      if (!creates) await create(reader, paths);
    }
    // One process creates both databases, or two of them one each.
    const order = creates && round % 2 === 0 ? [...writers].reverse() : writers;
    await writeUntilKilled(mount!, paths, order, random);
    mount = await TestMount.start({ namespaces, base: mount!.base });
    const held = await readBack(reader, paths);
    for (const [w, { names, committed, last }] of writers.entries()) {
      const all = names.flatMap((name) => TABLES.map((table) => held.get(`${name}.${table} ${w}`) ?? []));
      const [numbers] = all;
      for (const other of all) assert.deepEqual(other, numbers, `writer ${w} has half a transaction in round ${round}`);
      const found = new Set(numbers);
      const lost = [...committed].filter((n) => !found.has(n));
      assert.deepEqual(lost, [], `acknowledged to writer ${w} and lost in round ${round}`);
      const more = numbers!.filter((n) => !committed.has(n));
      assert.ok(more.length === 0 || (more.length === 1 && more[0] === last), `writer ${w} never wrote all of ${more}`);
      unanswered += more.length;
      for (const n of more) committed.add(n);
    }
    await load?.verify();
    if (creates || round % STORE_ROUNDS === 0 || round === rounds) {
      total += writers.reduce((sum, { committed }) => sum + committed.size, 0);
    }
  }
  t.diagnostic(`${total} transactions, ${unanswered} of them committed and not answered`);
}
