// A sync or write of the store that fails. Nobody knows then what the disk holds, so it is the end of that store until
// it is opened again: the COMMIT that needed it fails, whoever asks later is refused with an I/O error, reads included,
// and the daemon's log says why. Started anew on the same files, every acknowledged commit is there, and the one that
// failed is there whole or not at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientError } from '../support/client.js';
import { markSql } from '../support/commit-order.js';
import { InterposedMount } from '../support/interposed-mount.js';
import type { Interposer } from '../support/interposer.js';
import { TestMount } from '../support/mounted.js';
import { must, openSeveral } from '../support/several-databases.js';

const NAMES = ['a', 'b', 'c'];
const NAMESPACES = 'a=a,b=b,c=c';
const REFUSED = /^SQLITE_(IOERR|CANTOPEN)/;
const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, mark TEXT, pad BLOB)';

type Outcome = 'done' | 'failed';

interface Failure {
  readonly what: string;
  readonly journal: string;
  /** Both 'a' and 'b' are written in one transaction. */
  readonly several?: boolean;
  readonly arm: (interposer: Interposer) => void;
  readonly restart: 'killed' | 'unmounted';
  /** Bytes of each commit beyond its mark. */
  readonly padBytes?: number;
}

const FAILURES: readonly Failure[] = [
  { what: 'a sync of the log', journal: 'DELETE', arm: syncOf('wal'), restart: 'killed' },
  { what: 'a sync of the log', journal: 'MEMORY', arm: syncOf('wal'), restart: 'unmounted' },
  { what: 'the second sync of the log', journal: 'TRUNCATE', arm: syncOf('wal', 2), restart: 'unmounted' },
  { what: 'all syncs from now on', journal: 'PERSIST', arm: syncOf('wal', 1, true), restart: 'killed' },
  { what: 'a sync of the log', journal: 'DELETE', several: true, arm: syncOf('wal'), restart: 'killed' },
  { what: 'a write to the log', journal: 'DELETE', arm: writeOf('wal', 3), restart: 'unmounted' },
  { what: 'a sync of a checkpoint', journal: 'DELETE', arm: syncOf('data'), restart: 'unmounted', padBytes: 1_500_000 },
];

function syncOf(file: 'wal' | 'data', nth = 1, sticky = false) {
  return (interposer: Interposer) => interposer.failSync({ nth, files: [file], sticky });
}

function writeOf(file: 'wal' | 'data', nth: number) {
  return (interposer: Interposer) => interposer.failWrite({ nth, files: [file], error: 'EIO' });
}

function insert(number: number, padBytes: number, schema = 'main'): string {
  return `INSERT INTO ${schema}.t VALUES(${number}, ${markSql(number)}, randomblob(${padBytes}))`;
}

/** A COMMIT's outcome, or that of any statement. */
async function outcomeOf(statement: Promise<unknown>, expected: RegExp): Promise<Outcome> {
  try {
    await statement;
    return 'done';
  } catch (error) {
    assert.ok(error instanceof ClientError, String(error));
    assert.match(error.code, expected);
    return 'failed';
  }
}

async function assertRefused(statement: Promise<unknown>, what: string): Promise<void> {
  assert.equal(await outcomeOf(statement, REFUSED), 'failed', what);
}

async function idsOf(client: Client, path: string): Promise<number[]> {
  await client.open(path);
  assert.deepEqual(await client.exec('PRAGMA integrity_check'), [['ok']]);
  const rows = (await client.exec('SELECT id, mark, length(pad) FROM t ORDER BY id')) as [number, string, number][];
  for (const [id, mark] of rows) assert.deepEqual(await client.exec(`SELECT ${markSql(id)}`), [[mark]]);
  await client.close();
  return rows.map(([id]) => id);
}

for (const { what, journal, several = false, arm, restart, padBytes = 10 } of FAILURES) {
  test(`${what} fails, ${journal}${several ? ' over two databases' : ''}, then ${restart}`, async (t) => {
    const mount = await InterposedMount.startInterposed(NAMESPACES);
    const [writer, reader, other, newcomer] = [new Client(), new Client(), new Client(), new Client()];
    const clients = [writer, reader, other, newcomer];
    t.after(async () => {
      for (const client of clients) await client.kill();
      await mount.remove();
    });
    for (const name of NAMES) {
      await writer.open(mount.path(name));
      await writer.exec(SCHEMA);
      await writer.close();
    }
    if (several) must(await writer.steps(openSeveral([mount.path('a'), mount.path('b')], { journal })));
    else await writer.open(mount.path('a'));
    await writer.exec(`PRAGMA journal_mode=${journal}`);
    await reader.open(mount.path('a'));
    await other.open(mount.path('c'));
    const commit = async (number: number): Promise<Outcome> => {
      await writer.exec('BEGIN');
      await writer.exec(insert(number, padBytes));
      if (several) await writer.exec(insert(number, padBytes, 'a1'));
      return outcomeOf(writer.exec('COMMIT'), /^SQLITE_IOERR/);
    };

    // Acknowledged commits, then as many more as there are until the failure.
    assert.equal(await commit(1), 'done');
    assert.deepEqual(await reader.exec('SELECT id FROM t'), [[1]]);
    arm(mount.interposer);
    let last = 1;
    for (;;) {
      last += 1;
      assert.ok(last < 40, 'nothing failed');
      try {
        if ((await commit(last)) === 'failed') break;
      } catch (error) {
        // After a failed checkpoint it is the first request of the next transaction that is refused.
        assert.match((error as ClientError).code, REFUSED);
        break;
      }
    }
    const { syncsFailed, writesFailed } = mount.interposer;
    assert.ok(syncsFailed + writesFailed > 0);

    // The disk may work again; the store must not.
    await writer.exec('ROLLBACK').catch(() => undefined);
    await assertRefused(writer.exec(insert(1000, 10)), 'the next write');
    await assertRefused(writer.exec('SELECT id FROM t'), 'a read of the writer');
    await assertRefused(reader.exec('SELECT id FROM t'), 'a read of another client');
    await assertRefused(other.exec(insert(1000, 10)), 'a write to another namespace');
    await assertRefused(
      newcomer.open(mount.path('a')).then(() => newcomer.exec('SELECT id FROM t')),
      'a new client',
    );
    assert.match(mount.log, /"level":50[^\n]*the store is refused until it is opened again[^\n]*SQLITE_IOERR/);

    for (const client of clients) await client.kill();
    if (restart === 'killed') await mount.kill();
    else assert.equal(await mount.unmount(), 0);
    const again = await TestMount.start({ base: mount.base, namespaces: NAMESPACES });
    const checker = new Client();
    t.after(async () => {
      await checker.kill();
      await again.remove();
    });
    const expected = Array.from({ length: last - 1 }, (_, index) => index + 1);
    const found = await idsOf(checker, again.path('a'));
    assert.deepEqual(found.slice(0, last - 1), expected);
    assert.ok(found.length === last - 1 || (found.length === last && found.at(-1) === last), String(found));
    if (several) assert.deepEqual(await idsOf(checker, again.path('b')), found, 'both or neither');
    assert.deepEqual(await idsOf(checker, again.path('c')), []);
    t.diagnostic(`${last - 1} acknowledged; the failed one is ${found.length === last ? 'there' : 'not there'}`);
    await checker.open(again.path('a'));
    await checker.exec(insert(2000, 10));
  });
}
