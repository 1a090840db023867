// A process of the cluster is lost while a program inserts: it notices nothing but a pause.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '../support/client.js';
import { FoundationdbCluster, foundationdbMissing, foundationdbUrl } from '../support/foundationdb.js';
import { TestMount } from '../support/mounted.js';

const INSERTS = 200;

const missing = foundationdbMissing() ?? (FoundationdbCluster.installed ? undefined : 'needs fdbserver and fdbcli');

describe('the loss of a process', { skip: missing }, () => {
  let cluster: FoundationdbCluster;
  let mount: TestMount;

  before(async () => {
    cluster = await FoundationdbCluster.start({ processes: 3, redundancy: 'double' });
    mount = await TestMount.start({ storeUrl: foundationdbUrl(cluster.clusterFile, 'loss') });
  });
  after(async () => {
    await mount?.remove();
    await cluster?.stop();
  });

  for (const index of [0, 1, 2]) {
    test(`${INSERTS} inserts while process ${index} is killed: no error, all rows, a pause`, async (t) => {
      const client = new Client();
      try {
        await client.open(mount.path());
        await client.exec(`CREATE TABLE t${index}(n INTEGER PRIMARY KEY)`);
        let longestMs = 0;
        for (let n = 0; n < INSERTS; n++) {
          if (n === INSERTS / 4) await cluster.kill(index);
          const startMs = performance.now();
          await client.exec(`INSERT INTO t${index} VALUES (${n})`);
          longestMs = Math.max(longestMs, performance.now() - startMs);
        }
        const rows = await client.exec(`SELECT count(*), min(n), max(n) FROM t${index}`);
        assert.deepEqual(rows, [[INSERTS, 0, INSERTS - 1]]);
        t.diagnostic(`longest insert: ${(longestMs / 1000).toFixed(1)} s`);
      } finally {
        await client.end();
        cluster.restart(index);
        await cluster.available();
      }
    });
  }
});
