// The store's disk runs full in the middle of a write, or takes only a part of one. That passes: the COMMIT fails with
// SQLITE_FULL or an I/O error and is not there, everybody else goes on, and commits succeed once there is room.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, ClientError } from '../support/client.js';
import { markSql } from '../support/commit-order.js';
import { InterposedMount } from '../support/interposed-mount.js';
import type { Fault } from '../support/interposer.js';
import { TestMount } from '../support/mounted.js';

const NAMESPACES = 'a=a,b=b';
const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, mark TEXT, pad BLOB)';
const FULL = /^SQLITE_(FULL|IOERR)/;

let mount: InterposedMount;
const [writer, other] = [new Client(), new Client()];
const expected: number[] = [];
let lastNumber = 0;

before(async () => {
  mount = await InterposedMount.startInterposed(NAMESPACES);
  await writer.open(mount.path('a'));
  await writer.exec(SCHEMA);
  await other.open(mount.path('b'));
  await other.exec(SCHEMA);
});

after(async () => {
  await writer.kill();
  await other.kill();
  await mount.remove();
});

function insert(number: number, padBytes = 10): string {
  return `INSERT INTO t VALUES(${number}, ${markSql(number)}, randomblob(${padBytes}))`;
}

async function commit(padBytes?: number): Promise<void> {
  lastNumber += 1;
  await writer.exec(insert(lastNumber, padBytes));
  expected.push(lastNumber);
}

async function assertIntact(client: Client, what: string): Promise<void> {
  assert.deepEqual(await client.exec('PRAGMA integrity_check'), [['ok']], what);
  assert.deepEqual((await client.exec('SELECT id FROM t ORDER BY id')).flat(), expected, what);
}

const FAULTS: readonly Fault[] = [
  { nth: 1, files: ['wal'], error: 'ENOSPC' },
  { nth: 2, files: ['wal'], error: 'ENOSPC' },
  { nth: 7, files: ['wal'], error: 'ENOSPC' },
  { nth: 4, files: ['wal'], error: 'ENOSPC', short: true },
  { nth: 1, files: ['wal'], error: 'ENOSPC', sticky: true },
];

for (const journal of ['DELETE', 'MEMORY']) {
  for (const fault of FAULTS) {
    const { nth, short = false, sticky = false } = fault;
    const shape = `write ${nth}${short ? ', after half of it' : ''}${sticky ? ', and all later ones' : ''}`;
    test(`no space at ${shape}, ${journal}`, async () => {
      await writer.exec(`PRAGMA journal_mode=${journal}`);
      await commit();
      const failedBefore = mount.interposer.writesFailed;
      mount.interposer.failWrite(fault);
      await assert.rejects(writer.exec(insert(9_000)), (error) => {
        return error instanceof ClientError && FULL.test(error.code);
      });
      assert.ok(mount.interposer.writesFailed > failedBefore);
      await assertIntact(writer, 'while the disk is full');
      assert.deepEqual(await other.exec('SELECT count(*) FROM t'), [[0]]);
      mount.interposer.clear();
      await commit();
      await assertIntact(writer, 'with room again');
    });
  }
}

test('a write that the disk takes in two parts is whole', async () => {
  for (let nth = 1; nth <= 6; nth++) {
    const failedBefore = mount.interposer.writesFailed;
    mount.interposer.failWrite({ nth, files: ['wal'], short: true });
    await commit();
    assert.equal(mount.interposer.writesFailed, failedBefore + 1);
  }
  await assertIntact(writer, 'after short writes');
});

test('no space for a checkpoint puts it off and fails no commit', async () => {
  const failedBefore = mount.interposer.writesFailed;
  mount.interposer.failWrite({ nth: 1, files: ['data'], error: 'ENOSPC', sticky: true });
  for (let count = 0; count < 12; count++) await commit(1_500_000);
  assert.ok(mount.interposer.writesFailed > failedBefore, 'there was no checkpoint');
  mount.interposer.clear();
  for (let count = 0; count < 8; count++) await commit(1_500_000);
  await assertIntact(writer, 'after the checkpoints');
});

test('nothing of this is lost when the daemon is killed', async (t) => {
  await writer.kill();
  await other.kill();
  await mount.kill();
  const again = await TestMount.start({ base: mount.base, namespaces: NAMESPACES });
  const checker = new Client();
  t.after(async () => {
    await checker.kill();
    await again.remove({ keepFiles: true });
  });
  await checker.open(again.path('a'));
  await assertIntact(checker, 'after the restart');
});
