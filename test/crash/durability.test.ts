// An application's fsync is answered when its commit is on the disk, and not before: for every COMMIT, a sync of the
// store's log that began after the commit's last write has returned before the request is answered. Seen below SQLite,
// by an interposer that writes down every write and sync of the store and every request and answer at /dev/fuse; syncs
// take a few milliseconds more than the disk needs, so that an answer that does not wait for them is seen to be early.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from '../support/client.js';
import { assertDurableWhenAnswered, type MarkedCommit, markedCommits, markSql } from '../support/commit-order.js';
import { InterposedMount } from '../support/interposed-mount.js';
import { must, openSeveral } from '../support/several-databases.js';
import { FUSE_FSYNC, FUSE_UNLINK } from '../support/store-trace.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const COMMITS = LONG ? 150 : 15;
const FIRST_COMMITS = 10_000;
const SYNC_MS = 2;
const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, mark TEXT)';

const client = new Client();
let mount: InterposedMount;
let lastNumber = FIRST_COMMITS;

before(async () => {
  mount = await InterposedMount.startInterposed('a=a,b=b,c=c,d=d');
  mount.interposer.delaySyncs(SYNC_MS);
  for (const name of ['a', 'b', 'c', 'd']) {
    await client.open(mount.path(name));
    await client.exec(SCHEMA);
    await client.close();
  }
});

after(async () => {
  await client.kill();
  await mount.remove();
});

function insert(number: number, schema = 'main'): string {
  return `INSERT INTO ${schema}.t VALUES(${number}, ${markSql(number)})`;
}

function nextNumbers(count: number): number[] {
  const first = lastNumber + 1;
  lastNumber += count;
  return Array.from({ length: count }, (_, index) => first + index);
}

/** @returns the commits, all of them durable when a request of that kind was answered */
function assertAll(numbers: readonly number[], opcode: number, pidOf: (number: number) => number): MarkedCommit[] {
  const commits = markedCommits(mount.interposer.trace(), numbers, pidOf);
  assert.deepEqual(commits.map(({ number }) => number).sort(), numbers);
  for (const commit of commits) assert.equal(commit.opcode, opcode, `transaction ${commit.number}`);
  assertDurableWhenAnswered(commits);
  return commits;
}

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF']) {
  for (const synchronous of journal === 'DELETE' ? ['FULL', 'EXTRA', 'NORMAL'] : ['FULL']) {
    test(`each COMMIT is durable when its fsync is answered, ${journal} ${synchronous}`, async () => {
      const numbers = nextNumbers(COMMITS);
      await client.open(mount.path('a'));
      await client.exec(`PRAGMA journal_mode=${journal}`);
      await client.exec(`PRAGMA synchronous=${synchronous}`);
      for (const number of numbers) await client.exec(insert(number));
      await client.close();
      assertAll(numbers, FUSE_FSYNC, () => client.child.pid!);
    });
  }
}

test('a transaction over two databases is durable when its super-journal is gone', async () => {
  const numbers = nextNumbers(COMMITS);
  must(await client.steps(openSeveral([mount.path('a'), mount.path('b')])));
  for (const number of numbers) {
    const sql = ['BEGIN', insert(number, 'main'), insert(number, 'a1'), 'COMMIT'];
    must(await client.steps([{ op: 'all', sql }]));
  }
  await client.close();
  assertAll(numbers, FUSE_UNLINK, () => client.child.pid!);
});

test('a commit that is staged in many transactions of the store is durable with the last of them', async () => {
  const [number] = nextNumbers(1);
  const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24)`;
  await client.open(mount.path('c'));
  await client.exec('BEGIN');
  await client.exec(`${rows} INSERT INTO t SELECT i, randomblob(400000) FROM n`);
  await client.exec(insert(number!));
  await client.exec('COMMIT');
  await client.close();
  const [commit] = assertAll([number!], FUSE_FSYNC, () => client.child.pid!);
  // The stage is published after its pages: every write until the answer must be covered, not only the mark's own.
  const served = mount.interposer.trace().slice(0, commit!.answeredAt);
  const writtenAt = served.findLastIndex((event) => event.kind === 'write' && event.file === 'wal');
  const syncedAt = served.findLastIndex((event) => event.kind === 'syncEnd' && event.file === 'wal');
  assert.ok(commit!.writtenAt < writtenAt && writtenAt < syncedAt);
});

test('with several writers at once, whose commits share syncs, each waits for the one that holds its own', async (t) => {
  const writers = ['a', 'b', 'c', 'd'].map((name) => ({ name, writer: new Client(), numbers: nextNumbers(COMMITS) }));
  for (const { name, writer } of writers) await writer.open(mount.path(name));
  const work = writers.map(async ({ writer, numbers }) => {
    for (const number of numbers) await writer.exec(insert(number));
  });
  await Promise.all(work);
  for (const { writer } of writers) await writer.end();
  const all = writers.flatMap(({ numbers }) => numbers);
  const pidOf = (number: number) => writers.find(({ numbers }) => numbers.includes(number))!.writer.child.pid!;
  const shared = assertAll(all, FUSE_FSYNC, pidOf).filter(({ groupSize }) => groupSize > 1).length;
  t.diagnostic(`${shared} of ${all.length} commits shared their sync`);
  assert.ok(shared > 0, 'no commits were grouped: this shows nothing');
});
