// Histories stay strictly serialisable while the daemon is killed, with its mount taken away or left dead, and while it
// stands still, and while clients are killed at any moment. What was in progress then may have taken place or not.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClusterRun, runClusterWorkload } from '../support/cluster-workload.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, type Random, randomInteger, seededRandom } from '../support/random.js';

const MODES = ['register', 'bank'] as const;
const CLIENTS = 4;
const ROUNDS = LONG ? 100 : 4;
/** Operations before the fault of a round. */
const OPERATIONS_MAX = 150;
const STOP_MS = 200;

let mount: TestMount;
after(() => mount?.remove());

async function restart(): Promise<void> {
  mount = await TestMount.start({ base: mount.base, namespaces: 'mydb=test' });
}

const FAULTS: ReadonlyArray<(run: ClusterRun, random: Random) => Promise<void>> = [
  async () => {
    await mount.kill();
    await restart();
  },
  async () => {
    mount.child.kill('SIGKILL');
    await mount.exited();
    await sleep(STOP_MS);
    await restart();
  },
  async () => {
    mount.child.kill('SIGSTOP');
    await sleep(STOP_MS);
    mount.child.kill('SIGCONT');
  },
  async (run, random) => {
    const client = run.clients.at(-1 - randomInteger(random, 0, CLIENTS - 1))!;
    await client.kill();
    run.start(client.host, mount.path());
  },
];

for (const mode of MODES) {
  test(`${mode}: daemon and clients killed in ${ROUNDS} rounds`, async (t) => {
    const seed = chooseSeed(mode);
    const random = seededRandom(seed);
    await mount?.remove();
    mount = await TestMount.start({ namespaces: 'mydb=test' });
    const hosts = [{ name: 'a', paths: [mount.path()] }];
    const limitSeconds = 60 + 10 * ROUNDS;
    const options = { hosts, mode, seed, clientsPerPath: CLIENTS, limitSeconds };
    const { report } = await runClusterWorkload(options, async (run) => {
      for (let round = 0; round < ROUNDS; round++) {
        await run.untilCompleted(run.completed + randomInteger(random, 20, OPERATIONS_MAX));
        await FAULTS[round % FAULTS.length]!(run, random);
      }
      await run.untilCompleted(run.completed + OPERATIONS_MAX);
    });
    t.diagnostic(JSON.stringify(report.summary));
    assert.deepEqual(report.anomalies, [], report.text);
    assert.ok(report.summary.indeterminate + report.summary.failed > 0, 'the faults were noticed');
  });
}
