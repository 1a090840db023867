// Histories of four clients on one mount are strictly serialisable, and the checker would have seen it otherwise: it
// refuses them with something changed, and those of hosts that have each their own database.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClusterOptions, createDatabase, runClusterWorkload } from '../support/cluster-workload.js';
import { checkHistory } from '../support/history/checker.js';
import type { History, Operation } from '../support/history/operations.js';
import type { AnomalyKind } from '../support/history/report.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';

const MODES = ['register', 'bank'] as const;
const SPLIT = ['left', 'right'] as const;
const CLIENTS = 4;
const OPERATIONS = 400;

let mount: TestMount;

before(async () => {
  mount = await TestMount.start({ namespaces: [...MODES, ...SPLIT].map((name) => `${name}=${name}`).join(',') });
});
after(() => mount?.remove());

for (const mode of MODES) {
  test(`${mode}: ${CLIENTS} clients on one mount`, async (t) => {
    const options: ClusterOptions = {
      hosts: [{ name: 'a', paths: [mount.path(mode)] }],
      mode,
      seed: chooseSeed(mode),
      clientsPerPath: CLIENTS,
      operations: OPERATIONS,
    };
    const { history, report } = await runClusterWorkload(options);
    t.diagnostic(JSON.stringify(report.summary));
    assert.deepEqual(report.anomalies, [], report.text);
    assert.equal(report.summary.operations, CLIENTS * OPERATIONS + 1);
    assert.equal(report.summary.indeterminate, 0, report.text);
    assert.ok(report.summary.acknowledgedWrites > OPERATIONS, report.text);
    for (const [kind, corrupt] of Object.entries(CORRUPTIONS) as Array<[AnomalyKind, Corruption]>) {
      const { counts, text } = checkHistory(corrupt(history));
      assert.ok(counts[kind] !== undefined, `${kind} in ${text}`);
    }
  });
}

test('two hosts that do not share their database', async () => {
  const options: ClusterOptions = {
    hosts: SPLIT.map((name) => ({ name, paths: [mount.path(name)] })),
    mode: 'bank',
    seed: chooseSeed('split'),
    clientsPerPath: 1,
    operations: 50,
  };
  await createDatabase(mount.path('right'), options);
  const { report } = await runClusterWorkload(options);
  for (const kind of ['lost-commit', 'same-version', 'vanished-version'] as const) {
    assert.ok(report.counts[kind] !== undefined, `${kind} in ${report.text}`);
  }
  assert.deepEqual(Object.keys(report.summary.longestStallMsByHost), [...SPLIT]);
});

type Corruption = (history: History) => History;

/** Changes of one acknowledged operation, or of the order, which make a history one that no good store has. */
const CORRUPTIONS: Partial<Record<AnomalyKind, Corruption>> = {
  'lost-commit': (history) => ({ ...history, order: history.order.slice(0, -1) }),
  'failed-but-applied': (history) => {
    const { op } = lateWrite(history);
    return replace(history, op, { outcome: 'failed', respondedNs: 0, error: 'SQLITE_BUSY' });
  },
  'stale-read': (history) => {
    const [early, late] = wholeReads(history);
    return replace(history, late!.op, { ...early!, op: late!.op, invokedNs: late!.invokedNs });
  },
  'torn-read': (history) => {
    const [early, late] = wholeReads(history);
    const values = late!.values.map((pair, index) => (index % 2 === 0 ? pair : early!.values[index]!));
    return replace(history, late!.op, { values });
  },
};

/** A whole read of the first half and one of the last quarter. */
function wholeReads({ operations, initial }: History) {
  const reads = operations.filter((operation) => operation.outcome === 'ok' && !operation.wrote);
  const whole = reads.filter((operation) => operation.outcome === 'ok' && operation.values.length === initial.length);
  return [whole[Math.floor(whole.length / 4)], whole[Math.floor((whole.length * 3) / 4)]].map((operation) => {
    assert.ok(operation?.outcome === 'ok');
    return operation;
  });
}

function lateWrite({ operations }: History): Operation {
  return operations.findLast((operation) => operation.outcome === 'ok' && operation.wrote)!;
}

function replace(history: History, op: string, change: object): History {
  const operations = history.operations.map((operation) => {
    return operation.op === op ? ({ ...operation, ...change } as Operation) : operation;
  });
  return { ...history, operations };
}
