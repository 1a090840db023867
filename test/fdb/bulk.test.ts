// Transactions that are larger than one of FoundationDB's: all or nothing, and a crash leaves only garbage.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../src/kv/engine.js';
import { openEngine } from '../../src/kv/open.js';
import { listStages } from '../../src/store/stage.js';
import { Client, sqlite3 } from '../support/client.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';

const MEGABYTES = LONG ? 2_048 : 64;
/** Of transactions that are disturbed: many chunks. */
const DISTURBED_MEGABYTES = 64;
const GARBAGE_MS_MAX = 30_000;

/** Rows of one megabyte, in one transaction. */
const load = (table: string, megabytes = DISTURBED_MEGABYTES): string =>
  `BEGIN; CREATE TABLE ${table}(n INTEGER PRIMARY KEY, b BLOB);
   WITH RECURSIVE i(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM i WHERE n < ${megabytes})
   INSERT INTO ${table} SELECT n, randomblob(1000000) FROM i; COMMIT;`;

describe('bulk commits on FoundationDB', { skip: foundationdbMissing() }, () => {
  const storeUrl = foundationdbUrl(TEST_CLUSTER_FILE ?? '', randomUUID());
  const start = (base?: string): Promise<TestMount> =>
    TestMount.start({ storeUrl, ...(base === undefined ? {} : { base }) }, ['--lease-time', '2s']);
  let [a, b]: TestMount[] = [];
  let engine: Engine;

  before(async () => {
    a = await start();
    b = await start();
    engine = await openEngine(storeUrl, { clock: Date.now });
  });
  after(async () => {
    await engine.close();
    await a?.remove();
    await b?.remove();
  });

  const staged = async (): Promise<number> => (await listStages(engine)).length;
  const until = async (condition: () => Promise<boolean>, what: string): Promise<void> => {
    const deadlineMs = Date.now() + GARBAGE_MS_MAX;
    while (!(await condition())) {
      if (Date.now() > deadlineMs) throw new Error(`not ${what} after ${GARBAGE_MS_MAX} ms`);
      await sleep(20);
    }
  };

  test(`${MEGABYTES} MB in one transaction are there on the other host, all at once`, async (t) => {
    await sqlite3(a!.path(), 'CREATE TABLE small(n)');
    const startMs = performance.now();
    const loading = sqlite3(a!.path(), load('big', MEGABYTES));
    let seen = '';
    let done = false;
    loading.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    while (!done) {
      seen = await sqlite3(b!.path(), "SELECT count(*) FROM sqlite_schema WHERE name = 'big'");
      if (seen === '1') break;
      await sleep(100);
    }
    await loading;
    t.diagnostic(`${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    const sum = 'SELECT count(*), sum(length(b)), min(n), max(n) FROM big; PRAGMA quick_check;';
    assert.equal(await sqlite3(b!.path(), sum), `${MEGABYTES}|${MEGABYTES}000000|1|${MEGABYTES}\nok`);
    assert.equal(await staged(), 0);
  });

  test('a daemon killed in the middle leaves nothing but garbage, which the next writer removes', async () => {
    const client = new Client();
    await client.open(a!.path());
    const loading = client.script(load('lost'));
    loading.catch(() => undefined);
    await until(async () => (await staged()) > 0, 'staged');
    await sleep(50);
    const { base } = a!;
    await a!.kill();
    await assert.rejects(loading);
    await client.end();
    assert.equal(await staged(), 1);
    await sqlite3(b!.path(), 'INSERT INTO small VALUES (1)');
    await until(async () => (await staged()) === 0, 'collected');
    assert.equal(await sqlite3(b!.path(), "SELECT count(*) FROM sqlite_schema WHERE name = 'lost'"), '0');
    a = await start(base);
    assert.equal(await sqlite3(a.path(), 'SELECT n FROM small; PRAGMA quick_check;'), '1\nok');
  });

  test('a host that goes on loading is left alone by others that come and go', async () => {
    const loading = sqlite3(a!.path(), load('kept'));
    loading.catch(() => undefined);
    await until(async () => (await staged()) > 0, 'staged');
    const { base } = b!;
    await b!.kill();
    b = await start(base);
    await sqlite3(b.path(), 'SELECT count(*) FROM small');
    await loading;
    assert.equal(await sqlite3(b.path(), 'SELECT count(*) FROM kept'), String(DISTURBED_MEGABYTES));
  });
});
