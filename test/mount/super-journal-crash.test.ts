// A transaction over several databases whose program, or whose daemon, is killed at any request of its COMMIT; and
// transactions over a mounted and a local database, which cannot be atomic after a crash.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, sqlite3 } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { FaultMount } from '../support/mounted.js';
import { createSeveral, must, openSeveral, SEVERAL_SCHEMA, seen, severalBody } from '../support/several-databases.js';

const NAMESPACES = 'a=na,b=nb';
let mount: FaultMount;
let paths: string[];
const checker = new Client();

before(async () => {
  mount = await FaultMount.startFaulty({ namespaces: NAMESPACES, logLevel: 'silent' });
  paths = ['a', 'b'].map((name) => mount.path(name));
  await createSeveral(checker, paths);
});

after(async () => {
  await checker.kill();
  await mount.remove();
});

/** A client stopped at one request of its COMMIT; undefined when there are not that many. */
async function stoppedAt(
  label: string | undefined,
  nth: number,
): Promise<{ client: Client; label: string } | undefined> {
  const client = new Client();
  must(await client.steps([...openSeveral(paths), { op: 'all', sql: severalBody(2) }]));
  await mount.hold(label, nth);
  const commit = client.exec('COMMIT').then(
    () => undefined,
    () => undefined,
  );
  const hit = await Promise.race([mount.hit(10_000), commit]);
  if (hit !== undefined) return { client, label: hit };
  await mount.clear();
  await client.kill();
  return undefined;
}

test('SIGKILL of the program at each request of its COMMIT', async (t) => {
  const outcomes: string[] = [];
  for (let nth = 1; ; nth += LONG ? 1 : 3) {
    const before = await seen(checker, paths);
    const stopped = await stoppedAt(undefined, nth);
    if (stopped === undefined) break;
    await Promise.all([stopped.client.kill(), mount.release()]);
    const now = await seen(checker, paths);
    assert.equal(now[0], now[1], `all or nothing, killed at ${stopped.label}`);
    outcomes.push(`${stopped.label}${now[0] === before[0] ? '' : ' committed'}`);
    const answers = await checker.steps([
      ...openSeveral(paths),
      { op: 'exec', sql: 'PRAGMA busy_timeout=2000' },
      { op: 'all', sql: [...severalBody(2), 'COMMIT'] },
      { op: 'close' },
    ]);
    must(answers);
    assert.deepEqual(
      await seen(checker, paths),
      now.map((value) => value + 1),
      `the next, killed at ${stopped.label}`,
    );
  }
  t.diagnostic(outcomes.join(', '));
  assert.ok(outcomes.includes('UNLINK(mj) committed') || outcomes.includes('UNLINK(j) committed'));
});

const DAEMON_STOPS = [
  ['W(mj)', 1, 0],
  ['FSYNC(mj)', 1, 0],
  ['FSYNC(db)', 1, 0],
  ['FSYNC(db)', 2, 0],
  ['UNLINK(mj)', 1, 0],
  ['UNLINK(j)', 1, 1],
  ['UNLINK(j)', 2, 1],
] as const;

test('SIGKILL of the daemon in the middle of a COMMIT', async () => {
  for (const [label, nth, gain] of DAEMON_STOPS) {
    const before = await seen(checker, paths);
    const stopped = await stoppedAt(label, nth);
    assert.equal(stopped?.label, label);
    await mount.kill();
    await stopped.client.kill();
    mount = await FaultMount.startFaulty({ namespaces: NAMESPACES, base: mount.base, logLevel: 'silent' });
    assert.deepEqual(
      await seen(checker, paths),
      before.map((value) => value + gain),
      `killed at ${label} ${nth}`,
    );
  }
});

test('a local database attached to a mounted one is refused and unharmed', async () => {
  const local = join(mount.base, 'local1.db');
  await sqlite3(local, SEVERAL_SCHEMA);
  const before = await seen(checker, [paths[0]!, local]);
  const client = new Client();
  try {
    const sql = [...severalBody(2), 'COMMIT'];
    const answers = await client.steps([...openSeveral([paths[0]!, local]), { op: 'all', sql }, { op: 'rollback' }]);
    assert.match(String(answers[2]!.error), /^SQLITE_IOERR/);
    assert.deepEqual(await seen(checker, [paths[0]!, local]), before);
    must(
      await client.steps([
        { op: 'all', sql: ['UPDATE a1.x SET v = v + 1'] },
        { op: 'all', sql: ['UPDATE main.x SET v = v + 1'] },
      ]),
    );
    assert.deepEqual(
      await seen(checker, [paths[0]!, local]),
      before.map((value) => value + 1),
      'each alone goes on',
    );
  } finally {
    await client.kill();
  }
});

test('a mounted database attached to a local one commits with it, and not when either fails', async () => {
  const local = join(mount.base, 'local2.db');
  await sqlite3(local, SEVERAL_SCHEMA);
  const used = [local, paths[1]!];
  const client = new Client();
  try {
    must(await client.steps(openSeveral(used)));
    for (let nth = 1; ; nth += LONG ? 1 : 3) {
      const before = await seen(checker, used);
      must(await client.steps([{ op: 'all', sql: severalBody(2) }]));
      await mount.inject(undefined, nth, 5);
      const [commit] = await client.steps([{ op: 'all', sql: ['COMMIT'] }, { op: 'rollback' }]);
      await mount.clear();
      const hit = await mount.hit(0);
      const gain = commit!.error === undefined ? 1 : 0;
      const now = await seen(checker, used);
      assert.deepEqual(
        now.map((value, index) => value - before[index]!),
        [gain, gain],
        `request ${nth}, ${hit}: ${commit!.error}`,
      );
      must(await client.steps([{ op: 'close' }, ...openSeveral(used)]));
      if (hit === undefined) break;
    }
  } finally {
    await client.kill();
  }
});
