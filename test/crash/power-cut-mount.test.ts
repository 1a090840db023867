// Loss of power under a mount: the calls that reached the store's files while stock clients committed are gone back to,
// one by one. Every COMMIT whose request was answered before the cut is there, in a sound database; a transaction over
// two databases is in both or in neither.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import type { PageStore } from '../../src/store/page-store.js';
import { Client } from '../support/client.js';
import { type MarkedCommit, markedCommits, markSql } from '../support/commit-order.js';
import { openInlineEngine } from '../support/inline-engine.js';
import { InterposedMount } from '../support/interposed-mount.js';
import { cutPower } from '../support/power-cut.js';
import { chooseSeed, seededRandom } from '../support/random.js';
import { must, openSeveral } from '../support/several-databases.js';
import type { TraceEvent } from '../support/store-trace.js';
import { openStore, pageNumber } from '../support/stores.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const COMMITS = LONG ? 100 : 20;
const SHARE = LONG ? 0.1 : 0.01;
const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, mark TEXT)';
const single = numbersFrom(1);
const several = numbersFrom(1001);
const NAMESPACES = { a: single, b: several, c: several };

let mount: InterposedMount;
let trace: TraceEvent[];
let commits: MarkedCommit[];

before(async () => {
  mount = await InterposedMount.startInterposed('a=a,b=b,c=c');
  const [one, other] = [new Client(), new Client()];
  for (const name of Object.keys(NAMESPACES)) {
    await one.open(mount.path(name));
    await one.exec(SCHEMA);
    await one.close();
  }
  await one.open(mount.path('a'));
  must(await other.steps(openSeveral([mount.path('b'), mount.path('c')])));
  const commitSingle = async () => {
    for (const number of single) await one.exec(insert(number));
  };
  const commitSeveral = async () => {
    for (const number of several) {
      const sql = ['BEGIN', insert(number), insert(number, 'a1'), 'COMMIT'];
      must(await other.steps([{ op: 'all', sql }]));
    }
  };
  await Promise.all([commitSingle(), commitSeveral()]);
  await Promise.all([one.end(), other.end()]);
  assert.equal(await mount.unmount(), 0);
  trace = mount.interposer.trace();
  const pidOf = (number: number) => (number > 1000 ? other : one).child.pid!;
  commits = markedCommits(trace, [...single, ...several], pidOf);
  assert.equal(commits.length, 2 * COMMITS);
});

after(() => mount.remove());

function numbersFrom(first: number): number[] {
  return Array.from({ length: COMMITS }, (_, index) => first + index);
}

function insert(number: number, schema = 'main'): string {
  return `INSERT INTO ${schema}.t VALUES(${number}, ${markSql(number)})`;
}

/** The ids of the table, undefined without one. @throws for a database that is not sound */
async function idsIn(store: PageStore, name: string): Promise<number[] | undefined> {
  const info = (await store.listNamespaces()).find((candidate) => candidate.name === name);
  if (info === undefined || info.head.sizeBytes === 0) return undefined;
  const { pageBytes, sizeBytes } = info.head;
  const pages = Array.from({ length: sizeBytes / pageBytes }, (_, index) => pageNumber(index + 1));
  const db = new Database(Buffer.concat(await store.readPages(info.id, info.head, pages)));
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok', name);
    const rows = db.prepare('SELECT id, mark FROM t ORDER BY id').all() as { id: number; mark: string }[];
    for (const { id, mark } of rows)
      assert.equal(
        mark,
        db
          .prepare(`SELECT ${markSql(id)}`)
          .pluck()
          .get(),
        name,
      );
    return rows.map(({ id }) => id);
  } finally {
    db.close();
  }
}

async function check(directory: string, at: number): Promise<void> {
  const store = await openStore(openInlineEngine(directory, { clock: Date.now }));
  try {
    const found: Record<string, number[] | undefined> = {};
    for (const [name, numbers] of Object.entries(NAMESPACES)) {
      const answered = commits.filter(({ number, answeredAt }) => numbers.includes(number) && answeredAt <= at).length;
      const ids = await idsIn(store, name);
      found[name] = ids;
      const count = ids?.length ?? 0;
      assert.ok(count >= answered, `${name}: ${answered} commits were answered, ${count} are there`);
      assert.deepEqual(ids ?? [], numbers.slice(0, count), name);
    }
    if (found.b !== undefined && found.c !== undefined) assert.deepEqual(found.b, found.c, 'both or neither');
  } finally {
    await store.close();
  }
}

function cutAll(events: readonly TraceEvent[], share: number): Promise<number> {
  const answers = new Set(commits.map(({ answeredAt }) => answeredAt));
  return cutPower(events, {
    random: seededRandom(seed),
    isStop: (event, at) => event.kind === 'syncEnd' || answers.has(at),
    shareAt: () => share,
    passed: () => undefined,
    check,
  });
}

const seed = chooseSeed('power cuts under a mount');

test('every COMMIT that was answered before the power was cut is there', async (t) => {
  const count = await cutAll(trace, SHARE);
  t.diagnostic(`${count} cuts in ${trace.length} calls, ${commits.length} commits`);
});

test('a disk that does not sync the log is found out', async () => {
  const lying = trace.map((event): TraceEvent => {
    return event.kind === 'syncEnd' && event.file === 'wal' ? { ...event, errno: 5 } : event;
  });
  await assert.rejects(cutAll(lying, 0), /were answered/);
});
