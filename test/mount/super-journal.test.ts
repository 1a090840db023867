// One transaction over two and three mounted databases: all of it or nothing, whichever request of its COMMIT is
// answered with an error, and both databases get it at the same version.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { errnosFor } from '../support/injection-settings.js';
import { FaultMount, TestMount } from '../support/mounted.js';
import { createSeveral, must, openSeveral, seen, severalBody, versions } from '../support/several-databases.js';

let mount: FaultMount;
const writer = new Client();
const checker = new Client();
let paths: string[];

before(async () => {
  mount = await FaultMount.startFaulty({ namespaces: 'a=na,b=nb,c=nc', logLevel: 'silent' });
  paths = ['a', 'b', 'c'].map((name) => mount.path(name));
  await createSeveral(checker, paths);
});

after(async () => {
  await writer.kill();
  await checker.kill();
  await mount.remove();
});

async function traceCommit(used: string[], journal: string): Promise<string[]> {
  must(await writer.steps([...openSeveral(used, { journal }), { op: 'all', sql: severalBody(used.length) }]));
  await mount.startTrace();
  must(await writer.steps([{ op: 'all', sql: ['COMMIT'] }]));
  const labels = await mount.stopTrace();
  await writer.close();
  return labels;
}

/** @returns what SQLite said */
async function inject(used: string[], journal: string, labels: string[], nth: number, errno: number): Promise<string> {
  const past = await seen(checker, used);
  must(await writer.steps([...openSeveral(used, { journal }), { op: 'all', sql: severalBody(used.length) }]));
  await mount.inject(undefined, nth, errno);
  const [commit] = await writer.steps([{ op: 'all', sql: ['COMMIT'] }, { op: 'rollback' }]);
  assert.equal(await mount.hit(2_000), labels[nth - 1]);
  const what = `${journal}, request ${nth} of ${labels.length} (${labels[nth - 1]}): ${commit!.error}`;

  const now = await seen(checker, used);
  const committedAt = labels.indexOf('UNLINK(mj)') + 1;
  let gain = commit!.error === undefined ? 1 : 0;
  if (commit!.error !== undefined && nth > committedAt) gain = Math.min(1, now[0]! - past[0]!);
  const gained = (count: number): number[] => past.map((value) => value + count);
  assert.deepEqual(now, gained(gain), what);

  const sql = [...severalBody(used.length), 'COMMIT'];
  const [next] = await writer.steps([{ op: 'all', sql }, { op: 'rollback' }, { op: 'close' }]);
  if (next!.error === undefined) gain += 1;
  assert.deepEqual(await seen(checker, used), gained(gain), `${what}, then ${next!.error}`);
  must(await writer.steps([...openSeveral(used, { journal }), { op: 'all', sql }, { op: 'close' }]));
  assert.deepEqual(await seen(checker, used), gained(gain + 1), what);
  return commit!.error ?? 'ok';
}

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST']) {
  for (const count of [2, 3]) {
    test(`an error at each request of a COMMIT over ${count} databases, journal_mode=${journal}`, async (t) => {
      const used = paths.slice(0, count);
      const labels = await traceCommit(used, journal);
      assert.ok(labels.includes('UNLINK(mj)'), labels.join(' '));
      const outcomes = new Map<string, number>();
      const stride = LONG ? 1 : journal === 'DELETE' && count === 2 ? 2 : 5;
      for (let nth = 1; nth <= labels.length; nth += stride) {
        for (const errno of errnosFor(labels[nth - 1]!)) {
          const outcome = await inject(used, journal, labels, nth, errno);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      }
      t.diagnostic(`${labels.length} requests: ${JSON.stringify([...outcomes])}`);
      must(
        await writer.steps([...openSeveral(used, { journal }), { op: 'all', sql: [...severalBody(count), 'COMMIT'] }]),
      );
      await writer.close();
      const [first, ...rest] = await Promise.all(['na', 'nb', 'nc'].slice(0, count).map((n) => versions(mount, n)));
      for (const other of rest) assert.deepEqual(other, first, 'every namespace has it at the same version');
    });
  }
}

test('a commit of several databases that the store refuses leaves none of it', async () => {
  const used = paths.slice(0, 2);
  const before = await seen(checker, used);
  must(await writer.steps([...openSeveral(used), { op: 'all', sql: severalBody(2) }]));
  await mount.failCommit('STORE_FAILED');
  const [commit] = await writer.steps([{ op: 'all', sql: ['COMMIT'] }, { op: 'rollback' }]);
  assert.equal(commit!.error, 'SQLITE_IOERR_DELETE');
  assert.deepEqual(await seen(checker, used), before);
  must(await writer.steps([{ op: 'all', sql: [...severalBody(2), 'COMMIT'] }, { op: 'close' }]));
  assert.deepEqual(
    await seen(checker, used),
    before.map((value) => value + 1),
  );
});

for (const [journal, synchronous] of [
  ['MEMORY', 'FULL'],
  ['DELETE', 'OFF'],
] as const) {
  test(`without a super-journal (${journal}, synchronous=${synchronous}) each database commits on its own`, async () => {
    const used = paths.slice(0, 2);
    const before = await seen(checker, used);
    const sql = [...severalBody(2), 'COMMIT'];
    await mount.startTrace();
    must(await writer.steps([...openSeveral(used, { journal, synchronous }), { op: 'all', sql }, { op: 'close' }]));
    assert.ok(!(await mount.stopTrace()).includes('CREATE(mj)'));
    assert.deepEqual(
      await seen(checker, used),
      before.map((value) => value + 1),
    );
    assert.notDeepEqual(await versions(mount, 'na'), await versions(mount, 'nb'));
  });
}

test('a creator commits over two databases, of which it has changed one', async () => {
  const directory = await TestMount.start({ namespaces: '*' });
  const creator = new Client();
  try {
    await creator.open(directory.path('one'));
    await creator.exec('ATTACH ? AS two', 0, [directory.path('two')]);
    await creator.script('CREATE TABLE main.t(a); CREATE TABLE two.t(a)');
    // Both are locked, so that the super-journal names the journals of both; there is only one.
    await creator.script('BEGIN IMMEDIATE; INSERT INTO main.t VALUES(1); COMMIT');
    await checker.open(directory.path('one'), 1);
    assert.deepEqual(await checker.exec('SELECT a FROM t', 1), [[1]]);
    await checker.close(1);
  } finally {
    await creator.kill();
    await directory.remove();
  }
});
