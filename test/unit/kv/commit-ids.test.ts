// Several callers that find out about one lost answer get the same one, whoever asks first and however late another is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientDatabase, ClientError, type ClientTransaction } from '../../../src/kv/foundationdb/client.js';
import { CommitIds } from '../../../src/kv/foundationdb/commit-ids.js';
import { KeySpace } from '../../../src/kv/foundationdb/key-space.js';

const VERSION = Buffer.from('00000000000000010000', 'hex');

/** As much of a cluster as ids need: keys, and commits at one version. */
class SmallDatabase implements ClientDatabase {
  readonly values = new Map<string, Buffer>();
  /** Reads that fail before one is answered. */
  failing = 0;

  rawCreateTransaction(): ClientTransaction {
    const writes: Array<() => void> = [];
    const native = {
      get: async (key: Buffer) => {
        if (this.failing-- > 0) throw Object.assign(new Error('not now'), { code: ClientError.FUTURE_VERSION });
        return this.values.get(key.toString('hex'));
      },
      addReadConflictKey: () => {},
      clear: (key: Buffer) => writes.push(() => this.values.delete(key.toString('hex'))),
      setVersionstampedValueRaw: (key: Buffer, value: Buffer) => {
        const stamped = Buffer.concat([VERSION, value.subarray(VERSION.length, -4)]);
        writes.push(() => this.values.set(key.toString('hex'), stamped));
      },
      rawCommit: async () => {
        for (const write of writes) write();
      },
    };
    return native as unknown as ClientTransaction;
  }

  close(): void {}
}

test('who asks late hears what others found out, though the id is removed meanwhile', async () => {
  const database = new SmallDatabase();
  const ids = new CommitIds(database, new KeySpace('test'));
  const lost = database.rawCreateTransaction();
  const marked = ids.mark(lost);
  await lost.rawCommit();
  database.failing = 1;
  const first = ids.settle(marked);
  await sleep(10);
  // Others wait for the same answer, go on, and remove the id.
  await ids.settleAll();
  for (let commit = 0; commit < 3; commit++) {
    const next = database.rawCreateTransaction();
    const nextMarked = ids.mark(next);
    await next.rawCommit();
    ids.committed(nextMarked);
  }
  assert.ok(!database.values.has(marked.id.toString('hex')), 'the id is gone');
  assert.equal(await first, VERSION.toString('hex'));
  assert.equal(ids.inDoubt, false);
});

test('what did not happen is not taken for committed by anybody', async () => {
  const database = new SmallDatabase();
  const ids = new CommitIds(database, new KeySpace('test'));
  const marked = ids.mark(database.rawCreateTransaction());
  const [first] = await Promise.all([ids.settle(marked), ids.settleAll()]);
  assert.equal(first, undefined);
});
