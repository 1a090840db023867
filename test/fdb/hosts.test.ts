// Several daemons, each with a mount of its own, on one cluster of three processes: what their clients saw together is
// strictly serialisable, while daemons are killed, stand still or are cut off for longer than a lease lasts, and
// processes of the cluster are killed.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClusterRun, runClusterWorkload } from '../support/cluster-workload.js';
import { FoundationdbCluster, foundationdbMissing, foundationdbUrl } from '../support/foundationdb.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { canCutOff, cutOff } from '../support/partition.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';

const LEASE_MS = 2_000;
const STOP_MS = 2 * LEASE_MS;
/** Of each kind of fault, in each of the four runs. */
const ROUNDS = LONG ? 8 : 1;
/** In each run, at least. */
const OPERATIONS = LONG ? 26_000 : 600;
const OPERATIONS_BETWEEN = Math.floor(OPERATIONS / (4 * ROUNDS + 1));
const GID = 42_000;

const missing = foundationdbMissing() ?? (FoundationdbCluster.installed ? undefined : 'needs fdbserver and fdbcli');

describe('hosts on one FoundationDB cluster', { skip: missing }, () => {
  let cluster: FoundationdbCluster;
  let mounts: TestMount[] = [];

  before(async () => {
    cluster = await FoundationdbCluster.start({ processes: 3, redundancy: 'double' });
  });
  after(async () => {
    for (const mount of mounts) await mount.remove();
    await cluster?.stop();
  });

  /** @param index of the host; each runs as a group of its own */
  const start = (index: number, storeUrl: string, base?: string): Promise<TestMount> => {
    const options = { storeUrl, namespaces: 'mydb=test', gid: GID + index, ...(base === undefined ? {} : { base }) };
    // Clients are not of that group.
    return TestMount.start(options, ['--allow-other', '--lease-time', `${LEASE_MS}ms`]);
  };

  const faults: Record<string, (random: Random) => Promise<void>> = {
    'daemon killed': async (random) => {
      const index = randomInteger(random, 0, mounts.length - 1);
      const { base, storeUrl } = mounts[index]!;
      await mounts[index]!.kill();
      mounts[index] = await start(index, storeUrl, base);
    },
    'daemon stopped': async (random) => {
      const { child } = mounts[randomInteger(random, 0, mounts.length - 1)]!;
      child.kill('SIGSTOP');
      await sleep(STOP_MS);
      child.kill('SIGCONT');
    },
    ...(canCutOff() && {
      'daemon cut off': async (random: Random) => {
        const index = randomInteger(random, 0, mounts.length - 1);
        await cutOff(GID + index, cluster.ports, () => sleep(STOP_MS));
      },
    }),
    'process of the cluster killed': async (random) => {
      const index = randomInteger(random, 0, cluster.processes - 1);
      await cluster.kill(index);
      await sleep(randomInteger(random, 0, 3_000));
      cluster.restart(index);
      await cluster.available();
    },
  };

  for (const hosts of [2, 4]) {
    for (const mode of ['register', 'bank'] as const) {
      test(`${mode} on ${hosts} hosts`, async (t) => {
        const seed = chooseSeed(`${mode} on ${hosts} hosts`);
        const random = seededRandom(seed);
        for (const mount of mounts) await mount.remove();
        mounts = [];
        const storeUrl = foundationdbUrl(cluster.clusterFile, randomUUID());
        for (let index = 0; index < hosts; index++) mounts.push(await start(index, storeUrl));
        const named = mounts.map((mount, index) => ({ name: `host-${index}`, paths: [mount.path()] }));
        const options = {
          hosts: named,
          mode,
          seed,
          clientsPerPath: hosts === 2 ? 3 : 2,
          busyTimeoutSeconds: 20,
          limitSeconds: 120 + OPERATIONS / 20 + ROUNDS * 120,
        };
        const { report } = await runClusterWorkload(options, async (run: ClusterRun) => {
          for (let round = 0; round < ROUNDS; round++) {
            for (const fault of Object.values(faults)) {
              await run.untilCompleted(run.completed + OPERATIONS_BETWEEN);
              await fault(random);
            }
          }
          await run.untilCompleted(run.completed + OPERATIONS_BETWEEN);
        });
        t.diagnostic(JSON.stringify(report.summary));
        assert.deepEqual(report.anomalies, [], report.text);
        assert.ok(report.summary.operations >= 0.9 * OPERATIONS);
      });
    }
  }
});
