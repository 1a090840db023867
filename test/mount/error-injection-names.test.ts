// Each request by which programs create, rename, copy and remove databases of a mounted directory answered with an error, and
// each transaction of the store failing while they do. An operation is done or not done, whatever becomes of the daemon.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { FaultMount } from '../support/mounted.js';
import { faultsAt, NameInjection } from '../support/name-injection.js';
import { NAME_OPERATIONS } from '../support/name-operations.js';

const OPTIONS = { namespaces: '*', logLevel: 'silent' };
/** Of each operation, about as many; all of them in the long version. */
const REQUESTS = 4;
const TRANSACTION_STRIDE = LONG ? 1 : 7;
const TRANSACTIONS_MAX = 100;

const clients = [new Client(), new Client()] as const;
let mount: FaultMount;
let injection: NameInjection;

before(async () => {
  mount = await FaultMount.startFaulty(OPTIONS);
  injection = new NameInjection(mount, ...clients);
  await injection.prepare();
});

after(async () => {
  await Promise.all(clients.map((client) => client.kill()));
  await mount.remove();
});

for (const [index, operation] of NAME_OPERATIONS.entries()) {
  test(`errors while ${operation.title}`, async (t) => {
    injection.outcomes.clear();
    const failures: string[] = [];
    const labels = await injection.trace(operation);
    const all = faultsAt(labels);
    const stride = LONG ? 1 : Math.ceil(all.length / REQUESTS);
    // From the end: there is the request that changes the name.
    const faults = all.filter((_, at) => (all.length - 1 - at) % stride === 0);
    let met = 0;
    for (const fault of faults) {
      const result = await injection.inject(operation, fault);
      if (result.met) met += 1;
      if (result.failure !== undefined) failures.push(result.failure);
    }
    assert.ok(met > faults.length / 2, `${met} of ${faults.length} requests came again: ${labels.join(' ')}`);
    let transactions = 0;
    const first = 1 + (index % TRANSACTION_STRIDE);
    for (let transaction = first; transaction <= TRANSACTIONS_MAX; transaction += TRANSACTION_STRIDE) {
      const code = (transaction + index) % 2 === 0 ? 'STORE_FAILED' : 'NO_SPACE';
      const result = await injection.inject(operation, { transaction, code });
      if (result.failure !== undefined) failures.push(result.failure);
      if (!result.met) break;
      transactions += 1;
    }
    const came = [...injection.outcomes].map(([what, count]) => `${count} ${what}`).join(', ');
    t.diagnostic(`${met} requests and ${transactions} transactions, ${came}: ${labels.join(' ')}`);
    for (const failure of failures) t.diagnostic(failure);
    assert.equal(failures.length, 0, `${failures.length} failures, the first: ${failures[0]}`);
  });
}

test('the next daemon shows all of it as it was left, and what failed works', async () => {
  await mount.kill();
  mount = await FaultMount.startFaulty({ ...OPTIONS, base: mount.base });
  assert.deepEqual(await injection.goOn(mount), []);
  await mount.unmount();
  mount = await FaultMount.startFaulty({ ...OPTIONS, base: mount.base });
  assert.deepEqual(await injection.goOn(mount), []);
});
