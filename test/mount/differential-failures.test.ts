// Every way in which a transaction can fail (commit-failures.ts), in every journal mode that knows it: the mount then holds
// what a plain file holds after a ROLLBACK, and the connection goes on, whether it gave its lock back or not.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from '../support/client.js';
import { COMMIT_FAILURES } from '../support/commit-failures.js';
import { AFTERWARDS, Episodes } from '../support/differential-episodes.js';
import { JOURNAL_MODES, type JournalMode, Lockstep } from '../support/lockstep.js';
import { FaultMount } from '../support/mounted.js';
import { chooseSeed, seededRandom } from '../support/random.js';
import { RandomSql } from '../support/random-sql.js';
import { Twins } from '../support/twins.js';

const PAGE_BYTES = 4096;

const seed = chooseSeed('failing commits');

for (const mode of JOURNAL_MODES) {
  test(`journal_mode=${mode}: after every failure the content is that of a rollback`, () => failInEveryWay(mode));
}

async function failInEveryWay(mode: JournalMode): Promise<void> {
  const mount = await FaultMount.startFaulty({ namespaces: 'mydb=test,other=other' });
  const local = mkdtempSync(join(tmpdir(), 'mvfuse-plain-'));
  const mounted = { main: mount.path('mydb'), aux: mount.path('other') };
  const plain = { main: join(local, 'mydb'), aux: join(local, 'other') };
  const twins = new Twins(`MVFUSE_TEST_SEED=${seed}, ${mode}`, mounted, plain, local);
  try {
    await twins.open();
    const lockstep = new Lockstep(twins, new RandomSql(seededRandom(seed), PAGE_BYTES), mode);
    const episodes = new Episodes(lockstep, mount, PAGE_BYTES);
    for (const connection of lockstep.connections) await lockstep.configure(connection);
    const failures = COMMIT_FAILURES.filter(({ modes }) => modes.includes(mode));
    for (const failure of failures) {
      for (const afterwards of failure.staysLocked ? AFTERWARDS : (['unlocked'] as const)) {
        const connection = lockstep.anyConnection();
        await lockstep.setSynchronous(connection, lockstep.sql.pick(failure.synchronous));
        await episodes.failCommit(connection, failure, afterwards);
      }
    }
    assert.ok(episodes.counts.errors >= failures.length && failures.length > 0);
  } finally {
    await twins.end();
    await mount.remove();
    rmSync(local, { recursive: true, force: true });
  }
}

test('a ROLLBACK with journal_mode=OFF undoes even pages that were written already', async () => {
  // SQLite has nothing to roll back from then, and corrupts a plain file: only the mount can be asked.
  const mount = await FaultMount.startFaulty();
  const client = new Client();
  try {
    await client.open(mount.path());
    for (const sql of ['PRAGMA journal_mode=OFF', 'PRAGMA cache_size=5', 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)']) {
      await client.exec(sql);
    }
    await client.exec('INSERT INTO t VALUES(1, noise(1, 100000)), (2, noise(2, 100000))');
    const before = await client.digest();
    for (const synchronous of ['FULL', 'OFF']) {
      await client.exec(`PRAGMA synchronous=${synchronous}`);
      await mount.startTrace();
      await client.exec('BEGIN');
      await client.exec('DELETE FROM t WHERE id = 1');
      await client.exec('INSERT INTO t VALUES(3, noise(3, 200000)), (4, noise(4, 50))');
      assert.ok((await mount.stopTrace()).includes('W(db)'), 'nothing was written before the ROLLBACK');
      // SQLite answers with an error or not, depending on where it noticed; the content is what counts.
      await client.exec('ROLLBACK').catch(() => undefined);
      assert.deepEqual(await client.digest(), before);
      await client.exec('UPDATE t SET id = id');
    }
  } finally {
    await client.kill();
    await mount.remove();
  }
});
