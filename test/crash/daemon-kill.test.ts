// SIGKILL of the daemon under load. Writers note each commit that was acknowledged to them; after a restart on the same
// store each of those is there, none is there in half, and both databases are sound.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, seededRandom } from '../support/random.js';

const ROUNDS = LONG ? 100 : 10;
const NAMES = ['a', 'b'];
const WRITERS = [
  { name: 'a', journal: 'DELETE', synchronous: 'FULL' },
  { name: 'a', journal: 'PERSIST', synchronous: 'NORMAL' },
  { name: 'b', journal: 'MEMORY', synchronous: 'FULL' },
  { name: 'b', journal: 'TRUNCATE', synchronous: 'EXTRA' },
] as const;

const NAMESPACES = NAMES.map((name) => `${name}=${name}`).join(',');
let mount: TestMount | undefined;

const clients: Client[] = [];

after(async () => {
  // Clients in a request of the daemon end only after it.
  await mount?.kill();
  await Promise.all(clients.map((client) => client.kill()));
  await mount?.remove();
});

function newClient(): Client {
  const client = new Client();
  clients.push(client);
  return client;
}

/** Every transaction of writer `w` leaves row (w, n) in both tables. */
class Writer {
  readonly #client = newClient();
  readonly #w: number;
  #n: number;
  /** Numbers of the transactions that were acknowledged. */
  readonly acknowledged: number[] = [];

  constructor(w: number, n: number) {
    this.#w = w;
    this.#n = n;
  }

  get last(): number {
    return this.#n;
  }

  /** Writes until the daemon is gone. */
  async run(path: string, journal: string, synchronous: string, started: () => void): Promise<void> {
    await this.#client.open(path, 0, { timeout: 20 });
    await this.#client.script(
      `PRAGMA journal_mode=${journal}; PRAGMA synchronous=${synchronous}; PRAGMA cache_size=20`,
    );
    for (;;) {
      this.#n += 1;
      const values = `(${this.#w}, ${this.#n}, hex(zeroblob(${200 + (this.#n % 7) * 900})))`;
      const sql = ['BEGIN IMMEDIATE', `INSERT INTO one VALUES${values}`, `INSERT INTO two VALUES${values}`, 'COMMIT'];
      const [answer] = await this.#client.steps([{ op: 'all', sql }]);
      if (answer!.error !== undefined) break;
      this.acknowledged.push(this.#n);
      started();
    }
    await this.#client.kill();
    started();
  }
}

async function create(path: string): Promise<void> {
  const client = newClient();
  await client.open(path);
  for (const table of ['one', 'two']) {
    await client.exec(`CREATE TABLE ${table}(w, n, pad, PRIMARY KEY(w, n)) WITHOUT ROWID`);
  }
  await client.end();
}

async function numbersOf(client: Client, w: number, table: string): Promise<number[]> {
  return (await client.exec(`SELECT n FROM ${table} WHERE w = ${w} ORDER BY n`)).map(([n]) => n as number);
}

test(`the daemon killed under load, ${ROUNDS} times`, async (t) => {
  const next = seededRandom(chooseSeed('daemon-kill'));
  mount = await TestMount.start({ namespaces: NAMESPACES });
  for (const name of NAMES) await create(mount.path(name));
  const acknowledged = WRITERS.map(() => new Set<number>());
  const lastTried = WRITERS.map(() => 0);
  let unanswered = 0;

  for (let round = 1; round <= ROUNDS; round += 1) {
    const writers = WRITERS.map((_, w) => new Writer(w, lastTried[w]!));
    const running: Array<Promise<void>> = [];
    const started = writers.map((writer, w) => {
      const { name, journal, synchronous } = WRITERS[w]!;
      return new Promise<void>((resolve) => running.push(writer.run(mount!.path(name), journal, synchronous, resolve)));
    });
    await Promise.all(started);
    // Not to wait for anything: the moment of the kill is what varies.
    await sleep(next() * 150);
    await mount.kill();
    await Promise.all(running);
    for (const [w, writer] of writers.entries()) {
      lastTried[w] = writer.last;
      for (const n of writer.acknowledged) acknowledged[w]!.add(n);
    }

    mount = await TestMount.start({ namespaces: NAMESPACES, base: mount.base });
    const client = newClient();
    for (const [index, name] of NAMES.entries()) {
      await client.open(mount.path(name), index);
      assert.deepEqual(await client.exec('PRAGMA integrity_check', index), [['ok']]);
    }
    await client.end();
    for (const [w, { name }] of WRITERS.entries()) {
      const reader = newClient();
      await reader.open(mount.path(name));
      const one = await numbersOf(reader, w, 'one');
      assert.deepEqual(await numbersOf(reader, w, 'two'), one, 'both tables hold the same transactions');
      const held = new Set(one);
      const lost = [...acknowledged[w]!].filter((n) => !held.has(n));
      assert.deepEqual(lost, [], `acknowledged to writer ${w} and lost in round ${round}`);
      unanswered += one.filter((n) => !acknowledged[w]!.has(n)).length;
      for (const n of one) acknowledged[w]!.add(n);
      await reader.end();
    }
  }
  const total = acknowledged.reduce((sum, set) => sum + set.size, 0);
  t.diagnostic(`${total} transactions, ${unanswered} of them committed and not answered`);
  assert.ok(total > ROUNDS * WRITERS.length);
});
