// The checker on histories of a simulated cluster: silent where the protocol is whole, and never where a bug is in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory } from '../../support/history/checker.js';
import type { AnomalyKind } from '../../support/history/report.js';
import { chooseSeed } from '../../support/random.js';
import { type Bug, SimulatedCluster } from '../../support/simulated-cluster.js';

const SEEDS = 200;
const TICKS = 5_000;
/** Runs in which the faults happen not to meet: a bug that nobody runs into leaves no trace. */
const MISSED_MAX = 0.05 * SEEDS;

const KIND_OF: Readonly<Record<Bug, AnomalyKind>> = {
  'token-unchecked': 'lost-commit',
  'stale-base': 'moved-commit',
  'read-after-expiry': 'stale-read',
  'commit-lost': 'lost-commit',
  'torn-read': 'torn-read',
  'applied-twice': 'applied-twice',
  'refusal-applied': 'failed-but-applied',
};

const firstSeed = chooseSeed('simulated cluster') % 2 ** 30;
const seeds = Array.from({ length: SEEDS }, (_, index) => firstSeed + index);

test('a protocol without bugs has no anomaly', (t) => {
  const sums = { operations: 0, acknowledged: 0, failed: 0, indeterminate: 0, indeterminateApplied: 0 };
  for (const seed of seeds) {
    const { anomalies, summary, text } = checkHistory(SimulatedCluster.run(seed, TICKS));
    assert.deepEqual(anomalies, [], text);
    for (const figure of Object.keys(sums) as Array<keyof typeof sums>) sums[figure] += summary[figure];
  }
  t.diagnostic(JSON.stringify(sums));
  const isMixed = sums.failed > 0 && sums.indeterminateApplied > 0 && sums.indeterminate > sums.indeterminateApplied;
  assert.ok(isMixed, 'some of everything happened');
});

for (const [bug, kind] of Object.entries(KIND_OF) as Array<[Bug, AnomalyKind]>) {
  test(`${bug} is found as ${kind}`, (t) => {
    const missed = seeds.filter((seed) => !checkHistory(SimulatedCluster.run(seed, TICKS, bug)).counts[kind]);
    t.diagnostic(`missed with ${missed.length} of ${SEEDS} seeds`);
    assert.ok(missed.length <= MISSED_MAX, `missed with seeds ${missed.join(', ')}`);
  });
}
